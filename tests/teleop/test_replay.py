"""A recorded episode once more."""

from pathlib import Path

import numpy as np
import pytest
from driven_arm import DrivenArm

from robot_policy.core.episode import Episode
from robot_policy.core.errors import SafetyError
from robot_policy.runtime.clock import FakeClock
from robot_policy.teleop.replay import replay


def recorded(actions: np.ndarray) -> Episode:
    arm, states = DrivenArm(), []
    for action in actions:
        observation, _ = arm.observe()
        assert observation is not None
        states.append(observation.state)
        arm.send(action)
    return Episode(
        stamps_ns=np.arange(len(actions)) * 50_000_000,
        state=np.stack(states),
        actions=actions,
        task="push",
        rewards=np.zeros(len(actions), np.float32),
    )


def moves(step_m: float, count: int = 10) -> np.ndarray:
    actions = np.zeros((count, 7), np.float32)
    actions[:, 0] = step_m
    actions[count // 2 :, -1] = 1.0
    return actions


def test_a_replay_goes_where_the_episode_went_and_holds_at_the_end() -> None:
    arm = DrivenArm()
    result = replay(arm, recorded(moves(0.004)), clock=FakeClock())
    assert result.steps == 10
    assert result.limited == 0
    assert result.largest_error_m < 1e-4
    assert len(arm.actions) == 11
    assert not arm.actions[-1][:6].any()
    assert arm.actions[-1][-1] == 1.0


def test_what_was_recorded_beyond_the_limits_is_not_repeated() -> None:
    arm = DrivenArm()
    result = replay(arm, recorded(moves(0.2, count=4)), clock=FakeClock())
    assert result.limited == 4
    assert result.reasons
    assert max(abs(a[0]) for a in arm.actions) <= arm.robot.command.high[0]


def test_an_arm_that_is_elsewhere_does_not_move() -> None:
    arm = DrivenArm()
    arm.joints[2] += 0.3
    with pytest.raises(SafetyError, match=r"panda_joint3.*expected 0.000 rad.*got 0.300"):
        replay(arm, recorded(moves(0.004)), clock=FakeClock())
    assert not any(action[:6].any() for action in arm.actions)


def test_an_arm_that_cannot_be_seen_is_named() -> None:
    arm = DrivenArm()
    arm.silent = True
    with pytest.raises(SafetyError, match=r"joint_states: 0\.40 s old"):
        replay(arm, recorded(moves(0.004)), clock=FakeClock())


@pytest.mark.slow
def test_a_demonstration_is_replayed_in_the_twin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("robosuite")
    from robot_policy.cli.main import main

    dataset = tmp_path / "set"
    words = ["collect", "lift", "--output", str(dataset), "--episodes", "1", "--workers", "1"]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["replay", str(dataset)]) == 0
    assert "task reached; the end effector was at most 0.0 mm" in capsys.readouterr().out
    assert main(["replay", str(dataset), "--episode", "7"]) == 2
    assert "expected 0 .. 0; got 7" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 2
