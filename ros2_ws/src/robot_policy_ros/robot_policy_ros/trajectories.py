"""Joint trajectories to numpy and back; pure functions, no node."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_policy.core.errors import SpecError

_NS_PER_S = 1_000_000_000


def trajectory_message(
    names: Sequence[str], points: NDArray[np.floating[Any]], *, period_s: float
) -> JointTrajectory:
    """Builds a trajectory that begins when it arrives.

    Args:
        names: M joints.
        points: (n, M) positions [rad, or m for a finger], no velocities.
        period_s: From now to the first point, and from each to the next [s].
    """
    message = JointTrajectory(joint_names=list(names))
    message.points = [
        JointTrajectoryPoint(
            positions=[float(x) for x in point], time_from_start=_duration((i + 1) * period_s)
        )
        for i, point in enumerate(points)
    ]
    return message


def points_by_name(
    message: JointTrajectory, names: Sequence[str]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Returns the times (n,) [s] and positions (n, M) of `names`, whatever their order.

    Raises:
        SpecError: If there is no point, a joint is missing or another one there, a point has no
            position of each joint, something is not finite, or times do not increase.
    """
    if sorted(message.joint_names) != sorted(names):
        raise SpecError(
            "other joints",
            where="JointTrajectory",
            expected=", ".join(names),
            got=", ".join(message.joint_names) or "none",
        )
    points: Any = message.points
    if not points:
        raise SpecError("no point", where="JointTrajectory")
    if any(len(point.positions) != len(names) for point in points):
        raise SpecError("a point without a position of each joint", where="JointTrajectory")
    order = [list(message.joint_names).index(name) for name in names]
    positions = np.array([point.positions for point in points], dtype=np.float64)[:, order]
    times_s = np.array([_seconds(point.time_from_start) for point in points])
    if not np.isfinite(positions).all():
        raise SpecError("not finite", where="JointTrajectory")
    if times_s[0] < 0 or (np.diff(times_s) <= 0).any():
        raise SpecError("times must increase", where="JointTrajectory", got=times_s.tolist())
    return times_s, positions


def _duration(seconds: float) -> Duration:
    ns = round(seconds * _NS_PER_S)
    return Duration(sec=ns // _NS_PER_S, nanosec=ns % _NS_PER_S)


def _seconds(duration: Any) -> float:
    return duration.sec + duration.nanosec / _NS_PER_S
