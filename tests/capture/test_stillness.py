"""Still is still for a while, by positions and by velocities."""

import numpy as np

from robot_policy.capture.stillness import Stillness


def told(still: Stillness, positions: list[float], *, speed: float | None = 0.0) -> list[bool]:
    velocities = None if speed is None else np.array([speed])
    return [
        still.put(i * 50_000_000, np.array([position]), velocities)
        for i, position in enumerate(positions)
    ]


def test_an_arm_at_rest_is_still_after_the_window() -> None:
    assert told(Stillness(window_s=0.2), [1.0] * 7) == [False] * 4 + [True] * 3


def test_one_that_creeps_is_not() -> None:
    creeping = [1.0 + 0.001 * i for i in range(12)]
    assert not any(told(Stillness(window_s=0.2), creeping, speed=None))


def test_one_that_says_it_moves_is_not_though_its_positions_are_coarse() -> None:
    assert not any(told(Stillness(window_s=0.2), [1.0] * 12, speed=0.05))


def test_a_jerk_begins_the_wait_anew() -> None:
    assert told(Stillness(window_s=0.1), [1, 1, 1, 1.1, 1.1, 1.1], speed=None) == [
        *(False, False, True),
        *(False, False, True),
    ]


def test_a_clock_that_goes_back_begins_the_wait_anew() -> None:
    still = Stillness(window_s=0.1)
    told(still, [1.0] * 5)
    assert not still.put(0, np.array([1.0]))
