"""Where in a feature map something is (Finn et al. 2016)."""

import torch
from torch import Tensor, nn


class SpatialSoftmax(nn.Module):
    """Locates K points: a 1 x 1 convolution to K maps, and the expected place in each.

    p_k = softmax over the cells of m_k, x_k = sum p_k(i, j) x_j, y_k = sum p_k(i, j) y_i, with the
    centres of the first and the last cell at -1 and 1.

    Args:
        channels: Of the feature map.
        keypoints: K.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        # A constant added to a map does not move the point, so a bias would never learn.
        self.maps = nn.Conv2d(channels, keypoints, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns (B, 2K), x_1 .. x_K, y_1 .. y_K, for (B, C, h, w)."""
        return expected_place(self.maps(features)).flatten(1)


def expected_place(maps: Tensor) -> Tensor:
    """Returns x and y (B, 2, K) in [-1, 1] for K maps of logits (B, K, h, w)."""
    height, width = maps.shape[-2:]
    # In float32 whatever the network computes in: bfloat16 would round a place to a few pixels.
    weights = maps.flatten(-2).float().softmax(dim=-1).unflatten(-1, (height, width))
    x = torch.linspace(-1.0, 1.0, width, device=maps.device)
    y = torch.linspace(-1.0, 1.0, height, device=maps.device)
    return torch.stack([(weights.sum(-2) * x).sum(-1), (weights.sum(-1) * y).sum(-1)], dim=1)
