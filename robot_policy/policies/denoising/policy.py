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
        self._marks_decided = config.prefix_training > 0
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

    def predict(
        self,
        noised: Tensor,
        clean: Tensor,
        time: Tensor,
        batch: Batch,
        decided: Tensor | None,
        *,
        draws: Draws,
    ) -> Tensor:
        """Returns what the backbone says in training of (B, L, A) chunks noised to `time` (B,).

        What is `decided` (B, L, 1) it is shown as it is, and told so.
        """
        if decided is not None:
            noised = _with_marks(torch.where(decided, clean, noised), decided)
        predicted = self.backbone(noised, time, self.encode(batch, draws=draws), draws=draws)
        return predicted[..., : self.spec.action.size]

    def decided_beginning(self, clean: Tensor, draws: Draws) -> Tensor | None:
        """Which of the actions (B, L, A) training shows as decided, (B, L, 1); None if none ever.

        The first d of those from now on, d ~ U{0..prefix_training}: the delays that real-time
        chunking meets (Black et al. 2025, https://arxiv.org/abs/2512.05964).
        """
        if not self.config.prefix_training:
            return None
        count = draws.integers(self.config.prefix_training + 1, clean.shape[:1])
        index = torch.arange(clean.shape[1], device=clean.device)[None] - self.spec.past
        return ((index >= 0) & (index < count[:, None]))[..., None]

    def regression(
        self, predicted: Tensor, target: Tensor, batch: Batch, decided: Tensor | None = None
    ) -> Tensor:
        """Mean squared error over (B, P + H, A), but for what is decided (B, P + H, 1)."""
        predicted, target = scaled(batch, predicted.float(), target)
        error = functional.mse_loss(predicted, target, reduction="none")
        left_out = self.left_out(batch, error)
        if decided is not None:
            decided = decided[..., 0]
            left_out = decided if left_out is None else left_out | decided
        return masked_mean(error, left_out)

    def left_out(self, batch: Batch, error: Tensor) -> Tensor | None:
        """Which steps of the errors (B, L, A) do not count, (B, L) bool; None if all do."""
        del error
        return batch["action_is_pad"] if self.config.mask_padding else None

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
        predict, known = self._predictor(self.encode(batch)), self._known(batch)
        if self._marks_decided:
            predict, known = self._continuing(predict, known)
        predict, known = self.heeding(predict, known)
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

    def _continuing(self, predict: Predict, known: Known | None) -> tuple[Predict, Known | None]:
        """Returns how to draw as `decided_beginning` trains it.

        What is decided stands there without noise at every level, and nothing else is drawn
        towards anything: where the rest goes the network has learned.
        """
        if known is None:
            return (lambda x, time: predict(_with_marks(x, x.new_zeros(1)), time)), None
        decided = replace(known, weights=None)

        def continued(x: Tensor, time: float) -> Tensor:
            exact = decided.put(x, decided.actions[:, None])
            return predict(_with_marks(exact, decided.where), time)

        return continued, decided

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
            return predicted[..., : self.spec.action.size].unflatten(0, x.shape[:2])

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


def _with_marks(actions: Tensor, decided: Tensor) -> Tensor:
    """Returns (..., L, A + 1): actions, and whether they are decided."""
    return torch.cat([actions, decided.to(actions.dtype).expand(*actions.shape[:-1], 1)], dim=-1)


def _backbone(
    config: DenoisingConfig, spec: PolicySpec, step_features: int
) -> ConditionalTransformer | ConditionalUnet1d | ConditionalMlp:
    # A mark beside every action, as input; what the network says of it is not used.
    size = spec.action.size + (config.prefix_training > 0)
    if config.backbone == "mlp":
        return ConditionalMlp(
            size,
            step_features,
            length=config.window_length,
            history=config.history,
            hidden=config.hidden,
            blocks=config.blocks,
            step_embedding=config.step_embedding,
        )
    if config.backbone == "transformer":
        return ConditionalTransformer(
            size,
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
        size,
        config.history * step_features,
        channels=config.channels,
        kernel=config.kernel,
        groups=config.groups,
        step_embedding=config.step_embedding,
    )
