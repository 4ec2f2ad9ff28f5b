"""Crops of images: at random in training, of the centre otherwise."""

import torch
from torch import Tensor

from robot_policy.core.specs import ArraySpec
from robot_policy.nets.draws import Draws


def cropped_size(image: ArraySpec, fraction: float) -> tuple[int, int]:
    """Height and width that a crop to `fraction` of an image keeps."""
    height, width, _ = image.shape
    return max(1, round(fraction * height)), max(1, round(fraction * width))


def centre_crop(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cuts the centre (B, T, h', w', 3) out of (B, T, h, w, 3)."""
    height, width = size
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def random_crop(images: Tensor, size: tuple[int, int], *, draws: Draws) -> Tensor:
    """Cuts (B, T, h', w', 3) out of (B, T, h, w, 3), at a place of its own in every row.

    The T images of a row are cut at the same place, so that a crop looks like another position of
    the camera and not like motion.
    """
    height, width = size
    batch = images.shape[0]
    if (height, width) == tuple(images.shape[2:4]):
        return images
    place = draws.uniform((batch, 2))
    rows = _range(place[:, 0], images.shape[2], height)  # (B, h')
    columns = _range(place[:, 1], images.shape[3], width)  # (B, w')
    row = torch.arange(batch, device=images.device)[:, None, None]
    # Indices on either side of a slice bring their axes to the front: (B, h', w', T, 3).
    return images[row, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2, 4)


def _range(uniform: Tensor, whole: int, part: int) -> Tensor:
    """Indices (B, part) of a part of 0 .. whole - 1, every place as likely."""
    places = whole - part + 1
    first = (uniform * places).long().clamp(max=places - 1)
    return first[:, None] + torch.arange(part, device=uniform.device)
