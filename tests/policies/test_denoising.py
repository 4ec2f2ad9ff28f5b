"""Samplers against their equations and against diffusers; prefixes, sharing, density."""

import itertools

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.policies.consistency import ConsistencyConfig
from robot_policy.policies.denoising.config import DenoisingConfig
from robot_policy.policies.denoising.consistency_process import ConsistencyProcess
from robot_policy.policies.denoising.density import densest
from robot_policy.policies.denoising.diffusion_process import (
    DiffusionProcess,
    clean_chunk,
    ddim_step,
    ddim_times,
    squared_cosine,
    target_of,
)
from robot_policy.policies.denoising.flow_process import FlowProcess
from robot_policy.policies.denoising.process import Process
from robot_policy.policies.denoising.sampler import Known, denoise, draws_needed
from robot_policy.policies.diffusion import DiffusionConfig
from robot_policy.policies.flow import FlowConfig

KINDS = ("epsilon", "sample", "v")
CENTRE = torch.linspace(-0.6, 0.6, 12).reshape(1, 1, 4, 3)


def processes() -> list[Process]:
    return [
        *(
            DiffusionProcess(train_steps=50, steps=steps, sampler=sampler, prediction="epsilon")
            for sampler, steps in (("ddim", 10), ("ddpm", 50), ("dpm_solver", 8))
        ),
        FlowProcess(steps=4),
        ConsistencyProcess([40, 20], [0.1, 0.6], "sample"),
    ]


def oracle(process: Process):
    """The best network where every chunk is CENTRE: it recovers the noise exactly."""

    def predict(x: Tensor, time: float) -> Tensor:
        if isinstance(process, FlowProcess):
            s = time / 1000
            return (CENTRE - x) / (1 - s)
        if isinstance(process, ConsistencyProcess):
            return CENTRE.expand_as(x)
        abar = squared_cosine(50)[int(time)]
        return (x - abar.sqrt() * CENTRE) / (1 - abar).sqrt()

    return predict


def noise_for(process: Process, count: int, *, shared: int = 0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    draws = draws_needed(process, shared_steps=shared)
    return torch.randn(2, count, draws, 4, 3, generator=generator)


@pytest.mark.parametrize("process", processes(), ids=lambda p: type(p).__name__)
def test_with_a_perfect_network_every_sampler_finds_the_chunk(process: Process) -> None:
    drawn = denoise(process, oracle(process), noise_for(process, 3))
    assert drawn.shape == (2, 3, 4, 3)
    torch.testing.assert_close(drawn, CENTRE.expand_as(drawn), atol=1e-3, rtol=0)


def test_ancestral_steps_are_those_of_diffusers_ddpm() -> None:
    """Same network, same noise: DDIM with eta = 1 on every step is DDPM."""
    process = DiffusionProcess(train_steps=20, steps=20, sampler="ddpm", prediction="epsilon")
    scheduler = DDPMScheduler(20, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    x = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(1))
    for level in range(20):
        k = 19 - level
        prediction = 0.3 * x + 0.1 * k / 20
        generator = torch.Generator().manual_seed(level)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(level))
        ours = process.step(prediction, x, level, noise)
        theirs = scheduler.step(prediction, k, x, generator=generator).prev_sample
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        x = theirs


