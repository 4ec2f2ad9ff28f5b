"""An arm that somebody takes from pose to pose, and pauses at each; a camera on its hand."""

import numpy as np
from ideal_arm import IdealArm

from calibration.board import Board, BoardKind
from robot_policy.core.geometry import matrix_from_rotvec, transform
from robot_policy.core.robot import load_robot

BOARD = Board(BoardKind.CHARUCO, 4, 5, 0.045, 0.034, "4X4_50")
START = np.array([0.0, 0.2, 0.0, -2.3, 0.0, 2.5, 0.8])
REST = 30
"""Steps for which the hand pauses, and as many for which it moves."""


def by_hand(step: int) -> np.ndarray:
    """Moves to another pose, pauses there, and so on."""
    leg, within = divmod(step, 2 * REST)
    rng = np.random.default_rng(0)
    places = START + np.vstack([np.zeros(7), rng.uniform(-0.12, 0.12, (20, 7))])
    part = max(0.0, (within - REST) / REST)
    return (1 - part) * places[leg] + part * places[leg + 1]


def guided_arm() -> IdealArm:
    """The arm, with a board in front of its camera."""
    robot = load_robot("panda_twin_joint")
    X = transform(matrix_from_rotvec(np.array([0.0, 0.0, 1.5])), np.array([0.05, 0.0, -0.1]))
    view = transform(np.eye(3), np.array([-0.09, -0.11, 0.45]))
    arm = IdealArm(
        robot,
        START,
        board=BOARD,
        parent_T_camera=X,
        parent_T_board=robot.kinematics.pose(START) @ X @ view,
    )
    arm.moves_by_hand = by_hand
    return arm
