"""The MLP backbone: shapes, independent rows, and observations prepared once."""

import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.nets.conditional_mlp import ConditionalMlp

SIZES = {"length": 6, "history": 2, "hidden": 16, "blocks": 2, "step_embedding": 8}


def net(**changes: int) -> ConditionalMlp:
    torch.manual_seed(0)
    return ConditionalMlp(3, 5, **{**SIZES, **changes})


def test_prepared_observations_give_the_same() -> None:
    actions, condition = torch.randn(4, 6, 3), torch.randn(4, 2, 5)
    module, step = net(), torch.tensor([7])
    direct = module(actions, step.expand(4), condition)
    assert direct.shape == actions.shape
    torch.testing.assert_close(module.denoise(actions, step, module.prepare(condition)), direct)


def test_a_row_depends_on_its_own_observation_and_step_only() -> None:
    actions, condition, step = torch.randn(3, 6, 3), torch.randn(3, 2, 5), torch.arange(3)
    module = net()
    before = module(actions, step, condition)
    condition[1] += 1.0
    step = step + torch.tensor([0, 0, 5])
    after = module(actions, step, condition)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1:] - before[1:]).abs().amax((1, 2)).min() > 1e-4


@pytest.mark.parametrize("change", [{"hidden": 1}, {"blocks": 0}])
def test_sizes_out_of_range_are_named(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        net(**change)
