"""Samplers of the discrete variance-preserving diffusion, by diffusers."""

from typing import Any, Literal

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

type Sampler = Literal["ddim", "ddpm", "dpm_solver"]
type Prediction = Literal["epsilon", "sample", "v"]

SCHEDULE = "squaredcos_cap_v2"
_PREDICTION_TYPES = {"epsilon": "epsilon", "sample": "sample", "v": "v_prediction"}


class DiffusionProcess:
    """x_k = sqrt(abar_k) A + sqrt(1 - abar_k) eps with the squared-cosine schedule.

    ``ddim``: deterministic steps (Song et al. 2021, eta = 0). ``ddpm``: ancestral steps (Ho et
    al. 2020), which are DDIM's with eta = 1 and the noise derived from the clipped clean chunk.
    ``dpm_solver``: DPM-Solver++(2M) (Lu et al. 2022). The first two clip the clean chunk to
    [-1, 1] in every step.

    Args:
        train_steps: K.
        steps: Visited when drawing, at most K.
        sampler: Which equations.
        prediction: What the network predicts.
    """

    def __init__(
        self, *, train_steps: int, steps: int, sampler: Sampler, prediction: Prediction
    ) -> None:
        self.steps = steps
        self.draws = 1 + (steps if sampler == "ddpm" else 0)
        options: dict[str, Any] = {
            "num_train_timesteps": train_steps,
            "beta_schedule": SCHEDULE,
            "prediction_type": _PREDICTION_TYPES[prediction],
        }
        self._prediction: Prediction = prediction
        self._random = sampler == "ddpm"
        if sampler == "dpm_solver":
            self._scheduler: Any = DPMSolverMultistepScheduler(
                **options, algorithm_type="dpmsolver++", solver_order=2
            )
        else:
            self._scheduler = DDIMScheduler(**options, clip_sample=True)
        self._clip = sampler != "dpm_solver"
        self._scheduler.set_timesteps(steps)
        self._times = [int(time) for time in self._scheduler.timesteps]
        self._abar = [float(self._scheduler.alphas_cumprod[time]) for time in self._times]

    def begin(self) -> None:
        """Starts a run."""
        if isinstance(self._scheduler, DPMSolverMultistepScheduler):
            # What set_timesteps would do, without its arithmetic, which cannot be traced.
            self.forget()
            self._scheduler._step_index = 0

    def network_time(self, level: int) -> float:
        """Returns k."""
        return float(self._times[level])

    def noised(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Returns sqrt(abar_k) clean + sqrt(1 - abar_k) noise."""
        return noised_to(self._abar[level], clean, noise)

    def clean(self, prediction: Tensor, x: Tensor, level: int) -> Tensor:
        """Solves `noised` for the clean chunk."""
        found = clean_chunk(prediction, x, self._abar[level], self._prediction)
        return found.clamp(-1.0, 1.0) if self._clip else found

    def step(self, prediction: Tensor, x: Tensor, level: int, noise: Tensor | None) -> Tensor:
        """Goes one step of the sampler."""
        options: dict[str, Any] = {}
        if self._random:
            options = {"eta": 1.0, "use_clipped_model_output": True, "variance_noise": noise}
        return self._scheduler.step(prediction, self._times[level], x, **options).prev_sample

    def forget(self) -> None:
        """Lets a multistep solver go on with a first-order step, after `x` has been replaced."""
        if isinstance(self._scheduler, DPMSolverMultistepScheduler):
            self._scheduler.model_outputs = [None] * self._scheduler.config["solver_order"]
            self._scheduler.lower_order_nums = 0


def noised_to(abar: float | Tensor, clean: Tensor, noise: Tensor) -> Tensor:
    """Returns sqrt(abar) clean + sqrt(1 - abar) noise."""
    return abar**0.5 * clean + (1 - abar) ** 0.5 * noise


def clean_chunk(prediction: Tensor, x: Tensor, abar: float | Tensor, kind: Prediction) -> Tensor:
    """Returns A from x_k and what was predicted.

    epsilon: (x - sqrt(1 - abar) eps) / sqrt(abar); v (Salimans and Ho 2022):
    sqrt(abar) x - sqrt(1 - abar) v; sample: the prediction itself.
    """
    if kind == "sample":
        return prediction
    if kind == "v":
        return abar**0.5 * x - (1 - abar) ** 0.5 * prediction
    return (x - (1 - abar) ** 0.5 * prediction) / abar**0.5


def ddim_step(
    prediction: Tensor, x: Tensor, abar: Tensor, after: Tensor, kind: Prediction
) -> Tensor:
    """One deterministic step from abar_k to a larger abar_k', rows at levels of their own.

    x_k' = sqrt(abar_k') A + sqrt(1 - abar_k') eps, A clipped to [-1, 1], eps as predicted.
    """
    clean = clean_chunk(prediction, x, abar, kind)
    noise = (x - abar**0.5 * clean) / (1 - abar) ** 0.5
    return after**0.5 * clean.clamp(-1.0, 1.0) + (1 - after) ** 0.5 * noise


def ddim_times(train_steps: int, steps: int) -> list[int]:
    """Returns the k that DDIM visits, noisiest first."""
    scheduler = DDIMScheduler(train_steps, beta_schedule=SCHEDULE)
    scheduler.set_timesteps(steps)
    return [int(time) for time in scheduler.timesteps]


def target_of(clean: Tensor, noise: Tensor, abar: Tensor, kind: Prediction) -> Tensor:
    """Returns what the network is to predict; v = sqrt(abar) eps - sqrt(1 - abar) A."""
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return clean
    return abar.sqrt() * noise - (1 - abar).sqrt() * clean


def squared_cosine(train_steps: int) -> Tensor:
    """Returns abar_k, k = 0 .. K - 1, float32."""
    scheduler = DDIMScheduler(train_steps, beta_schedule=SCHEDULE)
    return torch.as_tensor(scheduler.alphas_cumprod, dtype=torch.float32)
