"""Turns the images of one camera into a few features per image.

A ResNet-18 (He et al. 2016, https://arxiv.org/abs/1512.03385) with GroupNorm in place of BatchNorm,
because running statistics of a batch and a moving average of the weights contradict each other
(Chi et al. 2023, section 3.2), and a spatial softmax (Finn et al. 2016,
https://arxiv.org/abs/1509.06113) in place of the average over the map, because where things are
matters more than whether they are there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import ArraySpec
from robot_policy.nets.crop import cropped_size
from robot_policy.nets.spatial_softmax import SpatialSoftmax

_STAGES = ((1, 1), (2, 2), (4, 2), (8, 1))
"""Width, as a multiple of the first stage's, and stride of each stage of two blocks."""
_SHRINK = 16
"""Pixels of the image per cell of the last map, along either axis."""
_CHANNELS_PER_GROUP = 16
"""Of GroupNorm, as Chi et al. 2023 have it."""


@dataclass(frozen=True)
class VisionConfig:
    """Hyper-parameters of the camera encoders; without cameras they mean nothing."""

    crop: float = 0.9
    """Fraction of the image's height and width that is kept: a random place in training, the
    centre otherwise; 1 keeps all."""
    vision_width: int = 64
    """Channels of the first stage of the ResNet-18, 64 in the published one."""
    keypoints: int = 32
    """Points K that the encoder locates in every image; each is two features."""

    def check_vision(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If one is out of range.
        """
        if not 0.0 < self.crop <= 1.0:
            raise ConfigError("out of range", where="crop", expected="(0, 1]", got=self.crop)
        for name in ("vision_width", "keypoints"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError("must be positive", where=name, got=value)


class CameraEncoder(nn.Module):
    """Features of cropped images of one camera: K points, x before y.

    The stem is that of the published network with a smaller kernel, and the last stage keeps the
    resolution: at 84 pixels the published one would leave a map of 3 x 3 cells, too coarse to
    locate anything in; this leaves 5 x 5 at no more cost in the stages before.

    Args:
        image: Spec of the images before the crop.
        config: Widths.

    Raises:
        ConfigError: If the cropped image is too small to be located in.
    """

    def __init__(self, image: ArraySpec, config: VisionConfig) -> None:
        super().__init__()
        self.size = cropped_size(image, config.crop)
        if min(self.size) <= _SHRINK:
            raise ConfigError(
                "the cropped image is too small",
                where="crop",
                expected=f"more than {_SHRINK} pixels along either axis",
                got=f"{self.size[0]} x {self.size[1]}",
            )
        self.net = _resnet18(config.vision_width)
        self.locate = SpatialSoftmax(_STAGES[-1][0] * config.vision_width, config.keypoints)
        self.out_features = 2 * config.keypoints

    def forward(self, images: Tensor) -> Tensor:
        """Returns (B, 2K) for cropped uint8 images (B, h, w, 3)."""
        # A permuted view of (B, h, w, 3) is already channels-last in memory, the order that
        # convolutions are fastest in on either device.
        x = images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0
        return self.locate(self.net(x))


def _resnet18(width: int) -> nn.Sequential:
    """(B, 3, h, w) to (B, 8 * width, h / 16, w / 16), rounded up."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False),
        _norm(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    previous = width
    for multiple, stride in _STAGES:
        layers += [
            _BasicBlock(previous, multiple * width, stride=stride),
            _BasicBlock(multiple * width, multiple * width, stride=1),
        ]
        previous = multiple * width
    net = nn.Sequential(*layers)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class _BasicBlock(nn.Module):
    """y = relu(x' + norm(conv(relu(norm(conv(x)))))), x' projected where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            _norm(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            _norm(out_channels),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.skip = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                _norm(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.skip(x) + self.residual(x))


def _norm(channels: int) -> nn.GroupNorm:
    groups = max(1, channels // _CHANNELS_PER_GROUP)
    return nn.GroupNorm(groups if channels % groups == 0 else 1, channels)
