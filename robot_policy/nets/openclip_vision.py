"""The frozen vision tower of an OpenCLIP model: patches of an image."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.nets.openclip_folder import OpenClipFolder

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the images that CLIP was trained on, per channel."""
_LEAST = 32
"""Pixels along either axis below which an enlarged image holds nothing for the tower."""


class OpenClipPatches(nn.Module):
    """Images of any size in, the tower's patches out; it does not learn.

    Its weights belong to the folder and not to a checkpoint, which keeps the folder's name.

    Args:
        folder: Of the model.
        image: Spec of the images.

    Attributes:
        features: Length of a patch.
        patches: Patches of an image.

    Raises:
        ConfigError: If there is no such model, or the images are too small for it.
    """

    def __init__(self, folder: str, image: Any) -> None:
        super().__init__()
        opened = OpenClipFolder.open(folder)
        height, width = image.shape[:2]
        if min(height, width) < _LEAST:
            raise ConfigError(
                "the images are too small for this tower",
                where=f"openclip:{folder}",
                expected=f"at least {_LEAST} x {_LEAST} pixels; it takes {opened.image_size}",
                got=f"{height} x {width}",
            )
        vision = opened.config["vision_cfg"]
        if opened.image_size % int(vision["patch_size"]):
            raise ConfigError(
                "its image size is no multiple of its patches",
                where=f"openclip:{folder}",
                got=f"{opened.image_size}, {vision['patch_size']}",
            )
        self.features = int(vision["width"])
        self.patches = (opened.image_size // int(vision["patch_size"])) ** 2
        self._size = opened.image_size
        model, _ = opened.load()
        tower = model.visual
        tower.output_tokens = True
        tower.proj = None  # patches as they are, not projected to the text's space
        # Beside the modules, so that a checkpoint holds no copy of it.
        self._tower = [tower.eval().requires_grad_(False)]
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    mean: Tensor
    std: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """(B, h, w, 3) uint8 to (B, patches, features)."""
        tower = self._tower[0].to(images.device)
        x = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        x = functional.interpolate(
            x, (self._size, self._size), mode="bicubic", align_corners=False, antialias=True
        )
        _, patches = tower((x.clamp(0.0, 1.0) - self.mean) / self.std)
        return patches
