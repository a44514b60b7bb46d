"""The part of outside.toml that says who is told: `[[recipient]]`, over HTTP, and `[mqtt]`, a broker.

    [[recipient]]
    name = "parking"                              # of its own; small letters, digits and dashes
    title = "Parking Ltd"                         # as the notice calls it
    url = "https://events.example/countenance"
    secret = "whsec_..."                          # 24 to 64 bytes in base64, shared with it alone
    events = ["gate.hour", "gate.decided"]
    purpose = "events.parking"                    # only where events has gate.decided

    [mqtt]
    host = "broker.example"                       # port, tls_ca, user, password_file: as for doors
    prefix = "countenance"
    events = ["gate.hour"]
    # and title, purpose = "events.mqtt": only where events has gate.decided
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from countenance.errors import StoreFault
from countenance.flows import events_out
from countenance.flows.events_out import Message
from countenance.flows.events_out import Recipient as Told
from countenance.integrations import addresses
from countenance.integrations.mqtt import SYSTEM, Mqtt, MqttClient
from countenance.integrations.webhooks import TIMEOUT_S, Sender, Undelivered, Webhook, WebhookSender
from countenance.quantities import PurposeId

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

MQTT = "mqtt"
"""What the broker is called among the recipients."""

MOST = 32
_SECRET = "whsec_"  # noqa: S105  # what every secret begins with
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")
_KEYS: dict[str, type] = {"name": str, "title": str, "url": str, "secret": str, "events": list, "purpose": str}
_BROKER: dict[str, type] = {"host": str, "port": int, "tls_ca": str, "user": str, "password_file": str,
                           "client_id": str}
_TOLD: dict[str, type] = {"prefix": str, "events": list, "title": str, "purpose": str}


@dataclass(frozen=True)
class Recipient:
    """Somebody who is told over HTTP: whom and of what, and where and by which secret."""

    told: Told
    webhook: Webhook


@dataclass(frozen=True)
class TellingMqtt(Mqtt):
    """A broker, for doors too. `told` lists no types where no event goes over it."""

    told: Told = Told(MQTT, "", frozenset(), PurposeId(""))  # noqa: RUF009  # frozen, so it may be shared
    prefix: str = "countenance"


class MqttSender:
    """Sends events to `PREFIX/VENUE/TYPE`, QoS 1."""

    def __init__(self, broker: TellingMqtt, venue: str) -> None:
        self._to, self._client = f"{broker.prefix}/{venue}", MqttClient(broker)

    def send(self, message: Message) -> None:
        """See `webhooks.Sender`. The id stands in the message, as MQTT has no place for it."""
        body = b'{"id":"' + message.event_id.encode() + b'",' + message.body[1:]
        try:
            self._client.publish(f"{self._to}/{message.kind}", body, TIMEOUT_S)
        except StoreFault as fault:
            raise Undelivered(fault.code) from None

    def close(self) -> None:
        """See `webhooks.Sender`."""
        self._client.close()


def parse_recipients(sections: Any) -> tuple[Recipient, ...]:
    """Read every `[[recipient]]`. Raises StoreFault: outside-keys, outside-value, recipient-url."""
    if not isinstance(sections, list) or len(sections) > MOST:
        raise _wrong("recipient")
    found = tuple(_recipient(section) for section in sections)
    names = [one.told.name for one in found]
    if len(set(names)) != len(names) or MQTT in names:
        raise StoreFault("outside-value", "In outside.toml, two recipients have one name, or one is called mqtt.")
    return found


def parse_mqtt(section: Any) -> TellingMqtt:
    """Read `[mqtt]`. Raises StoreFault: outside-keys, outside-value."""
    _require_keys(section, _BROKER | _TOLD, {"host"}, MQTT)
    broker = {key: section[key] for key in _BROKER if key in section}
    if not broker["host"] or not 1 <= broker.get("port", 1) <= 65_535:
        raise _wrong(MQTT)
    if not broker.get("tls_ca", SYSTEM) and section.get("user"):
        raise StoreFault("outside-value", "In outside.toml, [mqtt] would send a password without TLS.")
    prefix = section.get("prefix", "countenance")
    if not _PREFIX.fullmatch(prefix):
        raise _wrong(MQTT)
    return TellingMqtt(**broker, told=_told(MQTT, section), prefix=prefix)


def attach(venue: Venue, recipients: Sequence[Recipient], mqtt: Mqtt | None) -> None:
    """Have an open venue write down what these are to be told. Raises StoreFault(recipient-purpose, recipient-notice).

    Nobody has to agree before: who did not is told of to nobody.
    """
    told = [one.told for one in recipients]
    if isinstance(mqtt, TellingMqtt):
        told.append(mqtt.told)
    told = [one for one in told if one.types]
    events_out.require_asked(venue, told)
    venue.outside = events_out.Outgoing(tuple(told)) if told else None


def senders(venue: Venue, recipients: Sequence[Recipient], mqtt: Mqtt | None) -> dict[str, Sender]:
    """Return the way to each, for a `Dispatcher`. Raises StoreFault(recipient-url)."""
    ways: dict[str, Sender] = {one.told.name: WebhookSender(one.webhook, venue.settings.private_recipients)
                               for one in recipients}
    if isinstance(mqtt, TellingMqtt) and mqtt.told.types:
        ways[MQTT] = MqttSender(mqtt, venue.venue_id)
    return ways


def _recipient(section: Any) -> Recipient:
    _require_keys(section, _KEYS, {"name", "url", "secret", "events"}, "recipient")
    if not events_out.is_name(section["name"]) or not section["events"]:
        raise _wrong("recipient")
    addresses.place_of(section["url"], None)
    return Recipient(_told(section["name"], section), Webhook(section["url"], _secret(section["secret"])))


def _told(name: str, section: dict[str, Any]) -> Told:
    types, purpose = section.get("events", []), section.get("purpose", "")
    if any(type(one) is not str or one not in events_out.TYPES or one == "test" for one in types):
        raise StoreFault("outside-value", f"In outside.toml, {name} lists an event that there is not.")
    about_people = events_out.VISIT in types
    if about_people != bool(purpose) or (purpose and purpose != f"events.{name}"):
        raise StoreFault("outside-value", f"In outside.toml, {name} needs the purpose events.{name} for "
                                          f"{events_out.VISIT}, and for nothing else.")
    title = section.get("title", "")
    if (purpose and not title) or len(title) > 200 or not title.isprintable():
        raise _wrong(name)
    return Told(name, title, frozenset(types), PurposeId(purpose))


def _secret(text: str) -> bytes:
    wrong = StoreFault("outside-value", "In outside.toml, a secret is whsec_ and 24 to 64 bytes in base64.")
    if not text.startswith(_SECRET):
        raise wrong
    try:
        secret = base64.b64decode(text.removeprefix(_SECRET), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not 24 <= len(secret) <= 64:
        raise wrong
    return secret


def _require_keys(section: Any, known: dict[str, type], needed: set[str], name: str) -> None:
    if not isinstance(section, dict) or not needed <= set(section) <= set(known):
        raise StoreFault("outside-keys", f"In outside.toml, [{name}] has a wrong or missing key.")
    if any(type(value) is not known[key] for key, value in section.items()):
        raise _wrong(name)


def _wrong(name: str) -> StoreFault:
    return StoreFault("outside-value", f"In outside.toml, [{name}] has a wrong value.")
