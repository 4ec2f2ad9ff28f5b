"""Layers without gradients answer as those of torch, whatever the sizes and the memory layout."""

import pytest
import torch
from torch import nn

from robot_policy.nets.chunk_layers import ChunkConv1d, ChunkGroupNorm, ChunkMish, mish
from robot_policy.nets.unet1d import ConditionalUnet1d


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(1, 1, 0), (3, 1, 1), (5, 1, 2), (3, 2, 1), (4, 2, 0)]
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_convolution(
    rows: int, kernel: int, stride: int, padding: int, channels_last: bool
) -> None:
    torch.manual_seed(0)
    layer = ChunkConv1d(6, 10, kernel, stride=stride, padding=padding).eval()
    x = torch.randn(rows, 8, 6).transpose(1, 2) if channels_last else torch.randn(rows, 6, 8)
    expected = nn.functional.conv1d(x, layer.weight, layer.bias, stride=stride, padding=padding)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(layer(x), expected.detach(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_convolution_sees_new_weights() -> None:
    layer = ChunkConv1d(3, 4, 3, padding=1).eval()
    x = torch.randn(2, 3, 8)
    before = layer(x)
    layer.load_state_dict({key: 2 * value for key, value in layer.state_dict().items()})
    torch.testing.assert_close(layer(x), 2 * before)
    layer.weight.mul_(0.0)
    torch.testing.assert_close(layer(x), layer.bias[:, None].expand(2, -1, 8))
    layer.weight.data = torch.ones_like(layer.weight)
    torch.testing.assert_close(layer(x), nn.functional.conv1d(x, *layer.parameters(), padding=1))
    moved = layer.double()
    assert moved(x.double()).dtype == torch.float64


@torch.no_grad()
def test_the_norm_keeps_the_layout() -> None:
    layer = ChunkGroupNorm(2, 6).eval()
    nn.init.normal_(layer.weight)
    x = torch.randn(3, 8, 6).transpose(1, 2)
    expected = nn.functional.group_norm(x, 2, layer.weight, layer.bias, layer.eps)
    answer = layer(x)
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=1e-5)
    assert answer.stride() == x.stride()


def test_mish_by_one_exponential() -> None:
    x = torch.cat([torch.linspace(-40, 40, 10_001), torch.tensor([-1e4, -89.0, 88.0, 1e4])])
    torch.testing.assert_close(mish(x), nn.functional.mish(x), atol=1e-6, rtol=2e-6)
    with torch.no_grad():
        torch.testing.assert_close(ChunkMish().eval()(x), mish(x))


@pytest.mark.parametrize("rows", [1, 5])
def test_the_unet_answers_as_with_gradients(rows: int) -> None:
    torch.manual_seed(0)
    net = ConditionalUnet1d(7, 6, channels=(16, 32), kernel=5, groups=8, step_embedding=16).eval()
    inputs = torch.randn(rows, 8, 7), torch.tensor([3.0]).expand(rows), torch.randn(rows, 2, 3)
    expected = net(*inputs).detach()
    with torch.inference_mode():
        torch.testing.assert_close(net(*inputs), expected, atol=1e-5, rtol=1e-5)


def test_training_and_state_are_those_of_torch() -> None:
    layer, reference = ChunkConv1d(3, 4, 3, padding=1), nn.Conv1d(3, 4, 3, padding=1)
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        layer.eval()(x)
        layer.train()
    layer(x).square().sum().backward()
    reference(x).square().sum().backward()
    assert torch.equal(layer.weight.grad, reference.weight.grad)
    assert list(layer.state_dict()) == list(reference.state_dict())
