"""When poses and pictures do not fit each other: which usual mistake would explain it.

Each mistake is undone on the data and the closed-form solvers tried again. One that makes the
poses agree several times better is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board_pose import BoardPose, board_pose
from calibration.detection import Detection
from calibration.hand_eye.data import HandEyeData
from calibration.hand_eye.starts import Start, best_starts
from robot_policy.core.geometry import matrix_from_quat, quat_from_matrix, transform

type Array = NDArray[np.floating]

_BETTER = 6.0
"""How many times better a mistake must explain the data, in squared distances."""
_SUBSETS = 15
_QUICK = ("park", "shah")
_SQUARES_M = (0.002, 0.49)
_SAME_SIZE = 0.02


@dataclass(frozen=True, slots=True)
class Suspect:
    """A mistake that explains the data.

    Attributes:
        cause: What is wrong, in words.
        hint: What to do about it.
    """

    cause: str
    hint: str


def find_suspect(
    data: HandEyeData, camera: str, score: float, rng: np.random.Generator
) -> Suspect | None:
    """Returns the mistake that explains one camera's data best, if any does.

    Args:
        data: Poses with the board in sight of that camera.
        camera: The camera.
        score: `Start.score` of the data as they are.
        rng: Draws the random sets of the solvers.
    """
    case = _case(data, camera)
    tried = [(undo(case, rng), suspect) for suspect, undo in _SUSPECTS]
    scores = [(start.score, suspect) for start, suspect in tried if start is not None]
    if scale := _scale(case, rng):
        scores.append(scale)
    if not scores:
        return None
    best, suspect = min(scores, key=lambda entry: entry[0])
    return suspect if best * _BETTER < score else None


@dataclass(frozen=True, slots=True)
class _Case:
    """One camera's poses and pictures.

    Attributes:
        data: Poses at which the board was seen.
        camera: The camera.
        sights: Where it was.
    """

    data: HandEyeData
    camera: str
    sights: list[BoardPose]


def _case(data: HandEyeData, camera: str) -> _Case:
    found = [
        (i, pose)
        for i, seen in enumerate(data.detections[camera])
        if seen is not None
        and (pose := board_pose(data.board, data.lenses[camera], seen)) is not None
    ]
    return _Case(data.chosen([i for i, _ in found]), camera, [pose for _, pose in found])


def _solve(case: _Case, poses: Array, rng: np.random.Generator) -> Start | None:
    starts = best_starts(
        case.data.mounting, poses, case.sights, rng, subsets=_SUBSETS, solvers=_QUICK
    )
    return starts[0] if starts else None


def _swapped(case: _Case, rng: np.random.Generator) -> Start | None:
    other = replace(case, data=replace(case.data, mounting=case.data.mounting.other))
    return _solve(other, case.data.base_T_gripper, rng)


def _mirrored(case: _Case, rng: np.random.Generator) -> Start | None:
    """Undoes a flip of left and right; the order of the corners is that of the mirror image."""
    data, camera = case.data, case.camera
    if data.board.dictionary:
        return None  # markers are not read in mirror images
    lens = data.lenses[camera]
    parameters = lens.parameters.copy()
    parameters[2] = lens.width - 1 - parameters[2]
    columns = data.board.columns - 1
    ids = np.arange(len(data.board.points))
    order = ids // columns * columns + (columns - 1 - ids % columns)
    seen: list[Detection | None] = []
    for one in data.detections[camera]:
        if one is not None:
            flipped = np.stack([lens.width - 1 - one.pixels[:, 0], one.pixels[:, 1]], axis=-1)
            seen.append(Detection(order[one.ids], flipped))
    lenses = {camera: replace(lens, parameters=parameters)}
    undone = _case(replace(data, lenses=lenses, detections={camera: seen}), camera)
    return _solve(undone, undone.data.base_T_gripper, rng)


def _rotation_changed(
    change: Callable[[Array], Array],
) -> Callable[[_Case, np.random.Generator], Start | None]:
    def undo(case: _Case, rng: np.random.Generator) -> Start | None:
        poses = case.data.base_T_gripper
        R = np.array([change(T[:3, :3]) for T in poses])
        return _solve(case, transform(R, poses[:, :3, 3]), rng)

    return undo


def _reordered(R: Array) -> Array:
    """Reads x y z w where w x y z was read."""
    return matrix_from_quat(np.roll(quat_from_matrix(R), 1))


_SUSPECTS: Sequence[tuple[Suspect, Callable[[_Case, np.random.Generator], Start | None]]] = (
    (
        Suspect(
            "the data fit the other mounting: the camera is not where it was said to be, or the "
            "poses are gripper_T_base",
            "try the other --mounting, or invert the poses",
        ),
        _swapped,
    ),
    (Suspect("the pictures are mirrored", "switch off the camera's flip"), _mirrored),
    (
        Suspect(
            "the quaternions are x y z w where w x y z is expected",
            "write them as quat_wxyz, scalar first",
        ),
        _rotation_changed(_reordered),
    ),
    (
        Suspect(
            "the rotations of the poses are transposed",
            "base_T_gripper maps gripper coordinates to base",
        ),
        _rotation_changed(np.transpose),
    ),
)


def _scale(case: _Case, rng: np.random.Generator) -> tuple[float, Suspect] | None:
    """A board of another size than stated: rotations are right, and translations are linear in it.

    G_R t_board + G_t = R_camera (s t_picture) + t_camera for every pose.
    """
    data = case.data
    start = _solve(case, data.base_T_gripper, rng)
    if start is None:
        return None
    G = data.mounting.seen_through(data.base_T_gripper)
    seen = np.array([sight.camera_T_board[:3, 3] for sight in case.sights])
    turned = seen @ start.parent_T_camera[:3, :3].T
    still = np.broadcast_to(np.eye(3), (len(G), 3, 3))
    A = np.concatenate([G[:, :3, :3], -still, -turned[..., None]], axis=-1)
    scale = float(_robust_lstsq(A, -G[:, :3, 3])[6])
    square_m = data.board.square_m * scale
    if not _SQUARES_M[0] < square_m < _SQUARES_M[1] or abs(scale - 1) < _SAME_SIZE:
        return None
    board = replace(data.board, square_m=square_m, marker_m=data.board.marker_m * scale)
    resized = _case(replace(data, board=board), case.camera)
    scaled = _solve(resized, resized.data.base_T_gripper, rng)
    if scaled is None:
        return None
    suspect = Suspect(
        f"the squares of the board look like {1000 * square_m:.3g} mm, "
        f"stated are {1000 * data.board.square_m:.3g} mm",
        "measure the print; sizes are in metres, and base_T_gripper too",
    )
    return scaled.score, suspect


def _robust_lstsq(A: Array, b: Array) -> Array:
    """Least squares over blocks (n, 3, k), the worse half weighted down."""
    weights = np.ones(len(A))
    x = np.zeros(A.shape[-1])
    for _ in range(20):
        w = np.sqrt(weights)[:, None]
        x = np.linalg.lstsq((A * w[..., None]).reshape(-1, A.shape[-1]), (b * w).ravel())[0]
        size = np.linalg.norm(A @ x - b, axis=-1)
        scale = max(float(np.median(size)), 1e-9)
        weights = 1.0 / (1.0 + (size / scale) ** 2)
    return x
