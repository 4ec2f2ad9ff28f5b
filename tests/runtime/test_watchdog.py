"""Holds, faults that stay, and clocks that jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError
from robot_policy.runtime.watchdog import Verdict, Watchdog, WatchdogLimits
from robot_policy.runtime.worker import WorkerState

IDLE = WorkerState()
PERIOD_NS = 50_000_000


class Rig:
    """A watchdog that is asked once per control period."""

    def __init__(self, limits: WatchdogLimits | None = None) -> None:
        self.watchdog = Watchdog(limits or WatchdogLimits())
        self.now_ns = 1_000_000_000
        self.stamps_ns = 1_700_000_000_000_000_000

    def check(
        self,
        *problems: str,
        worker: WorkerState = IDLE,
        moved: bool = True,
        after_ns: int = PERIOD_NS,
        stamps_after_ns: int | None = None,
    ) -> Verdict:
        self.now_ns += after_ns
        self.stamps_ns += after_ns if stamps_after_ns is None else stamps_after_ns
        return self.watchdog.check(
            now_ns=self.now_ns,
            stamps_now_ns=self.stamps_ns,
            problems=problems,
            worker=worker,
            moved=moved,
        )

    def busy_for(self, duration_s: float) -> WorkerState:
        return WorkerState(busy_since_ns=self.now_ns + PERIOD_NS - round(duration_s * 1e9))


def test_nothing_wrong_means_go() -> None:
    rig = Rig()
    assert all(rig.check(worker=rig.busy_for(0.9)).may_move for _ in range(100))


def test_a_problem_is_a_hold_at_once_and_ends_with_its_cause() -> None:
    rig = Rig()
    verdict = rig.check("wrist: 0.40 s old")
    assert verdict == Verdict(("wrist: 0.40 s old",))
    assert not verdict.may_move
    assert rig.check().may_move


def test_a_problem_that_lasts_becomes_a_fault_that_stays() -> None:
    rig = Rig()
    faults = [rig.check("joint_states: no message").fault for _ in range(22)]
    assert faults[:20] == [None] * 20
    assert faults[20:] == ["joint_states: no message"] * 2
    after = rig.check()
    assert after.problems == ()
    assert after.fault == "joint_states: no message"
    assert not after.may_move
    rig.watchdog.reset()
    assert rig.check().may_move


def test_problems_that_come_and_go_never_add_up() -> None:
    rig = Rig()
    for _ in range(10):
        for _ in range(15):
            assert rig.check("wrist: 0.40 s old").fault is None
        assert rig.check().may_move


def test_an_arm_that_has_not_moved_waits_for_its_inputs() -> None:
    rig = Rig()
    for _ in range(100):
        verdict = rig.check("wrist: no message", moved=False)
        assert verdict.fault is None
        assert not verdict.may_move
    assert rig.check("wrist: no message").fault is None


def test_an_overdue_plan_holds_then_is_a_fault() -> None:
    rig = Rig(WatchdogLimits(plan_deadline_s=0.5, fault_after_s=0.2))
    assert rig.check(worker=rig.busy_for(0.5)).may_move
    busy = rig.busy_for(0.51)
    verdicts = [rig.check(worker=busy, moved=False) for _ in range(5)]
    assert [v.may_move for v in verdicts] == [False] * 5
    assert [v.fault for v in verdicts] == [None] * 4 + ["the plan takes longer than 0.5 s"]


def test_asking_again_does_not_make_good_an_overdue_plan() -> None:
    """A server that hangs is asked again and again, and never for longer than the deadline."""
    rig = Rig(WatchdogLimits(plan_deadline_s=0.5, fault_after_s=0.5))
    assert rig.check(worker=rig.busy_for(0.51)).problems
    verdicts = [rig.check(worker=rig.busy_for(0.1)) for _ in range(10)]
    assert verdicts[0].may_move, "where there is a plan, it may be executed"
    assert verdicts[-1].fault == "the plan takes longer than 0.5 s"


def test_an_answer_in_time_makes_good_an_overdue_plan() -> None:
    rig = Rig(WatchdogLimits(plan_deadline_s=0.5, fault_after_s=0.5))
    assert rig.check(worker=rig.busy_for(0.51)).problems
    rig.watchdog.planned()
    assert all(rig.check().may_move for _ in range(40))


def test_a_dead_worker_is_a_fault_at_once() -> None:
    rig = Rig()
    verdict = rig.check(worker=WorkerState(died="ended with exit status -9"), moved=False)
    assert verdict.fault == "ended with exit status -9"


def test_a_worker_that_could_not_answer_is_a_hold_at_once_and_a_fault_if_it_lasts() -> None:
    rig = Rig(WatchdogLimits(fault_after_s=0.5))
    lost = WorkerState(problem="no connection to ws://gpu:1")
    verdicts = [rig.check(worker=lost) for _ in range(12)]
    assert verdicts[0] == Verdict(("no connection to ws://gpu:1",))
    assert verdicts[-1].fault == "no connection to ws://gpu:1"
    assert Rig().check().may_move


def test_the_first_fault_is_the_one_that_is_told() -> None:
    rig = Rig()
    rig.watchdog.latch("emergency stop")
    assert rig.check(worker=WorkerState(died="killed")).fault == "emergency stop"


@pytest.mark.parametrize(
    ("step_s", "real_time", "words"),
    [
        (0.3, True, "jumped ahead by 0.25 s"),
        (3600.05, True, "jumped ahead by 3600.00 s"),
        (-0.3, True, "jumped back by 0.35 s"),
        (-0.3, False, "jumped back by 0.30 s"),
    ],
)
def test_a_clock_that_jumps_is_a_fault(step_s: float, real_time: bool, words: str) -> None:
    rig = Rig(WatchdogLimits(real_time=real_time))
    assert rig.check().may_move
    fault = rig.check(stamps_after_ns=round(step_s * 1e9)).fault
    assert fault is not None
    assert words in fault


def test_a_simulated_clock_may_pause_and_race() -> None:
    rig = Rig(WatchdogLimits(real_time=False))
    assert rig.check(stamps_after_ns=0).may_move
    assert rig.check(stamps_after_ns=10_000_000_000).may_move


def test_a_late_check_is_no_jump() -> None:
    rig = Rig()
    rig.check()
    assert rig.check(after_ns=5_000_000_000).may_move


@given(st.lists(st.booleans(), max_size=200))
def test_it_never_moves_with_a_problem_and_faults_only_after_enough_of_them(
    broken: list[bool],
) -> None:
    rig, in_a_row, latched = Rig(), 0, False
    for is_broken in broken:
        verdict = rig.check(*(["old"] if is_broken else []))
        in_a_row = in_a_row + 1 if is_broken else 0
        latched = latched or in_a_row > 20
        assert (verdict.fault is not None) == latched
        assert verdict.may_move == (not is_broken and not latched)


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="plan_deadline_s"):
        WatchdogLimits(plan_deadline_s=0.0)
    with pytest.raises(ConfigError, match="fault_after_s"):
        WatchdogLimits(fault_after_s=float("nan"))
