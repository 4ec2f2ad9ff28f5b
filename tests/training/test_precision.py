"""Half precision, and compiled networks, learn what float32 learns, roughly."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from robot_policy.checkpoint import load_policy
from robot_policy.policies.bc import BcConfig
from robot_policy.policies.diffusion import DiffusionConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.loop import Trainer

POLICY = DiffusionConfig(channels=(8, 16), groups=4, step_embedding=8, train_steps=20)


def losses(
    dataset: Path, output: Path, name: str = "diffusion", policy: Any = POLICY, **changes: Any
) -> list[float]:
    settings = {"steps": 6, "batch_size": 16, "tensorboard": False, "device": "cpu", **changes}
    optimizer = OptimizerConfig(lr=1e-3, warmup_steps=1)
    config = TrainConfig(dataset, output, policy, optimizer=optimizer, **settings)
    trainer = Trainer(name, config)
    trainer.run()
    kept = load_policy(output).module.state_dict()
    assert {value.dtype for value in kept.values() if value.is_floating_point()} == {torch.float32}
    return trainer.progress.losses


def test_bfloat16(dataset: Path, tmp_path: Path) -> None:
    whole = losses(dataset, tmp_path / "float32")
    half = losses(dataset, tmp_path / "bfloat16", precision="bfloat16")
    assert half != whole
    assert half == pytest.approx(whole, rel=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_float16_on_a_gpu_resumes_its_loss_scale(dataset: Path, tmp_path: Path) -> None:
    options = {"device": "cuda", "precision": "float16"}
    whole = losses(dataset, tmp_path / "whole", **options)
    losses(dataset, tmp_path / "parts", **options, checkpoint_every=3)
    last = tmp_path / "parts/checkpoints/last"
    last.unlink()
    last.symlink_to("000003")
    again = losses(dataset, tmp_path / "parts", **options, checkpoint_every=3, resume=True)
    assert again == pytest.approx(whole, rel=1e-3)


def test_compiled_networks(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Traced, but not turned into machine code, which takes minutes.
    compiled: list[nn.Module] = []
    compile_module = nn.Module.compile

    def trace(module: nn.Module) -> None:
        compiled.append(module)
        compile_module(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", trace)
    small = BcConfig(hidden=(8,), horizon=4)
    plain = losses(dataset, tmp_path / "plain", "bc", small)
    assert compiled == []
    assert losses(dataset, tmp_path / "run", "bc", small, compile=True) == pytest.approx(plain)
    assert compiled
