"""What a device says at one moment."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

type Vector = NDArray[np.floating]


class Command(StrEnum):
    """What a button asks for.

    START: Begin an episode.
    SUCCESS, FAILURE, STOP: End it and keep it; reached, missed, nobody says.
    DISCARD: End it and forget it.
    UNDO: Forget the last episode that was kept.
    RESET: Put the scene back to its start, where that can be done.
    RUN_POLICY, STOP_POLICY: Let the policy drive, or not.
    EMERGENCY_STOP: Hold until RELEASE.
    RELEASE: Let the arm move again.
    """

    START = "start"
    SUCCESS = "success"
    FAILURE = "failure"
    STOP = "stop"
    DISCARD = "discard"
    UNDO = "undo"
    RESET = "reset"
    RUN_POLICY = "run_policy"
    STOP_POLICY = "stop_policy"
    EMERGENCY_STOP = "emergency_stop"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """Motion, gripper, buttons and dead-man.

    Motions of several kinds add up. Axes are those of the frame that the person has chosen.

    Attributes:
        stamp_ns: When it was true, on the monotonic clock of this machine [ns].
        active: Whether the dead-man is held; without it nothing moves.
        velocity: (6,) translation and rotation as parts of full speed, -1 .. 1.
        twist: (6,) likewise as speeds of the end effector [m/s], [rad/s].
        shift: (6,) displacement since the last reading: translation [m], rotation vector [rad].
        joints: (J,) angles of a leader arm [rad]; None for other devices.
        gripper: 0 open .. 1 closed; None leaves it as it is.
        commands: Buttons pressed since the last reading, in order.
    """

    stamp_ns: int
    active: bool = False
    velocity: Vector = field(default_factory=lambda: np.zeros(6))
    twist: Vector = field(default_factory=lambda: np.zeros(6))
    shift: Vector = field(default_factory=lambda: np.zeros(6))
    joints: Vector | None = None
    gripper: float | None = None
    commands: tuple[Command, ...] = ()

    def followed_by(self, later: "Controls") -> "Controls":
        """Returns both as one reading: displacements and buttons add up, the rest is the later.

        A gripper that was pressed counts as held: nothing else would be let through.
        """
        return replace(
            later,
            active=later.active or (self.active and self.gripper is not None),
            shift=self.shift + later.shift,
            gripper=self.gripper if later.gripper is None else later.gripper,
            commands=(*self.commands, *later.commands),
        )
