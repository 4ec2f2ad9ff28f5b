"""Past tokens in the loss, hidden history, and candidates that are asked about the past."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, STATE, Candidates, Windows
from robot_policy.core.robot import load_robot
from robot_policy.nets.draws import Draws
from robot_policy.policies.past_token import PastToken, PastTokenConfig
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.past_verification import PastVerification
from robot_policy.runtime.guidance.steered_policy import SteeredPolicy

SOURCE = load_robot("panda_twin").spec()
SIZE = SOURCE.action.size
TINY = {"history": 5, "prediction_length": 8, "width": 16, "layers": 2, "dropout": 0.0}


def build(**changes) -> PastToken:
    torch.manual_seed(0)
    return PastToken.build(PastTokenConfig(**{**TINY, **changes}), SOURCE)


def batch_for(module: PastToken, rows: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    length = module.spec.past + module.spec.horizon
    return {
        STATE: torch.randn(rows, module.spec.history, SOURCE.state.size, generator=generator),
        ACTION: torch.randn(rows, length, SIZE, generator=generator).clamp(-1, 1),
        "action_is_pad": torch.zeros(rows, length, dtype=torch.bool),
    }


def draws(step: int = 0) -> Draws:
    return Draws.of_step(0, step, device=torch.device("cpu"))


@pytest.mark.parametrize(("past_steps", "past"), [(-1, 4), (2, 4), (0, 0)])
def test_the_spec_says_what_it_predicts(past_steps: int, past: int) -> None:
    module = build(past_steps=past_steps, history_stride=3).eval()
    assert (module.spec.past, module.spec.horizon, module.spec.history_stride) == (past, 4, 3)
    noise = torch.randn(6, 2, *module.noise_shape)
    chunks = module.decode(batch_for(module), noise)
    assert chunks.shape == (6, 2, past + 4, SIZE)


def test_old_actions_count_only_where_they_are_in_the_loss() -> None:
    for past_steps, counts in ((-1, True), (2, False)):
        module = build(past_steps=past_steps)
        batch = batch_for(module)
        error = torch.zeros_like(batch[ACTION])
        error[:, 0] = 1.0  # the oldest of four past actions
        assert bool(module.regression(error, torch.zeros_like(error), batch) > 0) == counts
        error = torch.zeros_like(batch[ACTION])
        error[:, 2] = 1.0  # one of the two newest
        assert module.regression(error, torch.zeros_like(error), batch) > 0


def test_hidden_observations_look_like_the_beginning_of_an_episode() -> None:
    module = build(random_history=True)
    batch = batch_for(module)
    whole, hidden = module.encode(batch), module.encode(batch, draws=draws())
    firsts = set()
    for row in range(6):
        same = [torch.equal(hidden[row, i], whole[row, i]) for i in range(5)]
        first = same.index(True)
        firsts.add(first)
        assert same == [False] * first + [True] * (5 - first)
        assert all(torch.equal(hidden[row, i], whole[row, first]) for i in range(first))
    assert len(firsts) > 1
    assert torch.equal(build().encode(batch, draws=draws()), whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"past_steps": 5}, "past_steps and history"),
        ({"past_steps": -2}, "past_steps and history"),
        ({"past_steps": 0, "backbone": "unet"}, "past_steps and backbone"),
        ({"history_stride": 0}, "history_stride"),
    ],
)
def test_contradictions_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PastTokenConfig(**{**TINY, **changes})


SPEC = replace(SOURCE, history=4, horizon=4, past=3)


def windows(*, known: int) -> Windows:
    return Windows(
        state=np.zeros((1, 4, SPEC.state.size), np.float32),
        past=np.full((1, 3, SIZE), 0.01, np.float32),
        valid=np.ones((1, 4), bool),
        past_valid=(np.arange(3) >= 3 - known)[None],
    )


class Retells:
    """Candidate n says of the past what happened plus n cm, and moves n mm up; best comes last."""

    spec = SPEC

    def reset(self) -> None:
        """Nothing."""

    def sample(self, windows: Windows, *, num_samples: int = 1, generator) -> Candidates:
        actions = np.zeros((1, num_samples, 4, SIZE), np.float32)
        actions[..., 2] = 1e-3 * np.arange(num_samples)[None, :, None]
        past = np.repeat(windows.past[:, None], num_samples, axis=1).copy()
        past[..., 0] += 0.01 * np.arange(num_samples)[::-1][None, :, None]
        return Candidates(actions, past)


def test_who_retells_the_past_best_is_chosen() -> None:
    policy = SteeredPolicy(
        Retells(),
        PastVerification(SPEC),
        config=SteeringConfig(candidates=5, verify_past=True),
        scored_steps=2,
    )
    answer = policy.sample(windows(known=3), generator=np.random.default_rng(0))
    assert answer.steering[0].chosen == 4
    assert answer.actions[0, 0, 0, 2] == pytest.approx(4e-3)
    before = policy.sample(windows(known=0), generator=np.random.default_rng(0))
    assert before.steering[0].chosen == 0, "nothing is known, so its own first sample is taken"
    assert before.steering[0].fault == ""


def test_only_what_was_executed_is_compared() -> None:
    candidates = Retells().sample(windows(known=1), num_samples=2, generator=None)
    assert candidates.past is not None
    candidates.past[0, 1, :2] = 99.0
    scores = PastVerification(SPEC).score(windows(known=1), candidates)
    half = (SPEC.action.high[0] - SPEC.action.low[0]) / 2
    expected = [-((0.01 / half) ** 2) / SIZE, -1e-6]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-4)


def test_who_predicts_no_past_cannot_be_verified() -> None:
    with pytest.raises(ConfigError, match=r"policy runs/x: it predicts no past"):
        PastVerification(replace(SPEC, past=0), policy_name="runs/x")
    with pytest.raises(ConfigError, match="verify_past with gaussian"):
        SteeringConfig(verify_past=True, gaussian=0.5)
