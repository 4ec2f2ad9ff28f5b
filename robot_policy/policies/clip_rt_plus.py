"""CLIP-RT+ (Kang et al. 2024): chunks of actions from what is seen and asked for, in one pass.

The published decoder sees one vector of the image and one of the text. This one sees all patches,
all words and the robot's state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import SentenceAndWords
from robot_policy.nets.regression_transformer import RegressionTransformer
from robot_policy.nets.transformer import ConditionalTransformer
from robot_policy.nets.vision_language import VisionLanguageConfig, VisionLanguageTrunk
from robot_policy.policies.denoising.diffusion_process import (
    DiffusionProcess,
    noised_to,
    squared_cosine,
    target_of,
)
from robot_policy.policies.denoising.flow_process import TIME_SCALE, FlowProcess
from robot_policy.policies.denoising.process import Process
from robot_policy.policies.denoising.sampler import denoise
from robot_policy.policies.module import Batch, PolicyModule, masked_mean

_TRAIN_STEPS = 100
_PREDICTION = "v"


@dataclass(frozen=True)
class ClipRtPlusConfig(VisionLanguageConfig):
    """Hyper-parameters of `ClipRtPlus`."""

    history: int = 1
    """Observations the policy looks at, T."""
    horizon: int = 8
    """Actions it predicts, H."""
    head: Literal["l1", "flow", "dit"] = "l1"
    """How it says a chunk: l1 regresses it; flow integrates a velocity given all tokens; dit
    denoises it given the scene's token alone, as CogACT does."""
    decoder_layers: int = 3
    """Layers of the decoder."""
    sample_steps: int = 4
    """Steps when drawing with flow or dit."""
    dropout: float = 0.1
    """Of the decoder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("history", "horizon", "decoder_layers", "sample_steps"):
            if getattr(self, name) < 1:
                raise ConfigError("too small", where=name, expected=">= 1", got=getattr(self, name))
        if self.sample_steps > _TRAIN_STEPS:
            raise ConfigError(
                "too many",
                where="sample_steps",
                expected=f"<= {_TRAIN_STEPS}",
                got=self.sample_steps,
            )


class ClipRtPlus(PolicyModule[ClipRtPlusConfig]):
    """A decoder over the tokens z of `VisionLanguageTrunk`, all H actions at once.

    l1: a = f(z), minimising |f - a|. flow: rectified flow, v(x_s, s, z) against a - eps with
    x_s = (1 - s) eps + s a (Liu et al. 2023). dit: diffusion of v-prediction given z_0 alone, the
    head of CogACT (Li et al. 2024, https://arxiv.org/abs/2411.19650).
    """

    config_type = ClipRtPlusConfig
    presets: ClassVar[Mapping[str, ClipRtPlusConfig]] = {
        "cpu": ClipRtPlusConfig(vision_width=16),
        "gpu": ClipRtPlusConfig(width=512, heads=8, layers=8, decoder_layers=6),
    }
    sampling_options = frozenset({"sample_steps"})
    reads_instructions = True

    _abar: Tensor

    def __init__(self, config: ClipRtPlusConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self._reader = config.reader()
        self.trunk = VisionLanguageTrunk(spec, config)
        sizes = {
            "length": config.horizon,
            "history": 1 if config.head == "dit" else self.trunk.tokens,
            "layers": config.decoder_layers,
            "heads": config.heads,
            "width": config.width,
        }
        action, width = spec.action.size, config.width
        self.decoder: RegressionTransformer | ConditionalTransformer
        if config.head == "l1":
            self.decoder = RegressionTransformer(action, width, dropout=config.dropout, **sizes)
        else:
            self.decoder = ConditionalTransformer(
                action, width, dropout=config.dropout, causal=False, **sizes
            )
        self.register_buffer("_abar", squared_cosine(_TRAIN_STEPS), persistent=False)

    @classmethod
    def complete_spec(cls, config: ClipRtPlusConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(
            source,
            history=config.history,
            horizon=config.horizon,
            past=0,
            needs_instruction=True,
        )

    @property
    def reader(self) -> SentenceAndWords:
        """What encodes its instructions."""
        return self._reader

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(H, A), or () where nothing is random."""
        if self.config.head == "l1":
            return ()
        return self.config.horizon, self.spec.action.size

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the loss of the head over (B, H, A) chunks, without padded steps."""
        clean = batch[ACTION]
        seen = self._seen(batch, draws)
        if isinstance(self.decoder, RegressionTransformer):
            error = (self.decoder(seen, draws=draws).float() - clean).abs()
            return masked_mean(error, batch["action_is_pad"])
        noise = draws.normal(clean.shape)
        if self.config.head == "flow":
            s = draws.uniform(clean.shape[:1])
            along = s[:, None, None]
            noised, time = (1 - along) * noise + along * clean, s * TIME_SCALE
            target = clean - noise
        else:
            step = draws.integers(_TRAIN_STEPS, clean.shape[:1])
            abar = self._abar[step][:, None, None]
            noised, time = noised_to(abar, clean, noise), step
            target = target_of(clean, noise, abar, _PREDICTION)
        predicted = self.decoder(noised, time, seen, draws=draws)
        error = functional.mse_loss(predicted.float(), target, reduction="none")
        return masked_mean(error, batch["action_is_pad"])

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns N chunks, (B, N, H, A); the scene is encoded once."""
        seen = self._seen(batch, None)
        if isinstance(self.decoder, RegressionTransformer):
            return self.decoder(seen)[:, None].expand(-1, noise.shape[1], -1, -1)
        decoder = self.decoder
        prepared = decoder.prepare(seen)

        def predict(x: Tensor, time: float) -> Tensor:
            times = torch.full((1,), time, device=x.device)
            copies = prepared[:, None].expand(-1, x.shape[1], *[-1] * (prepared.ndim - 1))
            answer = decoder.denoise(x.flatten(0, 1), times, copies.flatten(0, 1))
            return answer.unflatten(0, x.shape[:2])

        return denoise(self._process(), predict, noise[:, :, None])

    def _seen(self, batch: Batch, draws: Draws | None) -> Tensor:
        tokens = self.trunk(batch, draws=draws)
        return tokens[:, :1] if self.config.head == "dit" else tokens

    def _process(self) -> Process:
        if self.config.head == "flow":
            return FlowProcess(steps=self.config.sample_steps)
        return DiffusionProcess(
            train_steps=_TRAIN_STEPS,
            steps=self.config.sample_steps,
            sampler="ddim",
            prediction=_PREDICTION,
        )
