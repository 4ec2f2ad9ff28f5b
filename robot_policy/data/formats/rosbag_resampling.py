"""Steps out of streams of messages: what was known at each moment, never what came later.

The rules are those of the recorder node, so that a bag becomes the dataset that the recorder writes
beside it.
"""

import numpy as np
from numpy.typing import NDArray

type Times = NDArray[np.int64]
"""Times of messages [ns], ascending."""

MISSING = -1


def as_of(times: Times, moments: Times, *, oldest_ns: int) -> NDArray[np.int64]:
    """Returns for every moment the last message that is not younger, `MISSING` if it is too old.

    Args:
        times: (M,) of the messages.
        moments: (N,) ascending.
        oldest_ns: Greatest age that a message may have [ns].

    Returns:
        (N,) indices.
    """
    if not len(times):
        return np.full(len(moments), MISSING)
    found = np.searchsorted(times, moments, side="right") - 1
    age = moments - times[np.maximum(found, 0)]
    return np.where((found >= 0) & (age <= oldest_ns), found, MISSING)


def nearest(times: Times, moments: Times, *, skew_ns: int) -> NDArray[np.int64]:
    """Returns for every moment the message measured with it, `MISSING` where none was.

    A pose and the joints that it belongs to are measured together but stamped apart; so it may be
    younger by a little, which nothing else may.

    Args:
        times: (M,) of the messages.
        moments: (N,) ascending.
        skew_ns: Greatest distance in time [ns].

    Returns:
        (N,) indices.
    """
    if not len(times):
        return np.full(len(moments), MISSING)
    after = np.searchsorted(times, moments)
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(times) - 1)
    closer = np.abs(times[after] - moments) < np.abs(times[before] - moments)
    found = np.where(closer, after, before)
    return np.where(np.abs(times[found] - moments) <= skew_ns, found, MISSING)


def due(moments: Times, *, period_ns: int) -> NDArray[np.int64]:
    """Returns which of the observations become steps: one per control period.

    Stamps of a stream at just the control rate jitter, and none of it may be skipped for that; so a
    step may come a quarter of a period early, and counts from where it was due.

    Args:
        moments: (N,) of observations, ascending.
        period_ns: Control period [ns].
    """
    slack_ns = period_ns // 4
    chosen: list[int] = []
    due_ns: int | None = None
    for index, moment in enumerate(moments.tolist()):
        if due_ns is None:
            due_ns = moment
        if due_ns > moment + slack_ns:
            continue
        chosen.append(index)
        due_ns = max(due_ns, moment - slack_ns) + period_ns
    return np.array(chosen, dtype=np.int64)


def missed_steps(moments: Times, *, period_ns: int) -> int:
    """Number of control periods between the steps that have no observation."""
    gaps = np.round(np.diff(moments) / period_ns).astype(int) - 1
    return int(np.maximum(gaps, 0).sum())


def motions(
    times: Times,
    commands: NDArray[np.floating],
    *,
    moments: Times,
    end_ns: int,
    is_delta: bool,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns the motion of every step, and whether there is one.

    It is the mean of the commands sent after the observation, until the next one. Without any, a
    displacement is zero and a place is where the last command sent the arm.

    Args:
        times: (M,) of the commands.
        commands: (M, D).
        moments: (N,) of the steps.
        end_ns: Until when commands belong to the last step [ns].
        is_delta: Whether commands are displacements.

    Returns:
        (N, D) and (N,).
    """
    size = commands.shape[1]
    first = np.searchsorted(times, moments, side="right")
    last = np.searchsorted(times, np.append(moments[1:], end_ns), side="right")
    found = np.zeros((len(moments), size))
    known = np.full(len(moments), is_delta)
    for step, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        if end > begin:
            found[step], known[step] = commands[begin:end].mean(axis=0), True
        elif not is_delta and begin:
            found[step], known[step] = commands[begin - 1], True
    return found, known


def grippers(
    times: Times, fractions: NDArray[np.float64], *, moments: Times, end_ns: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns what the gripper was commanded last before the next step, and where it was at all.

    Args:
        times: (M,) of the commands.
        fractions: (M,) 0 open .. 1 closed.
        moments: (N,) of the steps.
        end_ns: Until when commands belong to the last step [ns].

    Returns:
        (N,) and (N,).
    """
    if not len(times):
        return np.zeros(len(moments)), np.zeros(len(moments), dtype=bool)
    last = np.searchsorted(times, np.append(moments[1:], end_ns), side="right") - 1
    return fractions[np.maximum(last, 0)], last >= 0
