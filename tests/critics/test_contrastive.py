"""The contrastive verifier and the language reward: what each learns, and what it must not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, STATE
from robot_policy.core.robot import load_robot
from robot_policy.critics import module as keys
from robot_policy.critics.contrastive import Contrastive, ContrastiveConfig
from robot_policy.critics.language_reward import LanguageReward, LanguageRewardConfig, rewards_of
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION

SPEC = load_robot("panda_twin").spec()
SMALL = ContrastiveConfig(
    history=1, horizon=2, width=64, hidden=(64,), ensemble=2, embedding=16, text_features=8
)


def batch_of(size: int, seed: int) -> dict[str, torch.Tensor]:
    """Two instructions: move along the first entry, or against it. Most chunks are of the first."""
    generator = torch.Generator().manual_seed(seed)
    told = (torch.rand(size, generator=generator) < 0.25).long()
    way = 1.0 - 2.0 * told[:, None, None]
    chunk = 0.05 * torch.randn(size, 2, 7, generator=generator)
    chunk[..., :1] += 0.8 * way
    return {
        STATE: torch.randn(size, 1, SPEC.state.size, generator=generator),
        INSTRUCTION: torch.nn.functional.one_hot(told, 8).float(),
        ACTION: chunk,
        keys.SUCCESS: torch.ones(size),
        keys.RETURN: torch.rand(size, generator=generator),
    }


def train(module: torch.nn.Module, *, steps: int) -> None:
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for step in range(steps):
        draws = Draws(torch.Generator().manual_seed(step))
        loss = module.loss(batch_of(32, step), draws=draws)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()


def test_it_tells_what_was_asked_for() -> None:
    torch.manual_seed(0)
    module = Contrastive.build(SMALL, SPEC)
    train(module, steps=80)
    batch = batch_of(64, 1000)
    both = torch.stack([batch[ACTION], batch[ACTION] * torch.tensor([-1.0, *[1.0] * 6])], dim=1)
    with torch.no_grad():
        right, wrong = module.judge(module.encode(batch), both).mean(0).T
    assert (right > wrong).float().mean() > 0.95


def test_the_prior_is_put_back() -> None:
    """Without it what nobody ever does may win; with it, it cannot."""
    torch.manual_seed(0)
    module = Contrastive.build(SMALL, SPEC)
    train(module, steps=80)
    batch = batch_of(8, 1000)
    strange = 4.0 * torch.randn(8, 5, 2, 7, generator=torch.Generator().manual_seed(1))
    chunks = torch.cat([batch[ACTION][:, None], strange], dim=1)
    with torch.no_grad():
        judged = module.judge(module.encode(batch), chunks).mean(0)
        module.config = replace(SMALL, prior=0.0)
        without = module.judge(module.encode(batch), chunks).mean(0)
    assert (judged.argmax(1) == 0).all()
    assert ((without - judged)[:, 1:].mean(1) > (without - judged)[:, 0]).all()


def test_the_same_chunk_is_no_negative() -> None:
    """Where all rows did the same, there is nothing to contrast and no loss of it."""
    torch.manual_seed(0)
    module = Contrastive.build(replace(SMALL, wrong_instruction=0.0), SPEC)
    batch = batch_of(8, 0)
    batch[ACTION] = batch[ACTION][:1].expand(8, -1, -1).clone()
    draws = Draws(torch.Generator().manual_seed(0))
    density = module._density(batch[ACTION].flatten(1)[:, None]).mean()
    assert module.loss(batch, draws=draws).item() == pytest.approx(-density.item(), abs=1e-4)


def test_the_language_reward_rises_with_progress_for_the_right_words_only() -> None:
    torch.manual_seed(0)
    config = LanguageRewardConfig(
        history=1, horizon=2, width=64, hidden=(64,), ensemble=2, text_features=8
    )
    module = LanguageReward.build(config, SPEC)

    def seen(size: int, seed: int) -> dict[str, torch.Tensor]:
        batch = batch_of(size, seed)
        told = batch[INSTRUCTION].argmax(1)
        # How far it has got shows in the entry that belongs to what was asked for.
        batch[STATE][:, 0, 0] = torch.where(told == 0, batch[keys.RETURN], 0.0)
        batch[STATE][:, 0, 1] = torch.where(told == 1, batch[keys.RETURN], 0.0)
        return batch

    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for step in range(200):
        draws = Draws(torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        module.loss(seen(64, step), draws=draws).backward()
        optimizer.step()
    batch = seen(200, 5000)
    with torch.no_grad():
        values = module.judge(module.encode(batch), batch[ACTION][:, None]).mean(0)[:, 0]
    correlation = np.corrcoef(values.numpy(), batch[keys.RETURN].numpy())[0, 1]
    assert correlation > 0.6


def test_rewards_are_differences_and_add_up() -> None:
    progress = np.array([0.1, 0.3, 0.2, 0.9])
    rewards = rewards_of(progress)
    assert rewards[-1] == 0.0
    assert rewards.sum() == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"embedding": 0}, {"alike": -1.0}, {"variable_length": True}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(SMALL, **wrong)
