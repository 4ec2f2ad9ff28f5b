"""The transformer against its equations."""

import pytest
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.nets.attention import CrossAttention, SelfAttention
from robot_policy.nets.draws import Draws
from robot_policy.nets.dropout import dropout
from robot_policy.nets.transformer import ConditionalTransformer
from robot_policy.nets.weight_decay import norms_biases_and_embeddings

ACTION, CONDITION, LENGTH, HISTORY = 3, 5, 6, 4


def net(**changes: object) -> ConditionalTransformer:
    torch.manual_seed(0)
    options = {
        "length": LENGTH,
        "history": HISTORY,
        "layers": 2,
        "heads": 2,
        "width": 16,
        "dropout": 0.0,
        "causal": True,
    }
    module = ConditionalTransformer(ACTION, CONDITION, **(options | changes))  # pyright: ignore[reportArgumentType]
    # Larger than the initial weights, so that what depends on what shows above the rounding.
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, LENGTH, ACTION, generator=generator),
        torch.arange(batch) * 7,
        torch.randn(batch, HISTORY, CONDITION, generator=generator),
    )


def draws(seed: int = 0, **options: object) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("causal", [True, False])
def test_it_keeps_the_shape_and_every_parameter_learns(causal: bool) -> None:
    module = net(causal=causal)
    actions, step, condition = inputs()
    out = module(actions, step, condition)
    assert out.shape == actions.shape
    out.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_an_action_sees_itself_and_those_before(rate: float) -> None:
    module = net(dropout=rate)
    actions, step, condition = inputs(batch=1)
    actions.requires_grad_()
    for slot in range(LENGTH):
        out = module(actions, step, condition, draws=draws() if rate else None)
        (gradient,) = torch.autograd.grad(out[0, slot].sum(), actions)
        seen = gradient[0].abs().sum(-1) > 0
        assert seen.tolist() == [other <= slot for other in range(LENGTH)]


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("causal", [True, False])
def test_an_action_sees_the_observations_up_to_its_time(causal: bool, rate: float) -> None:
    module = net(causal=causal, dropout=rate)
    actions, step, condition = inputs(batch=1)
    condition.requires_grad_()
    for slot in range(LENGTH):
        out = module(actions, step, condition, draws=draws() if rate else None)
        (gradient,) = torch.autograd.grad(out[0, slot].sum(), condition)
        seen = gradient[0].abs().sum(-1) > 0
        assert seen.tolist() == [not causal or other <= slot for other in range(HISTORY)]


def test_every_action_knows_the_step() -> None:
    module = net()
    actions, step, condition = inputs()
    change = module(actions, step + 1, condition) - module(actions, step, condition)
    assert (change.abs().sum(-1) > 1e-4).all()


def test_order_matters() -> None:
    module = net(causal=False)
    actions, step, condition = inputs()
    turned = module(actions, step, condition.flip(1))
    assert not torch.allclose(turned, module(actions, step, condition), atol=1e-3)


def test_what_was_prepared_serves_every_step() -> None:
    module = net()
    actions, step, condition = inputs()
    prepared = module.prepare(condition)
    assert prepared.shape == (2, 2, 2, 2, HISTORY, 8)
    for later in (step, step + 3):
        torch.testing.assert_close(
            module.denoise(actions, later, prepared), module(actions, later, condition)
        )


def test_candidates_share_what_was_prepared() -> None:
    module = net()
    actions, step, condition = inputs(batch=4)
    one = condition[:1]
    prepared = module.prepare(one).repeat_interleave(4, dim=0)
    torch.testing.assert_close(
        module.denoise(actions, step, prepared), module(actions, step, one.expand(4, -1, -1))
    )


def test_a_row_does_not_depend_on_its_batch() -> None:
    module = net()
    actions, step, condition = inputs(batch=3)
    together = module(actions, step, condition)
    alone = module(actions[1:2], step[1:2], condition[1:2])
    torch.testing.assert_close(alone[0], together[1], atol=1e-5, rtol=1e-5)


def test_the_attention_is_what_it_computes_with() -> None:
    module = net()
    actions, step, condition = inputs()
    weights = module.attention(actions, step, condition)
    assert weights.shape == (2, 2, 2, LENGTH, 1 + HISTORY)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert (weights[..., 0, 2:] == 0).all()
    assert (weights[..., -1, :] > 0).all()


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_attention_by_hand_is_torchs(kind: str) -> None:
    """What dropout needs the weights for; a rate close to 0 drops nothing here."""
    torch.manual_seed(0)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    if kind == "self":
        layer = SelfAttention(8, heads=2, rate=1e-9)
        by_torch, by_hand = layer(x), layer(x, draws=draws())
    else:
        visible = torch.ones(5, 3).tril().bool()
        layer = CrossAttention(8, heads=2, rate=1e-9, visible=visible)
        pairs = layer.keys_values(memory)
        by_torch, by_hand = layer(x, pairs), layer(x, pairs, draws=draws())
    torch.testing.assert_close(by_torch, by_hand)


def test_dropout_keeps_the_mean() -> None:
    x = torch.ones(200, 500)
    dropped = dropout(x, 0.3, draws())
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert dropout(x, 0.3, None) is x


def test_dropout_does_not_depend_on_how_a_batch_is_divided() -> None:
    module = net(dropout=0.5)
    actions, step, condition = inputs(batch=4)
    together = module(actions, step, condition, draws=draws())
    part = slice(1, 3)
    some = module(actions[part], step[part], condition[part], draws=draws(rows=part, total=4))
    torch.testing.assert_close(some, together[part], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together, module(actions, step, condition))


def test_only_weights_of_linear_layers_decay() -> None:
    module = net()
    named = dict(module.named_parameters())
    undecayed = norms_biases_and_embeddings(module)
    assert undecayed < named.keys()
    for name, parameter in named.items():
        decays = parameter.ndim == 2 and not name.endswith("position")
        assert (name not in undecayed) == decays, name


def test_initial_weights_are_small() -> None:
    torch.manual_seed(0)
    module = ConditionalTransformer(
        3, 5, length=16, history=2, layers=2, heads=4, width=64, dropout=0.0, causal=True
    )
    for name, parameter in module.named_parameters():
        if name.endswith("position") or ("norm" not in name and name.endswith("weight")):
            assert parameter.std().item() == pytest.approx(0.02, rel=0.25), name
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "even multiple of 3 heads"),
        ({"width": 15, "heads": 1}, "even multiple"),
        ({"layers": 0}, "positive"),
        ({"dropout": 1.0}, r"dropout: out of range; expected \[0, 1\)"),
    ],
)
def test_contradictions_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        net(**change)
