"""An arm that does exactly what it is told, and a camera that sees a board; no simulator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, LensModel
from calibration.rendering import BoardPhotographer
from robot_policy.capture.arm import Picture, Reading
from robot_policy.capture.inverse_kinematics import joints_near
from robot_policy.core.command_values import values_from_actions
from robot_policy.core.geometry import inverse, matrix_from_rotvec, transform
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace

type Array = NDArray[np.floating]

LENS = Lens(LensModel.PLUMB_BOB, 320, 240, np.array([280.0, 280, 159.5, 119.5, 0, 0, 0, 0, 0]))
STAMP_NS = 1_700_000_000_000_000_000


class IdealArm:
    """Follows every command within one control period, and notes them.

    `before_step`, if set, is called with the number of the step, and may raise.
    """

    def __init__(
        self,
        robot: RobotDescription,
        joints: Array,
        *,
        board: Board | None = None,
        mounting: Mounting = Mounting.EYE_IN_HAND,
        parent_T_camera: Array | None = None,
        parent_T_board: Array | None = None,
    ) -> None:
        self.robot = robot
        self.joints = np.asarray(joints, dtype=np.float64)
        self.mounting = mounting
        self.parent_T_camera = parent_T_camera
        self.parent_T_board = parent_T_board
        self.actions: list[NDArray[np.float32]] = []
        self.readings: list[Reading] = []
        self.before_step: Callable[[int], None] = lambda _: None
        self.moves_by_hand: Callable[[int], Array] | None = None
        self._stamp_ns = STAMP_NS
        self._steps = 0
        self._rng = np.random.default_rng(0)
        self._photographer = None if board is None else BoardPhotographer(board, LENS)

    def step(self, action: NDArray[np.float32] | None) -> Reading:
        self.before_step(self._steps)
        self._steps += 1
        before = self.joints
        if action is not None:
            self.actions.append(action)
            self._obey(action)
        if self.moves_by_hand is not None:
            self.joints = self.moves_by_hand(self._steps)
        self._stamp_ns += round(1e9 * self.robot.dt_s)
        assert self.robot.kinematics is not None
        reading = Reading(
            self._stamp_ns,
            self.joints.copy(),
            (self.joints - before) / self.robot.dt_s,
            self.robot.gripper.open,
            self.robot.kinematics.pose(self.joints),
        )
        self.readings.append(reading)
        return reading

    def picture(self, camera: str, *, not_before_ns: int) -> Picture:
        assert camera in self.robot.cameras
        assert not_before_ns <= self._stamp_ns
        assert self._photographer is not None
        assert self.robot.kinematics is not None
        G = self.mounting.seen_through(self.robot.kinematics.pose(self.joints))
        view = inverse(self.parent_T_camera) @ G @ self.parent_T_board
        gray = self._photographer.take(view, self._rng)
        return Picture(self._stamp_ns, np.repeat(gray[..., None], 3, axis=2))

    def lens(self, camera: str) -> Lens | None:
        assert camera in self.robot.cameras
        return LENS

    def _obey(self, action: NDArray[np.float32]) -> None:
        chain, command = self.robot.kinematics, self.robot.command
        assert chain is not None
        match command.action_space:
            case ActionSpace.JOINT_POSITION:
                self.joints = action[:-1].astype(np.float64)
                return
            case ActionSpace.JOINT_DELTA:
                self.joints = self.joints + command.response.joints * action[:-1]
                return
            case ActionSpace.EE_DELTA_POSE:
                here = chain.pose(self.joints)
                parts = np.repeat([command.response.translation, command.response.rotation], 3)
                motion = parts * action[:6]
                R = matrix_from_rotvec(motion[3:]) @ here[:3, :3]
                pose = transform(R, here[:3, 3] + motion[:3])
            case ActionSpace.EE_POSE:
                values = values_from_actions(self.robot, action[None], np.zeros(0, np.float32))[0]
                pose = transform(matrix_from_rotvec(values[3:6]), values[:3])
        free = np.full(len(chain), np.inf)
        self.joints = joints_near(chain, pose, self.joints, low=-free, high=free)
