"""A Panda in front of a board, with a truth: what the calibration benchmarks are measured on.

The arm's kinematics are those of the twin's description. Its encoders are wrong by a normal error
per joint and pose, so that what the arm says differs from where it is as it does on a real one.
"""

from dataclasses import dataclass, replace

import calibration_path  # noqa: F401
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, BoardKind
from calibration.detection import Detection, detect
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, LensModel
from calibration.rendering import BoardPhotographer
from calibration.simulated_rig import SimulatedRig, diverse_views
from robot_policy.core.geometry import inverse, matrix_from_rotvec, rotvec_from_matrix, transform
from robot_policy.core.kinematics import KinematicChain
from robot_policy.core.robot import load_robot

type Array = NDArray[np.floating]

ENCODER_RAD = 3e-4
"""Of every joint; about 0.3 mm at the hand."""
CORNER_PX = 0.3
"""Added to every corner that was detected in a rendered picture."""
BOARD = Board(BoardKind.CHARUCO, 5, 7, 0.035, 0.02625, "5X5_100")
"""What `calibrate board` makes by default."""
READY = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
_IK_STEPS = 60
_IK_DAMPING = 0.02
_TRIES = 40


@dataclass(frozen=True)
class ArmSetup:
    """A rig and the poses it was driven to.

    Attributes:
        rig: The truth.
        views: (n, 4, 4) camera_T_board as they are.
        joints: (n, 7) as they are [rad].
        reported: (n, 4, 4) base_T_gripper by encoders that are a little wrong [m].
    """

    rig: SimulatedRig
    views: Array
    joints: Array
    reported: Array


def panda() -> tuple[KinematicChain, Array, Array]:
    """The kinematics of the twin's arm, and its lowest and highest joint positions (7,)."""
    robot = load_robot("panda_twin")
    assert robot.kinematics is not None
    limits = robot.joint_limits
    return robot.kinematics, np.asarray(limits.low), np.asarray(limits.high)


def random_lens(rng: np.random.Generator) -> Lens:
    """A lens of a usual camera of 640 x 480 px, with distortion."""
    focal = rng.uniform(480, 700)
    linear = [focal, focal * rng.uniform(0.995, 1.005), 319.5 + rng.normal(0, 8)]
    linear.append(239.5 + rng.normal(0, 8))
    bend = [rng.uniform(-0.3, -0.05), rng.uniform(0.02, 0.12), *rng.normal(0, 1e-3, 2), 0.0]
    return Lens(LensModel.PLUMB_BOB, 640, 480, np.array([*linear, *bend]))


def mounted_rig(
    mounting: Mounting, lens: Lens, home: Array, rng: np.random.Generator
) -> SimulatedRig:
    """A camera on the hand and a board below it, or a board in the hand and a camera before it.

    Args:
        mounting: Which of the two.
        lens: Of the camera.
        home: (4, 4) base_T_gripper around which the arm will move.
        rng: Draws where exactly.
    """
    roll = matrix_from_rotvec(np.array([0.0, 0.0, rng.uniform(-np.pi, np.pi)]))
    tilt = matrix_from_rotvec(np.array([*rng.uniform(-0.35, 0.35, 2), 0.0]))
    middle = diverse_views(
        BOARD, 1, rng, distance_m=(0.42, 0.5), tilt_rad=(0.0, 0.1), roll_rad=0.1, aside=0.0
    )[0]
    if mounting is Mounting.EYE_IN_HAND:
        camera = transform(tilt @ roll, np.array([*rng.uniform(-0.07, 0.07, 2), -0.06]))
        return SimulatedRig(mounting, BOARD, lens, camera, home @ camera @ middle)
    # The board's z points away from who looks at it: back into the hand that holds it.
    R = tilt @ np.diag([1.0, -1.0, -1.0]) @ roll
    centre = np.array([*BOARD.size_m, 0.0]) / 2
    board = transform(R, np.array([*rng.uniform(-0.02, 0.02, 2), 0.05]) - R @ centre)
    return SimulatedRig(mounting, BOARD, lens, home @ board @ inverse(middle), board)


def arm_setup(
    mounting: Mounting,
    lens: Lens,
    rng: np.random.Generator,
    *,
    poses: int = 20,
    encoder_rad: float = ENCODER_RAD,
) -> ArmSetup:
    """Draws a rig and poses that the arm can reach and the camera sees the board from.

    Raises:
        RuntimeError: If that many poses are not found.
    """
    chain, low, high = panda()
    for _ in range(_TRIES):
        near = np.clip(READY + 0.15 * rng.normal(size=len(READY)), low, high)
        rig = mounted_rig(mounting, lens, chain.pose(near), rng)
        views = diverse_views(BOARD, 3 * poses, rng)
        goals = rig.arm_at(views)
        solved = [reach(chain, near, goal, low, high) for goal in goals]
        kept = [i for i, q in enumerate(solved) if q is not None][:poses]
        if len(kept) == poses:
            joints = np.array([q for i in kept if (q := solved[i]) is not None])
            said = chain.pose(joints + encoder_rad * rng.normal(size=joints.shape))
            return ArmSetup(rig, rig.view_at(chain.pose(joints)), joints, said)
    raise RuntimeError(f"no rig with {poses} reachable poses")


def reach(
    chain: KinematicChain, start: Array, goal: Array, low: Array, high: Array
) -> Array | None:
    """Joints (7,) that bring the hand to a pose (4, 4), or None; damped least squares."""
    q = start.copy()
    for _ in range(_IK_STEPS):
        here = chain.pose(q)
        turn = rotvec_from_matrix(goal[:3, :3] @ here[:3, :3].T)
        error = np.concatenate([goal[:3, 3] - here[:3, 3], turn])
        if np.linalg.norm(error) < 1e-6:
            return q
        J = chain.jacobian(q)
        step = J.T @ np.linalg.solve(J @ J.T + _IK_DAMPING**2 * np.eye(6), error)
        q = np.clip(q + np.clip(step, -0.3, 0.3), low, high)
    return None


def photographed(
    rig: SimulatedRig,
    views: Array,
    rng: np.random.Generator,
    *,
    noise_px: float = CORNER_PX,
) -> list[Detection | None]:
    """Renders the board at every view (n, 4, 4), finds it again, and adds noise to its corners."""
    photographer = BoardPhotographer(rig.board, rig.lens)
    seen: list[Detection | None] = []
    for view in views:
        found = detect(rig.board, photographer.take(view, rng))
        if found is not None:
            off = noise_px * rng.normal(size=found.pixels.shape)
            found = replace(found, pixels=found.pixels + off)
        seen.append(found)
    return seen
