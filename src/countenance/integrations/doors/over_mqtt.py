"""A door behind an MQTT broker: the token itself is the message, QoS 1, kept by nobody beyond its ten seconds."""

from __future__ import annotations

import json

from countenance.errors import StoreFault
from countenance.formats import door_tokens
from countenance.integrations.doors import faults
from countenance.integrations.doors.settings import MqttDoor
from countenance.integrations.mqtt import Mqtt, MqttClient

_FAULTS = {"mqtt-refused": faults.refused, "mqtt-timeout": faults.timeout}


class OverMqtt:
    """Opens by the text of a token at `topic`; holds by `{"door", "hold_s"}` at `topic`/hold. Needs a listener.

    Two connections, so that a heartbeat that hangs keeps nobody at the door.
    """

    def __init__(self, door: MqttDoor, broker: Mqtt) -> None:
        self.door = door
        self._opening, self._holding = MqttClient(broker), MqttClient(broker)

    def open(self, token_text: str, people: int) -> None:  # noqa: ARG002  # the token says how many
        """Publish the token. Raises StoreFault: door-unreachable, door-refused, door-timeout."""
        self._publish(self._opening, self.door.topic, token_text.encode(), door_tokens.GOOD_FOR_S)

    def heartbeat(self) -> None:
        """Tell a fail-safe door that all is well; it never opens for that. Raises as `open`."""
        if self.door.fail == "safe":
            hold = json.dumps({"door": self.door.name, "hold_s": self.door.hold_s}).encode()
            self._publish(self._holding, f"{self.door.topic}/hold", hold, self.door.hold_s)

    def close(self) -> None:
        """Let go of the broker."""
        self._opening.close()
        self._holding.close()

    def _publish(self, client: MqttClient, topic: str, payload: bytes, expiry_s: int) -> None:
        try:
            client.publish(topic, payload, self.door.timeout_s, expiry_s=expiry_s, heard=True)
        except StoreFault as fault:
            raise _FAULTS.get(fault.code, faults.unreachable)(self.door.name) from None
