"""The first message of a connection: what is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.specs import PolicySpec
from robot_policy.serving.wire import WireError

PROTOCOL = "robot-policy"
PROTOCOL_VERSION = 1


def metadata_of(spec: PolicySpec, *, name: str, device: str) -> dict[str, Any]:
    """Returns the message; openpi's clients hand it on to whoever asks for it."""
    return {
        "protocol": PROTOCOL,
        "protocol_version": PROTOCOL_VERSION,
        "name": name,
        "device": device,
        "spec": spec.to_json(),
    }


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a client needs to know of a server.

    Attributes:
        spec: Of the policy.
        name: Of its checkpoint.
        device: Where it runs.
    """

    spec: PolicySpec
    name: str
    device: str

    @classmethod
    def from_message(cls, message: object) -> Self:
        """Inverse of `metadata_of`.

        Raises:
            WireError: If it is another server, another version, or damaged.
        """
        if not isinstance(message, Mapping) or message.get("protocol") != PROTOCOL:
            raise WireError("not a server of this project", expected=f"protocol {PROTOCOL}")
        if message.get("protocol_version") != PROTOCOL_VERSION:
            raise WireError(
                "another version of the protocol",
                expected=PROTOCOL_VERSION,
                got=repr(message.get("protocol_version"))[:40],
            )
        try:
            spec = PolicySpec.from_json(message["spec"])
            return cls(spec, str(message["name"]), str(message["device"]))
        except (KeyError, TypeError, ValueError, AttributeError, RobotPolicyError) as error:
            raise WireError("damaged metadata", got=repr(error)[:120]) from error
