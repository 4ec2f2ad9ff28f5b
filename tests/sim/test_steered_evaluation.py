"""A policy steered by a critic in the twin, from the command line, and what is recorded."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import save_critic, save_policy
from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.registry import CRITICS
from robot_policy.data.formats.registry import FORMATS
from robot_policy.policies.registry import POLICIES
from robot_policy.training.pipeline import make_pipeline
from sim.registry import TASKS
from sim.result import EvaluationResult


@pytest.fixture(scope="module")
def source() -> PolicySpec:
    task = TASKS["lift"]
    return load_robot("panda_twin").spec(environment_state=task.environment_state_spec)


def statistics(source: PolicySpec) -> dict[str, dict[str, np.ndarray]]:
    assert source.environment_state is not None
    sizes = {STATE: source.state.size, ENVIRONMENT_STATE: source.environment_state.size}
    ranges = {key: {"min": np.full(n, -2.0), "max": np.full(n, 2.0)} for key, n in sizes.items()}
    # Small, because an untrained policy draws noise, at which the safety filter would stop the arm.
    low, high = np.array(source.action.low), np.array(source.action.high)
    action = {"min": 0.05 * low, "max": 0.05 * high}
    return {**ranges, ACTION: action}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, source: PolicySpec) -> tuple[Path, Path]:
    """An untrained policy and an untrained critic."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("pair")
    policy_class = POLICIES["flow"]
    config = replace(policy_class.presets["cpu"], backbone="mlp", hidden=16, blocks=1)
    module = policy_class.build(config, source)
    shared = {"statistics": statistics(source), "training": {}}
    save_policy(
        folder / "policy",
        name="flow",
        module=module,
        pipeline=make_pipeline(module.spec, statistics(source), states="min_max"),
        weights=module.state_dict(),
        **shared,
    )
    critic_class = CRITICS["iql"]
    critic = critic_class.build(
        replace(critic_class.presets["cpu"], width=16, hidden=(16,)), source
    )
    save_critic(
        folder / "critic",
        name="iql",
        module=critic,
        pipeline=make_pipeline(critic.spec, statistics(source), states="min_max"),
        weights=critic.state_dict(),
        labels={},
        instructions=[TASKS["lift"].instruction],
        **shared,
    )
    return folder / "policy", folder / "critic"


def evaluate(pair: tuple[Path, Path], result: Path, *words: str) -> int:
    common = ("--task", "lift", "--episodes", "1", "--max-steps", "24", "--workers", "0")
    return main(["eval", str(pair[0]), *common, "--videos", "0", "--json", str(result), *words])


def test_a_steered_policy_is_evaluated_and_recorded(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ("--steer", str(pair[1]), "--candidates", "4", "--caution", "0")
    words += ("--record", str(tmp_path / "rollouts"), "--output", str(tmp_path / "report"))
    assert evaluate(pair, tmp_path / "result.json", *words) == 0
    result = EvaluationResult.load(tmp_path / "result.json")
    records = result.episodes[0].steering
    assert len(records) == 3
    assert all(record.value is not None and not record.fault for record in records)
    assert result.settings.steering["candidates"] == 4
    assert f"--steer {pair[1]} --candidates 4 --caution 0.0" in result.command
    assert "Value of what is executed" in (tmp_path / "report/report.html").read_text()
    (episode,) = FORMATS["lerobot_v3"].read(tmp_path / "rollouts", cameras=())
    assert episode.success == Success.NO
    assert len(episode) == 24
    assert episode.task == TASKS["lift"].instruction
    assert episode.metadata["policy"] == str(pair[0])
    # What is there already is not written again, another start is appended.
    again = ("--record", str(tmp_path / "rollouts"))
    assert evaluate(pair, tmp_path / "again.json", *again) == 0
    assert len(list(FORMATS["lerobot_v3"].read(tmp_path / "rollouts", cameras=()))) == 1
    assert evaluate(pair, tmp_path / "other.json", *again, "--seed", "100001") == 0
    assert len(list(FORMATS["lerobot_v3"].read(tmp_path / "rollouts", cameras=()))) == 2
    plain = EvaluationResult.load(tmp_path / "again.json").episodes[0]
    assert plain.steering == ()
    # Left alone, the steered policy does exactly what the policy does.
    assert evaluate(pair, tmp_path / "first.json", "--strategy", "first") == 0
    first = EvaluationResult.load(tmp_path / "first.json").episodes[0]
    assert (first.steps, first.return_) == (plain.steps, plain.return_)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--steer", "CRITIC", "--execute-steps", "4"), "critic .* for policy .*4 .execute_steps"),
        (("--steer", "POLICY"), "proposes actions and judges none"),
        (("--steer", "CRITIC", "--num-samples", "4"), "--num-samples with steering"),
        (("--steer", "CRITIC", "--strategy", "armax"), "unknown strategy .armax.*argmax"),
        (("--support", "CRITIC"), "--support without --steer"),
        (("--steer", "CRITIC", "--support", "CRITIC"), "not a support critic"),
        (("--steer", "CRITIC", "--candidates", "0"), "candidates: too small"),
    ],
)
def test_bad_pairs_and_settings_are_refused_in_one_line(
    pair: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    names = {"POLICY": str(pair[0]), "CRITIC": str(pair[1])}
    given = [names.get(word, word) for word in words]
    try:
        status = evaluate(pair, tmp_path / "result.json", *given)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert re.search(message, capsys.readouterr().err)
