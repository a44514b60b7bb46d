"""Asks the server in this container whether it answers: for the container's health check.

It asks by the name that venue.toml gives in server.origin, because the server refuses every other. The certificate is
not looked at: it goes no further than this container.
"""

import http.client
import os
import ssl
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

venue = tomllib.loads((Path(os.environ["COUNTENANCE_VENUE"]) / "venue.toml").read_text(encoding="utf-8"))
name = urlsplit(venue["server"]["origin"]).netloc or "localhost"
to = ("127.0.0.1", int(os.environ.get("COUNTENANCE_PORT", "8443")))
if "--plain" in sys.argv:  # behind a proxy
    asked = http.client.HTTPConnection(*to, timeout=3)
else:
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    asked = http.client.HTTPSConnection(*to, timeout=3, context=unchecked)
try:
    asked.request("GET", "/v1/health", headers={"host": name})
    sys.exit(0 if asked.getresponse().status == 200 else 1)
except OSError:
    sys.exit(1)
finally:
    asked.close()
