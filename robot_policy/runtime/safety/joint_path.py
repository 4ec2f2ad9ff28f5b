"""Where the end effector goes when the joints move, for limits on its place in joint space."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.joint_map import JointMap
from robot_policy.runtime.safety.sent import AT_REST, Sent

_SAMPLES = 8
"""Places looked at on the way: at 20 Hz some millimetres apart."""

_MARGIN_M = 0.002
"""A motion that is shortened ends so far before the border: places between those looked at may lie
a little beyond it."""

_ROUNDS = 20
"""A motion that is still not allowed after so many shortenings is shortened to nothing."""


class Region(Protocol):
    """Where the end effector may be."""

    @property
    def reason(self) -> str:
        """What to say of a motion that was shortened."""
        ...

    def forbidden(
        self, path: NDArray[np.floating], start: NDArray[np.floating], margin: float
    ) -> NDArray[np.bool_]:
        """Says which places must not be reached from `start`.

        Args:
            path: (n, 3) places on the way [m].
            start: (3,) where the end effector is [m].
            margin: Distance to keep from what is forbidden [m].
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class JointPath:
    """Shortens a joint motion on whose straight way (in joint space) a region is left.

    The way ``FK(q + s (q_k - q))`` is looked at in eight places; the motion ends at the last one
    before the first that is forbidden, and is looked at again, until nothing is.

    Attributes:
        robot: With kinematics.
        region: Where the end effector may be.
    """

    robot: RobotDescription
    region: Region
    stage: Stage = Stage.WHOLE

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Shortens the joint motion."""
        del dt_s, sent
        result = action
        for _ in range(_ROUNDS):
            fraction = self._free_fraction(result, state)
            if fraction == 1.0:
                break
            result = self._shortened(result, state, fraction)
        else:
            result = self._shortened(result, state, 0.0)
        return Decision(result, () if result is action else (self.region.reason,))

    def _free_fraction(self, action: NDArray[np.float32], state: NDArray[np.float32]) -> float:
        chain = self.robot.kinematics
        assert chain is not None
        here = self.robot.joint_positions(state).astype(np.float64)
        way = JointMap.at(self.robot, state).wanted(action)
        fractions = np.linspace(0.0, 1.0, _SAMPLES + 1)
        path = chain.pose(here + fractions[:, None] * way)[:, :3, 3]
        if not way.any() or not self.region.forbidden(path[1:], path[0], 0.0).any():
            return 1.0
        return float(fractions[np.argmax(self.region.forbidden(path[1:], path[0], _MARGIN_M))])

    def _shortened(
        self, action: NDArray[np.float32], state: NDArray[np.float32], fraction: float
    ) -> NDArray[np.float32]:
        result, joints = action.copy(), len(self.robot.joint_names)
        if self.robot.command.action_space.is_delta:
            result[:joints] *= fraction
        else:
            here = self.robot.joint_positions(state)
            result[:joints] = here + fraction * (action[:joints] - here)
        return result
