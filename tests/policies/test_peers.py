"""Policies of lerobot and robomimic, run as ours."""

import importlib.util
import logging
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, OBSERVATION_IS_PAD, STATE
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.module import PolicyModule
from robot_policy.policies.peers.lerobot_diffusion import LerobotDiffusion
from robot_policy.policies.peers.library import quiet_library
from robot_policy.policies.peers.randomness import drawn_from, given_noise
from robot_policy.policies.peers.robomimic_bc_rnn import RobomimicBcRnn, draw_mixture
from robot_policy.policies.registry import POLICIES

SOURCE = load_robot("panda_twin").spec(environment_state=ArraySpec(shape=(3,)))
CPU = torch.device("cpu")


def peer(name: str, **settings: Any) -> PolicyModule:
    policy_class = POLICIES[name]
    if importlib.util.find_spec(policy_class.library) is None:
        pytest.skip(f"{policy_class.library} is not installed")
    torch.manual_seed(0)
    config = replace(policy_class.presets["cpu"], **settings)
    return policy_class.build(config, SOURCE)


def batch_for(module: PolicyModule, *, rows: int) -> dict[str, torch.Tensor]:
    spec, generator = module.spec, torch.Generator().manual_seed(1)
    length = spec.past + spec.horizon
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return {
        STATE: draw(rows, spec.history, spec.state.size),
        ENVIRONMENT_STATE: draw(rows, spec.history, 3),
        OBSERVATION_IS_PAD: torch.zeros(rows, spec.history, dtype=torch.bool),
        ACTION: draw(rows, length, spec.action.size).tanh(),
        "action_is_pad": torch.zeros(rows, length, dtype=torch.bool),
    }


def test_the_registry_imports_neither_library() -> None:
    """Nobody who runs another policy waits for them, or sees what their import does."""
    code = (
        "import sys\n"
        "from robot_policy.policies.registry import POLICIES\n"
        "[POLICIES[name] for name in POLICIES if name.startswith(('lerobot', 'robomimic'))]\n"
        "print([m for m in ('lerobot', 'robomimic') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_a_library_leaves_output_and_logging_alone(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    with quiet_library("some_library"):
        print("a banner")
        logging.basicConfig(level=logging.DEBUG, force=True)
    assert (root.handlers, root.level) == before
    assert capsys.readouterr().out == ""


def test_a_missing_library_is_left_to_the_command_line() -> None:
    with pytest.raises(ModuleNotFoundError), quiet_library("some_library"):
        raise ModuleNotFoundError(name="some_library.part")


def test_a_broken_library_is_named() -> None:
    refused = pytest.raises(ConfigError, match="some_library cannot be imported")
    with refused, quiet_library("some_library"):
        raise ModuleNotFoundError("No module named 'draccus'", name="draccus")


def test_what_torch_draws_comes_from_the_draws() -> None:
    def drawn() -> list[torch.Tensor]:
        with drawn_from(Draws(torch.Generator().manual_seed(3)), rows=2, device=CPU):
            return [
                torch.randn(2, 3),
                torch.randn(size=(2, 1)),
                torch.randn_like(torch.zeros(2, 2)),
                torch.randint(low=0, high=9, size=(2,)),
                torch.nn.functional.dropout(torch.ones(50)),
            ]

    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = drawn()
    torch.testing.assert_close(torch.get_rng_state(), state)
    torch.manual_seed(1)
    for a, b in zip(first, drawn(), strict=True):
        torch.testing.assert_close(a, b)


def test_noise_of_another_shape_is_not_taken() -> None:
    with pytest.raises(RuntimeError, match="the library drew"), given_noise(iter([torch.zeros(2)])):
        torch.randn(3)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["lerobot_diffusion", "lerobot_act", "robomimic_bc_rnn"])
def test_the_loss_depends_on_the_draws_alone(name: str) -> None:
    module = peer(name).train()
    batch = batch_for(module, rows=4)
    losses = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        losses.append(module.loss(batch, draws=Draws.of_step(0, 7, device=CPU)).item())
    assert losses[0] == losses[1]


