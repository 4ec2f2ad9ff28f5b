"""Hyper-parameters that all policies which denoise a chunk have in common."""

from dataclasses import dataclass
from typing import Literal

from robot_policy.core.errors import ConfigError
from robot_policy.nets.vision import VisionConfig


@dataclass(frozen=True)
class DenoisingConfig(VisionConfig):
    """Window, backbone, and how candidates are drawn."""

    history: int = 2
    """Observations the policy looks at, T."""
    prediction_length: int = 16
    """Actions denoised together: T - 1 before now, the others (H) from now on."""
    history_stride: int = 1
    """Control periods between two observations, and between two of the past actions."""
    backbone: Literal["unet", "transformer", "mlp"] = "unet"
    """Network: 1-D U-Net or transformer decoder over the actions, or an MLP over the whole chunk,
    which is the cheapest by far."""
    channels: tuple[int, ...] = (64, 128)
    """U-Net: channels per level."""
    kernel: int = 5
    """U-Net: kernel size of its convolutions."""
    groups: int = 8
    """U-Net: groups of its group normalisation."""
    step_embedding: int = 64
    """U-Net and MLP: length of the embedding of the denoising step."""
    hidden: int = 512
    """MLP: width of its layers."""
    blocks: int = 3
    """MLP: residual blocks."""
    layers: int = 4
    """Transformer: decoder layers."""
    heads: int = 4
    """Transformer: attention heads."""
    width: int = 128
    """Transformer: length of a token."""
    dropout: float = 0.1
    """Transformer: dropout, in attention too."""
    causal: bool = True
    """Transformer: an action attends to actions and observations up to its own time only."""
    mask_padding: bool = False
    """Leave steps beyond the ends of an episode out of the loss; the published recipe does not."""
    prefix_training: int = 0
    """Most actions at the beginning of a chunk that training shows as decided. A network trained so
    continues what is under way while it plans (schedule rtc); with 0 it only inpaints it."""
    condition_dropout: float = 0.0
    """Fraction of training windows whose observation is hidden, which guidance needs."""
    guidance: float = 0.0
    """Classifier-free guidance w when drawing: (1 + w) conditional - w unconditional."""
    temperature: float = 1.0
    """Scale of all noise that drawing uses, the start's and that of random steps: below 1
    candidates lie closer to the centre of what was demonstrated, and repeat less of the
    demonstrator's own noise. 0 is deterministic, with ddpm too, which is then not DDPM any more."""
    shared_steps: int = 0
    """Denoising steps that all candidates share; fewer costs more and differs more."""
    density_samples: int = 1
    """Chunks drawn per candidate, of which the one most others resemble is kept."""
    density_bandwidth: float = 0.1
    """Kernel width of that resemblance, in units of normalised actions."""

    def __post_init__(self) -> None:
        self.check_vision()
        _within("history", self.history, 1)
        _within("history_stride", self.history_stride, 1)
        _within("prediction_length", self.prediction_length, 1)
        _within("density_samples", self.density_samples, 1)
        _within("shared_steps", self.shared_steps, 0)
        _within("prefix_training", self.prefix_training, 0)
        if self.prediction_length < self.history:
            raise ConfigError(
                f"prediction_length must be at least the history ({self.history}): the window "
                "begins at the first observation",
                where="prediction_length",
                expected=f">= {self.history}",
                got=self.prediction_length,
            )
        if self.prefix_training >= self.horizon:
            raise ConfigError(
                f"nothing of the {self.horizon} actions from now on is left to learn",
                where="prefix_training and prediction_length",
                expected=f"prefix_training 0 .. {self.horizon - 1}",
                got=self.prefix_training,
            )
        if self.backbone == "unet":
            self._check_unet()
        elif self.backbone == "transformer" and self.width % self.heads:
            raise ConfigError(
                "heads must divide width",
                where="heads",
                expected=f"a divisor of width {self.width}",
                got=self.heads,
            )
        for name in ("condition_dropout", "dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError("out of range", where=name, expected="[0, 1)")
        if self.guidance and not self.condition_dropout:
            raise ConfigError(
                "guidance needs a policy trained with condition_dropout above 0",
                where="guidance and condition_dropout",
                got=f"guidance {self.guidance:g}, condition_dropout 0",
            )
        if self.temperature < 0:
            raise ConfigError("must not be negative", where="temperature", got=self.temperature)
        if self.density_bandwidth <= 0:
            raise ConfigError("must be positive", where="density_bandwidth")

    @property
    def horizon(self) -> int:
        """H, predicted actions from now on."""
        return self.prediction_length - self.history + 1

    @property
    def past(self) -> int:
        """P, actions before now in the window that is denoised."""
        return self.history - 1

    @property
    def window_length(self) -> int:
        """P + H."""
        return self.past + self.horizon

    def check_sample_steps(self, steps: int) -> None:
        """Checks what depends on the number of denoising steps.

        Raises:
            ConfigError: If there is none, or sharing them leaves none to differ in.
        """
        _within("sample_steps", steps, 1)
        if self.shared_steps >= steps:
            raise ConfigError(
                f"shared_steps must leave at least one of the {steps} sample_steps",
                where="shared_steps and sample_steps",
                expected=f"shared_steps 0 .. {steps - 1}",
                got=self.shared_steps,
            )

    def _check_unet(self) -> None:
        if not self.channels:
            raise ConfigError("the U-Net needs at least one level", where="channels")
        multiple = 2 ** (len(self.channels) - 1)
        if self.prediction_length % multiple:
            raise ConfigError(
                f"prediction_length does not suit {len(self.channels)} channels",
                where="prediction_length and channels",
                expected=f"a multiple of {multiple}",
                got=self.prediction_length,
            )


def _within(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError("too small", where=name, expected=f">= {least}", got=value)


SAMPLING_OPTIONS = frozenset(
    {"guidance", "temperature", "shared_steps", "density_samples", "density_bandwidth"}
)
"""Which of these a trained policy may be given anew."""
