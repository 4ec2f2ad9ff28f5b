"""What is seen and what is asked for as tokens that have looked at each other."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.attention import CrossAttention
from robot_policy.nets.crop import centre_crop, random_crop
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import (
    INSTRUCTION,
    SentenceAndWords,
    make_text_encoder,
)
from robot_policy.nets.openclip_vision import OpenClipPatches
from robot_policy.nets.vision import CameraEncoder, VisionConfig

_FEED_FORWARD = 4
_STATE_TOKENS = 4
"""Tokens that the states of the window become."""
_INITIAL_STD = 0.02


@dataclass(frozen=True)
class VisionLanguageConfig(VisionConfig):
    """Hyper-parameters of policies that read the instruction."""

    text_encoder: str = "lexical"
    """What turns words into vectors: lexical, hashing, or openclip:FOLDER."""
    text_features: int = 256
    """Length of these vectors."""
    words: int = 12
    """Words of an instruction that become tokens."""
    vision: str = "small"
    """What turns images into patches: small, trained from scratch, or openclip:FOLDER, whose tower
    is frozen."""
    width: int = 128
    """Length of a token."""
    heads: int = 4
    """Attention heads."""
    layers: int = 3
    """Layers in which all tokens look at each other."""

    def __post_init__(self) -> None:
        self.check_vision()
        for name in ("words", "layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise ConfigError("too small", where=name, expected=">= 1", got=getattr(self, name))
        if self.width % self.heads or self.width % 2:
            raise ConfigError(
                "heads must divide width, an even number",
                where="heads and width",
                got=f"{self.heads}, {self.width}",
            )
        kind, _, folder = self.vision.partition(":")
        if kind not in ("small", "openclip") or (kind == "openclip") != bool(folder):
            raise ConfigError(
                "unknown vision",
                where="vision",
                expected="small, or openclip:FOLDER",
                got=self.vision,
            )

    def reader(self) -> SentenceAndWords:
        """What encodes instructions for it, (B, 1 + words, text_features)."""
        encoder = make_text_encoder(self.text_encoder, features=self.text_features)
        return SentenceAndWords(encoder, words=self.words)


class VisionLanguageTrunk(nn.Module):
    """Patches of every camera, states, words and sentence, after self-attention over all of them.

    The first token is a learned question, whose answer stands for the whole scene; the text reaches
    the patches before anything is pooled.

    Args:
        spec: Of the policy.
        config: Sizes.

    Attributes:
        tokens: N.
        width: Length of a token.

    Raises:
        ConfigError: If the images do not suit.
    """

    def __init__(self, spec: PolicySpec, config: VisionLanguageConfig) -> None:
        super().__init__()
        width = config.width
        self._cameras = tuple(spec.cameras)
        self._has_privileged = spec.environment_state is not None
        privileged = spec.environment_state.size if spec.environment_state is not None else 0
        states = spec.history * (spec.state.size + privileged)
        self.states = nn.Sequential(
            nn.Linear(states, 2 * width), nn.GELU(), nn.Linear(2 * width, _STATE_TOKENS * width)
        )
        eyes = [_Eye(image, spec.history, config) for image in spec.cameras.values()]
        self.eyes = nn.ModuleList(eyes)
        self.text = nn.Linear(config.text_features, width)
        self.tokens = 1 + _STATE_TOKENS + sum(eye.tokens for eye in eyes) + 1 + config.words
        self.width = width
        self.question = nn.Parameter(torch.empty(1, width))
        self.place = nn.Parameter(torch.empty(self.tokens, width))
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        for parameter in (self.question, self.place):
            nn.init.normal_(parameter, std=_INITIAL_STD)

    def forward(self, batch: Mapping[str, Tensor], *, draws: Draws | None = None) -> Tensor:
        """Returns (B, N, W), the scene's token first.

        Args:
            batch: (B, T, S) states, (B, T, E) privileged states, (B, T, h, w, 3) uint8 images and
                (B, 1 + words, D) instructions.
            draws: In training, for the places of the crops; None crops the centre.
        """
        states = [batch[STATE]]
        if self._has_privileged:
            states.append(batch[ENVIRONMENT_STATE])
        seen = self.states(torch.cat(states, dim=-1).flatten(1)).unflatten(-1, (_STATE_TOKENS, -1))
        rows = len(seen)
        parts = [self.question.expand(rows, -1, -1), seen]
        for camera, eye in zip(self._cameras, self.eyes, strict=True):
            assert isinstance(eye, _Eye)
            parts.append(eye(batch[image_key(camera)], draws=draws))
        parts.append(self.text(batch[INSTRUCTION].to(seen.dtype)))
        x = torch.cat(parts, dim=1) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class _Eye(nn.Module):
    """Patches of one camera over the window, as tokens."""

    def __init__(self, image: object, history: int, config: VisionLanguageConfig) -> None:
        super().__init__()
        kind, _, folder = config.vision.partition(":")
        if kind == "openclip":
            self.tower: nn.Module = OpenClipPatches(folder, image)
            features, patches = self.tower.features, self.tower.patches
            self._size = None
        else:
            encoder = CameraEncoder(image, config)  # pyright: ignore[reportArgumentType]
            self._size = encoder.size
            self.tower = encoder.net
            with torch.no_grad():
                height, width = encoder.size
                shape = self.tower(torch.zeros(1, 3, height, width)).shape
            features, patches = shape[1], shape[2] * shape[3]
        self.project = nn.Linear(features, config.width)
        self.tokens = history * patches

    def forward(self, images: Tensor, *, draws: Draws | None) -> Tensor:
        """(B, T, h, w, 3) uint8 to (B, T * patches, W)."""
        rows = len(images)
        if self._size is None:
            patches = self.tower(images.flatten(0, 1))
        else:
            if draws is None:
                cropped = centre_crop(images, self._size)
            else:
                cropped = random_crop(images, self._size, draws=draws)
            x = cropped.flatten(0, 1).permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0
            patches = self.tower(x).flatten(2).transpose(1, 2)
        return self.project(patches).reshape(rows, self.tokens, -1)


class _Layer(nn.Module):
    """x += attention(norm(x)) over all tokens; x += feed_forward(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads=heads, rate=0.0, visible=None)
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, _FEED_FORWARD * width),
            nn.GELU(),
            nn.Linear(_FEED_FORWARD * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the shape of `x`, (B, N, W)."""
        normed = self.norm(x)
        x = x + self.attention(normed, self.attention.keys_values(normed))
        return x + self.feed(x)
