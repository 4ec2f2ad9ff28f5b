"""Past-token prediction (Torne et al. 2025): a long context, and the past as part of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.nets.draws import Draws
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.policies.module import Batch


@dataclass(frozen=True)
class PastTokenConfig(DiffusionConfig):
    """Hyper-parameters of `PastToken`."""

    history: int = 16
    prediction_length: int = 31
    backbone: Literal["unet", "transformer", "mlp"] = "transformer"
    past_steps: int = -1
    """Past actions in the loss, the most recent ones; -1 takes all. 0 predicts none, which is the
    long context without past tokens that the others are compared with."""
    frozen_encoder: str = ""
    """Run or checkpoint, of a short context, whose camera encoders are taken over and stay as they
    are. Every frame is then encoded once, into the cache, whatever the context."""
    random_history: bool = False
    """Show the network a random number of the newest observations in training, so that it copes
    with any (variable history training)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -1 <= self.past_steps < self.history:
            raise ConfigError(
                "more past actions than the window has",
                where="past_steps and history",
                expected=f"past_steps -1 .. {self.history - 1}",
                got=self.past_steps,
            )
        if self.past_steps == 0 and self.backbone == "unet":
            raise ConfigError(
                "a window without the past does not suit the U-Net",
                where="past_steps and backbone",
                expected="backbone transformer or mlp",
            )

    @property
    def past(self) -> int:
        """P, past actions that are predicted."""
        return 0 if self.past_steps == 0 else self.history - 1


class PastToken(Diffusion):
    """Diffusion whose loss covers the executed actions before now as well as those to come.

        L = E |eps - eps_theta([a_{t-Ps} .. a_{t-s}, a_t .. a_{t+H-1}]_k, k, o_{t-Ps} .. o_t)|^2

    (or the same for v), https://arxiv.org/abs/2505.09561. A network that has to tell its own past
    has to look at it. What it says of the past can be compared with what was really executed, see
    `robot_policy.runtime.guidance.past_verification`.
    """

    config_type = PastTokenConfig
    config: PastTokenConfig
    presets: ClassVar[Mapping[str, PastTokenConfig]] = {
        "cpu": PastTokenConfig(vision_width=16),
        "gpu": PastTokenConfig(layers=8, width=256, dropout=0.3),
    }

    def encode(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Encodes observations, (B, T, F); in training perhaps only the newest of them."""
        condition = super().encode(batch, draws=draws)
        if draws is None or not self.config.random_history:
            return condition
        history = condition.shape[1]
        first = draws.integers(history, condition.shape[:1])
        shown = torch.arange(history, device=condition.device)[None].maximum(first[:, None])
        # As at the beginning of an episode, the oldest that is there stands for all before it.
        return condition.gather(1, shown[..., None].expand_as(condition))

    def left_out(self, batch: Batch, error: Tensor) -> Tensor | None:
        """Leaves out past actions that are older than the config says, too."""
        padding = super().left_out(batch, error)
        if self.config.past_steps < 0:
            return padding
        index = torch.arange(error.shape[1], device=error.device)[None].expand(len(error), -1)
        older = index < self.config.past - self.config.past_steps
        return older if padding is None else older | padding