@pytest.mark.parametrize("kind", KINDS)
def test_every_target_means_the_clean_chunk(kind) -> None:
    clean, noise = torch.rand(6, 4, 3) * 2 - 1, torch.randn(6, 4, 3)
    abar = squared_cosine(50)[torch.randint(45, (6,))][:, None, None]
    x = abar.sqrt() * clean + (1 - abar).sqrt() * noise
    found = clean_chunk(target_of(clean, noise, abar, kind), x, abar, kind)
    torch.testing.assert_close(found, clean, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ddim_step_by_rows_is_the_samplers(kind) -> None:
    process = DiffusionProcess(train_steps=50, steps=10, sampler="ddim", prediction=kind)
    abar = torch.cat([squared_cosine(50)[ddim_times(50, 10)], torch.ones(1)])
    x, prediction = torch.randn(10, 4, 3), torch.randn(10, 4, 3)
    rows = ddim_step(prediction, x, abar[:-1, None, None], abar[1:, None, None], kind)
    for level in range(10):
        one = process.step(prediction[level], x[level], level, None)
        torch.testing.assert_close(rows[level], one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("process", processes(), ids=lambda p: type(p).__name__)
def test_noising_goes_from_noise_to_the_clean_chunk(process: Process) -> None:
    clean, noise = torch.rand(1, 4, 3), torch.randn(1, 4, 3)
    distance = [
        (process.noised(clean, noise, level) - clean).norm() for level in range(process.steps)
    ]
    assert all(a > b for a, b in itertools.pairwise(distance))


@pytest.mark.parametrize("process", processes()[:4], ids=lambda p: type(p).__name__)
def test_what_is_known_stays_exactly(process: Process) -> None:
    actions = torch.randn(2, 4, 3)
    where = torch.tensor([False, True, True, False])[:, None]
    seen: list[Tensor] = []

    def predict(x: Tensor, time: float) -> Tensor:
        seen.append(x)
        return oracle(process)(x, time)

    noise = noise_for(process, 3)
    drawn = denoise(process, predict, noise, known=Known(actions, where))
    expected = actions[:, None].expand(-1, 3, -1, -1)
    torch.testing.assert_close(drawn[:, :, 1:3], expected[:, :, 1:3], atol=0, rtol=0)
    for level, x in enumerate(seen):
        noised = process.noised(actions[:, None], noise[:, :, 0], level)
        torch.testing.assert_close(x[:, :, 1:3], noised[:, :, 1:3])


@pytest.mark.parametrize("process", processes()[:4], ids=lambda p: type(p).__name__)
def test_shared_steps_leave_the_first_candidate_and_cost_less(process: Process) -> None:
    calls: list[int] = []

    def predict(x: Tensor, time: float) -> Tensor:
        calls.append(x.shape[1])
        return torch.tanh(x) * 0.7 + time / 1000

    shared = process.steps - 1
    noise = noise_for(process, 5, shared=shared)
    drawn = denoise(process, predict, noise, shared_steps=shared)
    assert calls == [1] * shared + [5]
    assert (drawn[:, 1:] - drawn[:, :1]).abs().amax((2, 3)).min() > 1e-4
    alone = denoise(process, predict, noise[:, :1, :-1])
    torch.testing.assert_close(drawn[:, :1], alone, atol=1e-5, rtol=1e-5)


def test_a_solver_that_remembers_begins_anew_where_candidates_branch_off() -> None:
    """So its first candidate changes, unless the step after the branch is of first order anyway."""
    process = processes()[2]
    noise = noise_for(process, 2, shared=4)
    predict = lambda x, time: torch.tanh(x) * 0.7 + time / 1000  # noqa: E731
    drawn = denoise(process, predict, noise, shared_steps=4)
    alone = denoise(process, predict, noise[:, :1, :-1])
    assert torch.isfinite(drawn).all()
    assert (drawn[:, :1] - alone).abs().max() > 1e-3


def test_extra_steps_repeat_the_last_level() -> None:
    process = FlowProcess(steps=2)
    times: list[float] = []

    def predict(x: Tensor, time: float) -> Tensor:
        times.append(time)
        return oracle(process)(x, time)

    denoise(process, predict, noise_for(process, 1), extra_steps=3)
    assert times == [0.0, 500.0, 500.0, 500.0, 500.0]


def test_the_densest_chunk_is_one_of_the_crowd() -> None:
    crowd = 0.5 + 0.01 * torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(0))
    outliers = torch.tensor([-0.9, 0.0])[:, None, None].expand(-1, 4, 3)
    group = torch.cat([outliers[:1], crowd, outliers[1:]])
    chosen = densest(torch.stack([group, -group]).flatten(0, 1)[None], group=9, bandwidth=0.1)
    assert chosen.shape == (1, 2, 4, 3)
    assert (chosen[0, 0] - 0.5).abs().max() < 0.1
    assert (chosen[0, 1] + 0.5).abs().max() < 0.1


@settings(max_examples=20, deadline=None)
@given(group=st.integers(1, 5), count=st.integers(1, 4), seed=st.integers(0, 99))
def test_density_chooses_members_of_each_group(group: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chunks = torch.from_numpy(rng.normal(size=(2, count * group, 3, 2)))
    chosen = densest(chunks, group=group, bandwidth=0.2)
    assert chosen.shape == (2, count, 3, 2)
    members = chunks.unflatten(1, (count, group))
    assert (members == chosen[:, :, None]).all(-1).all(-1).any(-1).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DenoisingConfig(guidance=2.0), "guidance and condition_dropout"),
        (lambda: DiffusionConfig(shared_steps=10), "shared_steps and sample_steps"),
        (lambda: DiffusionConfig(sample_steps=200), "sample_steps and train_steps"),
        (lambda: FlowConfig(shared_steps=4), "shared_steps 0 .. 3"),
        (lambda: DenoisingConfig(backbone="transformer", width=10, heads=4), "divisor of width"),
        (lambda: DenoisingConfig(prediction_length=15), "prediction_length and channels"),
        (lambda: ConsistencyConfig(sample_steps=11), "sample_steps"),
        (lambda: ConsistencyConfig(guidance=1.0, condition_dropout=0.1), "condition_dropout"),
    ],
)
def test_contradictions_name_both_fields(build, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()
