"""Feynman-Kac steering: candidates are resampled by their value while they are being denoised.

Singhal et al. 2025 (https://arxiv.org/abs/2501.06848): a set of particles follows the reverse
process; now and then each is judged by the clean sample it seems to become, and those of low value
are replaced by copies of those of high value.
"""

import numpy as np
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.network_io import candidates_of, network_inputs
from robot_policy.core.observation import STATE, Candidates, Windows
from robot_policy.core.policy import Generators, Policy, Scorer, per_row, standard_normal
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.tensors import bounded_threads, to_tensors
from robot_policy.policies.denoising.policy import DenoisingPolicy
from robot_policy.policies.torch_policy import TorchPolicy

_LARGEST_EXPONENT = 4.0


class FeynmanKacPolicy:
    """A denoising policy whose candidates have been selected on the way.

    At a few evenly spaced levels every particle's clean estimate is judged, standardised to z over
    the particles of a robot, and particle j is drawn with a probability proportional to
    exp(lambda (z_j - z'_j)), z' its judgement the last time, as the telescoping potentials of the
    paper have it. Copies are told apart by new noise: x = noised(clean, eps, level). The first
    particle is never replaced, so that it stays the policy's own first sample.

    Args:
        policy: A trained policy that denoises.
        scorer: Judges.
        times: How often particles are resampled, fewer than the denoising steps.
        scored_steps: Actions of a chunk that are judged.
        strength: lambda.

    Raises:
        ConfigError: If the policy does not denoise, or has too few steps.
    """

    def __init__(
        self,
        policy: Policy,
        scorer: Scorer,
        *,
        times: int,
        scored_steps: int,
        strength: float = 1.0,
    ) -> None:
        module = policy.module if isinstance(policy, TorchPolicy) else None
        if not isinstance(policy, TorchPolicy) or not isinstance(module, DenoisingPolicy):
            raise ConfigError(
                "only a policy that denoises chunks can be resampled while it does",
                where="resample",
                expected="a checkpoint of diffusion, flow or consistency",
                got=type(policy if module is None else module).__name__,
            )
        if module.config.shared_steps or module.config.density_samples > 1:
            raise ConfigError(
                "every candidate must be a chunk of its own from the start",
                where="resample with shared_steps or density_samples",
                expected="shared_steps 0 and density_samples 1",
            )
        steps = module.process.steps
        if not 1 <= times < steps:
            raise ConfigError(
                "out of range",
                where="resample",
                expected=f"1 .. {steps - 1} (denoising steps less one)",
                got=times,
            )
        self._policy = policy
        self._module = module
        self._scorer = scorer
        self._scored_steps = scored_steps
        self._strength = strength
        places = np.linspace(0, steps, times + 2)[1:-1]
        self._levels = frozenset(int(level) for level in np.clip(np.round(places), 1, steps - 1))

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._policy.spec

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        return self._policy.device_type

    def reset(self) -> None:
        """Resets the policy."""
        self._policy.reset()

    @torch.inference_mode()
    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws (B, N, H, A) actions in the robot's units; the first as without steering."""
        policy, module = self._policy, self._module
        rows = per_row(generator, windows.batch_size)
        own = [row.spawn(1)[0] for row in rows]
        batch = to_tensors(network_inputs(windows, policy.pipeline, policy.spec), policy.device)
        noise = standard_normal((num_samples, *module.noise_shape), rows)
        before = np.zeros((len(batch[STATE]), num_samples))

        def resample(clean: Tensor, level: int) -> tuple[Tensor, Tensor] | None:
            nonlocal before
            if level not in self._levels or num_samples == 1:
                return None
            now = self._standardized(windows, clean)
            chosen = _draw(self._strength * (now - before), own)
            before = np.take_along_axis(now, chosen, axis=1)
            fresh = standard_normal(tuple(clean.shape[1:]), own)
            index = torch.from_numpy(chosen).to(clean.device)
            kept = torch.take_along_dim(clean, index[:, :, None, None], dim=1)
            noised = module.process.noised(kept, torch.from_numpy(fresh).to(clean.device), level)
            moved = index != torch.arange(num_samples, device=clean.device)
            return moved[:, :, None, None], noised

        with bounded_threads(policy.threads):
            chunks = module.decode(
                batch, torch.from_numpy(noise).to(policy.device), resample=resample
            )
        return candidates_of(chunks.float().cpu().numpy(), policy.pipeline, policy.spec)

    def _standardized(self, windows: Windows, clean: Tensor) -> np.ndarray:
        """Judgements (B, N) of clean estimates in standard deviations; 0 where there are none."""
        policy = self._policy
        candidates = candidates_of(clean.float().cpu().numpy(), policy.pipeline, policy.spec)
        executed = Candidates(candidates.actions[:, :, : self._scored_steps])
        scores = self._scorer.score(windows, executed).astype(np.float64)
        usable = np.isfinite(scores).all(axis=1, keepdims=True)
        centred = scores - scores.mean(axis=1, keepdims=True)
        unit = centred.std(axis=1, keepdims=True)
        return np.where(usable & (unit > 1e-9), centred / np.where(unit > 1e-9, unit, 1.0), 0.0)


def _draw(exponents: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
    """Systematic resampling: (B, N) parents; the first particle is its own."""
    weights = np.exp(np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    count = weights.shape[1]
    parents = np.empty(weights.shape, dtype=np.int64)
    for row, rng in enumerate(rngs):
        shares = np.cumsum(weights[row] / weights[row].sum())
        places = (rng.random() + np.arange(count)) / count
        drawn = np.minimum(np.searchsorted(shares, places), count - 1)
        parents[row] = _in_place(drawn, count)
    parents[:, 0] = 0
    return parents


def _in_place(drawn: np.ndarray, count: int) -> np.ndarray:
    """Orders the drawn parents so that every particle that survives stays where it was."""
    copies = np.bincount(drawn, minlength=count)
    places = np.where(copies > 0, np.arange(count), -1)
    extra = np.repeat(np.arange(count), np.maximum(copies - 1, 0))
    places[places < 0] = extra[: int((places < 0).sum())]
    return places
