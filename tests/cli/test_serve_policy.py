"""`robot-policy serve-policy` as a process, and `eval` that asks it."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("websockets")

from robot_policy.cli.main import main
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.serving.remote_policy import RemotePolicy
from robot_policy.serving.token import is_authorized, read_or_make_token, read_token
from robot_policy.serving.warm_up import neutral_windows


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diffusion policy with random weights."""
    import torch

    from robot_policy.checkpoint import save_policy
    from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
    from robot_policy.training.pipeline import make_pipeline
    from sim.registry import TASKS

    torch.manual_seed(0)
    source = load_robot("panda_twin").spec(environment_state=TASKS["lift"].environment_state_spec)
    config = DiffusionConfig(channels=(16, 16), step_embedding=16, sample_steps=2)
    module = Diffusion.build(config, source)
    assert source.environment_state is not None
    sizes = {
        STATE: source.state.size,
        ACTION: source.action.size,
        ENVIRONMENT_STATE: source.environment_state.size,
    }
    statistics = {
        key: {
            "min": np.full(size, -0.01),
            "max": np.full(size, 0.01),
            "mean": np.zeros(size),
            "std": np.ones(size),
        }
        for key, size in sizes.items()
    }
    folder = tmp_path_factory.mktemp("checkpoint") / "policy"
    save_policy(
        folder,
        name="diffusion",
        module=module,
        pipeline=make_pipeline(module.spec, statistics, states="min_max"),
        statistics=statistics,
        weights=module.state_dict(),
        training={},
    )
    return folder


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret") / "token"


@pytest.fixture(scope="module")
def url(checkpoint: Path, token_file: Path) -> Iterator[str]:
    words = ["serve-policy", str(checkpoint), "--port", "0", "--token-file", str(token_file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_policy.cli.main", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        line = process.stdout.readline()
        assert f"token in {token_file}" in line
        yield line.split(" at ")[1].partition(",")[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_an_evaluation_through_the_server_is_the_one_here(
    url: str, checkpoint: Path, token_file: Path, tmp_path: Path
) -> None:
    options = ["--task", "lift", "--episodes", "1", "--max-steps", "9", "--workers", "0"]
    options += ["--videos", "0", "--json"]
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    assert main(["eval", str(checkpoint), *options, str(here)]) == 0
    server = ["--server", url, "--token-file", str(token_file)]
    assert main(["eval", *server, *options, str(there)]) == 0
    results = [json.loads(path.read_text()) for path in (here, there)]
    assert results[1]["checkpoint"] == url
    assert f"--server {url}" in results[1]["command"]
    episodes = [result["episodes"][0] for result in results]
    assert episodes[0]["steps"] == episodes[1]["steps"] == 9
    assert episodes[0]["return"] == pytest.approx(episodes[1]["return"], abs=1e-9)


def test_the_server_draws_as_the_checkpoint_here(
    url: str, checkpoint: Path, token_file: Path
) -> None:
    from robot_policy.checkpoint import load_policy

    local = load_policy(checkpoint)
    windows = neutral_windows(local.spec, 1)
    with RemotePolicy.connect(url, token=read_token(token_file), deadline_s=30) as remote:
        assert remote.metadata.name == str(checkpoint)
        got, expected = (
            p.sample(windows, num_samples=4, generator=np.random.default_rng(1))
            for p in (remote, local)
        )
    np.testing.assert_allclose(got.actions, expected.actions, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["eval", "--task", "lift"], "give one of both; got neither"),
        (["eval", "x", "--server", "ws://y", "--task", "lift"], "give one of both; got x and ws"),
        (["serve"], "give one of both"),
        (["eval", "--server", "ws://127.0.0.1:1", "--task", "lift"], "127.0.0.1:1: no connection"),
        (
            ["eval", "--server", "ws://127.0.0.1:1", "--task", "lift", "--options", "a=1"],
            "the server decides how its policy draws",
        ),
        (["serve-policy", "/nowhere"], "/nowhere: no such checkpoint"),
        (["serve-policy", "x", "--port", "70000"], "--port: out of range; expected 0 .. 65535"),
        (["serve-policy", "x", "--tls-cert", "y"], "give both or neither"),
        (["serve-policy", "x", "--max-message-mb", "0"], "--max-message-mb: out of range"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROBOT_POLICY_TOKEN", "a-token-of-these-tests")
    assert main(words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert line in lines[0]


def test_the_token_is_made_once_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ROBOT_POLICY_TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"robot-policy/token: no token"):
        read_token()
    token, place = read_or_make_token()
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    assert read_or_make_token() == (token, place)
    assert read_token() == token
    assert len(token) >= 32
    monkeypatch.setenv("ROBOT_POLICY_TOKEN", "another-token-in-a-variable")
    assert read_or_make_token() == ("another-token-in-a-variable", "$ROBOT_POLICY_TOKEN")
    assert read_token(Path(place)) == token, "a file that is named comes first"
    (tmp_path / "short").write_text("secret")
    with pytest.raises(ConfigError, match="at least 16 printable characters"):
        read_token(tmp_path / "short")


@pytest.mark.parametrize(
    ("header", "admitted"),
    [
        ("Api-Key {}", True),
        ("Bearer {}", True),
        ("api-key  {} ", True),
        ("Basic {}", False),
        ("{}", False),
        ("Api-Key x{}", False),
        ("Api-Key", False),
        ("Api-Key \udcff", False),
        (None, False),
    ],
)
def test_only_the_token_opens(header: str | None, admitted: bool) -> None:
    token = "a-token-of-these-tests"
    assert is_authorized(header and header.format(token), token) is admitted
