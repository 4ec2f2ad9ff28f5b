"""A recorded `decode` answers as the function itself, and gives way where it cannot be recorded."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_policy.checkpoint import resolve_device
from robot_policy.core.observation import STATE, Observation, Windows
from robot_policy.core.robot import load_robot
from robot_policy.core.transforms import Pipeline
from robot_policy.policies.cuda_graph import _MOST_GRAPHS, CapturedDecode, CudaGraph
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.policies.module import Batch
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.runtime.history import History

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SOURCE = load_robot("panda_twin").spec()
SMALL = DiffusionConfig(channels=(8, 16), groups=4, step_embedding=8, sample_steps=3)


def decode(batch: Batch, noise: Tensor) -> Tensor:
    return noise + batch[STATE].sum()


def arguments(count: int, *, rows: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    return {STATE: torch.ones(rows, 2)}, torch.zeros(rows, count, 3)


class Recorder:
    """Stands in for the GPU."""

    def __init__(self) -> None:
        self.captured: list[tuple[int, ...]] = []

    def __call__(self, function, batch: Batch, noise: Tensor):
        self.captured.append(tuple(noise.shape))
        return function


def test_every_shape_is_recorded_once() -> None:
    recorder = Recorder()
    captured = CapturedDecode(decode, capture=recorder)
    for count in (1, 4, 1, 4):
        assert torch.equal(captured(*arguments(count)), decode(*arguments(count)))
    captured({STATE: torch.ones(1, 5)}, torch.zeros(1, 4, 3))
    assert recorder.captured == [(1, 1, 3), (1, 4, 3), (1, 4, 3)]


def test_the_number_of_graphs_is_bounded() -> None:
    recorder = Recorder()
    captured = CapturedDecode(decode, capture=recorder)
    for count in range(1, _MOST_GRAPHS + 5):
        assert captured(*arguments(count)).shape[1] == count
    assert len(recorder.captured) == _MOST_GRAPHS


def test_where_recording_fails_it_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object):
        raise RuntimeError("operation not permitted when stream is capturing\nadvice")

    captured = CapturedDecode(decode, capture=fails)
    with caplog.at_level(logging.WARNING):
        for count in (1, 2, 1):
            assert torch.equal(captured(*arguments(count)), decode(*arguments(count)))
    (record,) = caplog.records
    assert record.message.endswith("operation not permitted when stream is capturing")


def test_a_policy_on_a_cpu_records_nothing() -> None:
    policy = TorchPolicy(Diffusion.build(SMALL, SOURCE), Pipeline([]), device=torch.device("cpu"))
    assert policy._decode is None


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm_solver"])
def test_the_graph_answers_as_the_function(sampler: str) -> None:
    torch.manual_seed(0)
    device = resolve_device("cuda")
    module = Diffusion.build(replace(SMALL, sampler=sampler), SOURCE).to(device).eval()
    captured = CapturedDecode(module.decode, capture=CudaGraph.capture)
    with torch.inference_mode():
        for rows, count in ((1, 1), (1, 16), (2, 4), (1, 16), (1, 1)):
            batch = {STATE: torch.randn(rows, 2, SOURCE.state.size, device=device)}
            noise = torch.randn(rows, count, *module.noise_shape, device=device)
            answer = captured(batch, noise)
            torch.testing.assert_close(answer, module.decode(batch, noise), atol=1e-4, rtol=1e-4)
    assert not captured._failed
    assert len(captured._graphs) == 3


@pytest.mark.gpu
@NEEDS_CUDA
def test_a_policy_draws_the_same_on_both_devices() -> None:
    torch.manual_seed(0)
    weights = Diffusion.build(SMALL, SOURCE).state_dict()
    drawn = []
    for device in ("cpu", "cuda"):
        module = Diffusion.build(SMALL, SOURCE)
        module.load_state_dict(weights)
        policy = TorchPolicy(module, Pipeline([]), device=resolve_device(device))
        history = History(policy.spec)
        rng = np.random.default_rng(0)
        windows = random_windows(policy, history, rng)
        drawn.append(policy.sample(windows, num_samples=4, generator=np.random.default_rng(1)))
    np.testing.assert_allclose(drawn[0].actions, drawn[1].actions, atol=1e-3)


def random_windows(policy: TorchPolicy, history: History, rng: np.random.Generator) -> Windows:
    history.observe(Observation(stamp_ns=0, state=policy.spec.state.sample(rng)))
    return history.windows()