@pytest.mark.peer
def test_lerobots_loss_does_not_depend_on_how_a_batch_is_divided() -> None:
    module = peer("lerobot_diffusion").train()
    batch = batch_for(module, rows=4)
    whole = module.loss(batch, draws=Draws.of_step(0, 7, device=CPU))
    parts = [
        module.loss(
            {key: value[rows] for key, value in batch.items()},
            draws=Draws.of_step(0, 7, device=CPU, rows=rows, total=4),
        )
        for rows in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


@pytest.mark.peer
@torch.inference_mode()
def test_ddpm_draws_its_steps_from_the_noise_of_the_row() -> None:
    module = peer("lerobot_diffusion", noise_scheduler_type="DDPM", num_inference_steps=5).eval()
    assert module.noise_shape == (5, 16, SOURCE.action.size)
    batch = batch_for(module, rows=2)
    noise = torch.randn(2, 3, *module.noise_shape)
    answer = module.decode(batch, noise)
    torch.testing.assert_close(module.decode(batch, noise), answer)
    other = noise.clone()
    other[1, 1, 2:] = 0
    changed = (module.decode(batch, other) != answer).flatten(2).any(-1)
    assert changed.tolist() == [[False, False, False], [False, True, False]]


@pytest.mark.peer
@pytest.mark.parametrize("padding", [0, 3, 9])
@torch.inference_mode()
def test_the_hidden_state_starts_at_the_first_observation(padding: int) -> None:
    """What is repeated before it changes nothing: robomimic would not have seen it."""
    module = peer("robomimic_bc_rnn").eval()
    batch = batch_for(module, rows=1)
    batch[OBSERVATION_IS_PAD][:, :padding] = True
    noise = torch.randn(1, 2, *module.noise_shape)
    answer = module.decode(batch, noise)[:, :, padding:]
    policy, state = module.nets["policy"], None  # pyright: ignore
    for step in range(padding, module.spec.history):
        observation = {"object": batch[ENVIRONMENT_STATE], "state": batch[STATE]}
        mixture, state = policy.forward_train_step(
            {name: value[:, step] for name, value in observation.items()}, rnn_state=state
        )
        normal = mixture.component_distribution.base_dist
        drawn = draw_mixture(
            mixture.mixture_distribution.logits[:, None],
            normal.loc[:, None],
            normal.scale[:, None],
            noise[:, :, step : step + 1],
        )
        torch.testing.assert_close(answer[:, :, step - padding], drawn[:, :, 0])


def test_mixtures_are_drawn_with_their_probabilities() -> None:
    probabilities = torch.tensor([0.2, 0.0, 0.5, 0.3])
    means = torch.arange(4.0)[:, None].expand(4, 2)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 20_000, 1, 3))).float()
    drawn = draw_mixture(
        probabilities.log()[None, None], means[None, None], torch.full((1, 1, 4, 2), 0.01), noise
    )
    modes = drawn[0, :, 0].round()
    assert (modes[:, 0] == modes[:, 1]).all()
    share = torch.stack([(modes[:, 0] == mode).float().mean() for mode in range(4)])
    torch.testing.assert_close(share, probabilities, atol=0.02, rtol=0)
    assert (drawn[0, :, 0] - modes).std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 6}, "horizon: horizon does not suit"),
        ({"num_inference_steps": 101}, "num_inference_steps: out of range"),
    ],
)
def test_wrong_settings_of_lerobots_diffusion(settings: dict[str, int], message: str) -> None:
    config = replace(LerobotDiffusion.presets["cpu"], **settings)
    with pytest.raises(ConfigError, match=message):
        LerobotDiffusion.complete_spec(config, SOURCE)


def test_a_recurrent_policy_needs_a_sequence() -> None:
    config = replace(RobomimicBcRnn.presets["cpu"], horizon=1)
    with pytest.raises(ConfigError, match="unrolled over one step"):
        RobomimicBcRnn.complete_spec(config, SOURCE)
