"""A gate without a browser: waits for a person to act, takes one picture, asks the server, says two sentences."""
