"""Learning rate and weight decay of some parameters."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.robot import load_robot
from robot_policy.nets.weight_decay import norms_biases_and_embeddings
from robot_policy.policies.bc import Bc, BcConfig
from robot_policy.training.config import OptimizerConfig
from robot_policy.training.gradient_step import GradientStep
from robot_policy.training.parameter_groups import GroupRule, make_optimizer, parameter_groups

SOURCE = load_robot("panda_twin").spec()


class SparesBiases(Bc):
    def no_weight_decay(self) -> frozenset[str]:
        return norms_biases_and_embeddings(self)


def decays(module: Bc, *rules: str) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    config = OptimizerConfig(weight_decay=0.5, groups=rules)
    return {
        names[id(parameter)]: (group["lr_scale"], group["weight_decay"])
        for group in parameter_groups(module, config)
        for parameter in group["params"]
    }


@pytest.fixture
def module() -> Bc:
    return SparesBiases.build(BcConfig(hidden=(8, 8)), SOURCE)


def test_every_parameter_is_in_one_group(module: Bc) -> None:
    assert decays(module).keys() == dict(module.named_parameters()).keys()
    plain = Bc.build(BcConfig(hidden=(8,)), SOURCE)
    assert set(decays(plain).values()) == {(1.0, 0.5)}


def test_a_policy_spares_parameters_and_a_run_may_name_them_all_the_same(module: Bc) -> None:
    settings = decays(module, "net.0.*:lr_scale=0.1", "net.*.bias:weight_decay=0.25")
    assert settings["net.0.weight"] == (0.1, 0.5)
    assert settings["net.0.bias"] == (0.1, 0.0)
    assert settings["net.2.weight"] == (1.0, 0.5)
    assert settings["net.2.bias"] == (1.0, 0.25)


def test_frozen_parameters_are_left_out(module: Bc) -> None:
    module.net[0].weight.requires_grad_(False)
    assert "net.0.weight" not in decays(module)


def test_the_learning_rate_is_scaled(module: Bc) -> None:
    optimizer = make_optimizer(module, OptimizerConfig(groups=("net.0.*:lr_scale=0.5",)))
    step = object.__new__(GradientStep)
    step.optimizer = optimizer
    step.set_learning_rate(0.2)
    rates = {group["lr_scale"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {0.5: pytest.approx(0.1), 1.0: pytest.approx(0.2)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encoder.*", "not a group; expected PATTERN:lr_scale"),
        ("net.*:", "not a group"),
        ("net.*:lr_sale=1", "did you mean 'lr_scale'"),
        ("net.*:lr_scale=fast", "not a number.*got fast"),
        ("net.*:weight_decay=-1", "not a number.*got -1"),
    ],
)
def test_what_is_no_group_is_refused(text: str, message: str) -> None:
    with pytest.raises(RobotPolicyError, match=message):
        GroupRule.parse(text)


def test_a_pattern_that_matches_nothing_is_named(module: Bc) -> None:
    with pytest.raises(ConfigError, match=r"no parameter matches 'vision\.\*'; valid: net\.\*"):
        decays(module, "vision.*:lr_scale=0.1")


def test_what_is_spared() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(3, 4)
            self.norm = nn.LayerNorm(4)
            self.conv = nn.Conv1d(4, 4, 3)
            self.attention = nn.MultiheadAttention(4, 2)
            self.positions = nn.Parameter(torch.zeros(1, 5, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x

    net = Net()
    decayed = set(dict(net.named_parameters())) - norms_biases_and_embeddings(net)
    assert decayed == {"conv.weight", "attention.in_proj_weight", "attention.out_proj.weight"}


def test_the_command_line_takes_groups(dataset: Path, tmp_path: Path) -> None:
    from robot_policy.cli.train import parse

    command = parse(
        ["bc", "--dataset", str(dataset), "--output", str(tmp_path),
         "--optimizer.groups", "net.*:lr_scale=0.1", "net.0.*:weight_decay=0"],
        prog="train",
    )  # fmt: skip
    assert len(command.config.optimizer.groups) == 2
