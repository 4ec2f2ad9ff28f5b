"""What diffusion, flow and consistency policies have in common: encoder, backbone, drawing."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.observation import ACTION_PREFIX, ACTION_PREFIX_WEIGHTS
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.conditional_mlp import ConditionalMlp
from robot_policy.nets.draws import Draws
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.transformer import ConditionalTransformer
from robot_policy.nets.unet1d import ConditionalUnet1d
from robot_policy.nets.weight_decay import norms_biases_and_embeddings
from robot_policy.policies.denoising.config import DenoisingConfig
from robot_policy.policies.denoising.density import densest
from robot_policy.policies.denoising.process import Process
from robot_policy.policies.denoising.sampler import (
    Known,
    Predict,
    Resample,
    denoise,
    draws_needed,
)
from robot_policy.policies.module import Batch, PolicyModule, masked_mean, scaled


class DenoisingPolicy[C: DenoisingConfig](PolicyModule[C]):
    """A backbone that denoises a chunk given the encoded observations.

    The window of P + H actions begins at the first observation, t - T + 1. A subclass gives the
    process and the loss.
    """

    def __init__(self, config: C, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = ObservationEncoder(spec, config)
        self.backbone = _backbone(config, spec, self.encoder.step_features)
        if config.condition_dropout:
            shape = (spec.history, self.encoder.step_features)
            self.hidden_observation = nn.Parameter(torch.zeros(shape))
        self.process = self.make_process()

    @classmethod
    def complete_spec(cls, config: C, source: PolicySpec) -> PolicySpec:
        """Splits the predicted window into past and horizon."""
        return replace(
            source,
            history=config.history,
            horizon=config.horizon,
            past=config.past,
            history_stride=config.history_stride,
            joins_prefix=cls.joins_prefix(),
        )

    @classmethod
    def joins_prefix(cls) -> bool:
        """Whether its chunks can begin with given actions."""
        return True

    @abstractmethod
    def make_process(self) -> Process:
        """Builds what drawing follows."""

    def encode(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Encodes observations, (B, T, F); with `draws` as in training, crops and all."""
        condition = self.encoder(batch, draws=draws)
        if draws is not None and self.config.condition_dropout:
            hide = draws.uniform(condition.shape[:1]) < self.config.condition_dropout
            condition = torch.where(hide[:, None, None], self.hidden_observation, condition)
        return condition

    def regression(self, predicted: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over (B, P + H, A)."""
        predicted, target = scaled(batch, predicted.float(), target)
        error = functional.mse_loss(predicted, target, reduction="none")
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def no_weight_decay(self) -> frozenset[str]:
        """As published: the U-Net decays everything, a little; the transformer its matrices."""
        if self.config.backbone == "transformer":
            return norms_biases_and_embeddings(self)
        return frozenset()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(G * D, P + H, A): D noise chunks for each of the G chunks a candidate is chosen from."""
        draws = draws_needed(self.process, shared_steps=self.config.shared_steps)
        length, size = self.config.window_length, self.spec.action.size
        return self.config.density_samples * draws, length, size

    def decode(self, batch: Batch, noise: Tensor, *, resample: Resample | None = None) -> Tensor:
        """Denoises N chunks per row, (B, N, P + H, A); the observation is encoded once.

        With `resample` it is asked between two levels which of the chunks to replace.
        """
        group = self.config.density_samples
        predict, known = self.heeding(self._predictor(self.encode(batch)), self._known(batch))
        chunks = denoise(
            self.process,
            predict,
            # (B, N * G, D, L, A)
            self.config.temperature * noise.unflatten(2, (group, -1)).flatten(1, 2),
            known=known,
            shared_steps=self.config.shared_steps,
            extra_steps=self.extra_steps,
            resample=resample,
        )
        if group == 1:
            return chunks
        return densest(chunks, group=group, bandwidth=self.config.density_bandwidth)

    def heeding(self, predict: Predict, known: Known | None) -> tuple[Predict, Known | None]:
        """Returns how to draw so that the chunk heeds what is known: here, by inpainting alone."""
        return predict, known

    @property
    def extra_steps(self) -> int:
        """Repetitions of the last denoising step."""
        return 0

    def _predictor(self, condition: Tensor) -> Predict:
        guidance = self.config.guidance
        if not guidance:
            return self._network(condition)
        both = self._network(torch.cat([condition, self.hidden_observation.expand_as(condition)]))

        def guided(x: Tensor, time: float) -> Tensor:
            answers = both(torch.cat([x, x]), time).unflatten(0, (2, -1))
            conditional, unconditional = answers.unbind(0)
            return (1 + guidance) * conditional - guidance * unconditional

        return guided

    def _network(self, condition: Tensor) -> Predict:
        prepared = self.backbone.prepare(condition)

        def predict(x: Tensor, time: float) -> Tensor:
            times = torch.full((1,), time, device=x.device)
            # Not repeat_interleave, which ONNX knows for a constant number of copies only.
            copies = prepared[:, None].expand(-1, x.shape[1], *[-1] * (prepared.ndim - 1))
            repeated = copies.flatten(0, 1)
            predicted = self.backbone.denoise(x.flatten(0, 1), times, repeated)
            return predicted.unflatten(0, x.shape[:2])

        return predict

    def _known(self, batch: Batch) -> Known | None:
        prefix = batch.get(ACTION_PREFIX)
        if prefix is None or not self.spec.joins_prefix:
            return None
        past, horizon = self.spec.past, self.spec.horizon
        prefix = prefix[:, :horizon]
        count = prefix.shape[1]
        actions = functional.pad(prefix, (0, 0, past, horizon - count))
        binding = batch.get(ACTION_PREFIX_WEIGHTS)
        if binding is None:
            index = torch.arange(past + horizon, device=prefix.device)
            return Known(actions, ((index >= past) & (index < past + count))[:, None])
        weights = functional.pad(binding[:, :horizon], (past, horizon - count))[:, None, :, None]
        return Known(actions, weights == 1.0, weights)


def _backbone(
    config: DenoisingConfig, spec: PolicySpec, step_features: int
) -> ConditionalTransformer | ConditionalUnet1d | ConditionalMlp:
    if config.backbone == "mlp":
        return ConditionalMlp(
            spec.action.size,
            step_features,
            length=config.window_length,
            history=config.history,
            hidden=config.hidden,
            blocks=config.blocks,
            step_embedding=config.step_embedding,
        )
    if config.backbone == "transformer":
        return ConditionalTransformer(
            spec.action.size,
            step_features,
            length=config.window_length,
            history=config.history,
            layers=config.layers,
            heads=config.heads,
            width=config.width,
            dropout=config.dropout,
            # Without the past every slot lies after every observation.
            causal=config.causal and config.past > 0,
        )
    return ConditionalUnet1d(
        spec.action.size,
        config.history * step_features,
        channels=config.channels,
        kernel=config.kernel,
        groups=config.groups,
        step_embedding=config.step_embedding,
    )
