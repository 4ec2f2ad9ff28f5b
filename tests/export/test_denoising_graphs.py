"""Every backbone and way to draw of the denoising policies, as a graph."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robot_policy.core.robot import load_robot
from robot_policy.core.specs import image_spec
from robot_policy.export.artefact import largest_difference
from robot_policy.export.onnx_graph import write_graph
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.runtime.exported_policy import Graph

SOURCE = load_robot("panda_twin").spec()
SHAPES = ((1, 1), (2, 3), (3, 8))
SMALL = DiffusionConfig(
    channels=(8, 16),
    groups=4,
    step_embedding=8,
    layers=2,
    heads=2,
    width=16,
    vision_width=8,
    prediction_length=8,
    sample_steps=2,
    condition_dropout=0.1,
)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "transformer"},
        {"backbone": "transformer", "causal": False, "guidance": 0.5},
        # A U-Net takes long to trace, and every step is traced anew.
        pytest.param({"sampler": "ddpm"}, marks=pytest.mark.slow),
        pytest.param({"sampler": "dpm_solver", "shared_steps": 1}, marks=pytest.mark.slow),
        pytest.param({"prediction": "v", "extra_steps": 1}, marks=pytest.mark.slow),
        pytest.param({"prediction": "sample", "density_samples": 3}, marks=pytest.mark.slow),
    ],
    ids=lambda change: " ".join(f"{k}={v}" for k, v in change.items()),
)
def test_it_answers_as_the_original(change: dict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Diffusion.build(replace(SMALL, **change), SOURCE).eval()
    interface = write_graph(module, tmp_path / "model.onnx", candidates=None)
    graph = Graph(tmp_path / "model.onnx", interface, threads=1)
    assert largest_difference(module, graph, SHAPES) < 1e-4


@pytest.mark.slow
def test_it_sees_as_the_original(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = replace(SOURCE, cameras={"wrist": image_spec(24, 32)})
    module = Diffusion.build(SMALL, source).eval()
    interface = write_graph(module, tmp_path / "model.onnx", candidates=None)
    assert interface.inputs["observation.images.wrist"] == "uint8"
    graph = Graph(tmp_path / "model.onnx", interface, threads=1)
    assert largest_difference(module, graph, SHAPES) < 1e-4
