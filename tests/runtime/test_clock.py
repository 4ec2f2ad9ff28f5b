"""Both clocks go forward, and wait."""

import time

from robot_policy.runtime.clock import FakeClock, MonotonicClock


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(5)
    clock.advance_ns(10)
    clock.sleep_until_ns(12)
    assert clock.now_ns() == 15
    clock.sleep_until_ns(40)
    assert clock.now_ns() == 40


def test_the_monotonic_clock_sleeps_at_least_as_long_as_asked() -> None:
    clock = MonotonicClock()
    wake_ns = clock.now_ns() + 5_000_000
    clock.sleep_until_ns(wake_ns)
    assert clock.now_ns() >= wake_ns
    clock.sleep_until_ns(0)
    assert clock.now_ns() <= time.monotonic_ns()
