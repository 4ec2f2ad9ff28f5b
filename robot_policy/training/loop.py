"""The training loop: one gradient step after the other, exactly resumable."""

import math
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch

from robot_policy.checkpoint import (
    load_spec,
    load_statistics,
    resolve_device,
    save_policy,
    statistics_to_json,
)
from robot_policy.core.errors import ConfigError, DataError, RobotPolicyError
from robot_policy.core.files import read_json, require_new_folder, write_json
from robot_policy.core.specs import check_runs_on
from robot_policy.data.store import EpisodeStore
from robot_policy.policies.module import Batch, PolicyModule
from robot_policy.policies.registry import POLICIES
from robot_policy.policies.torch_policy import to_tensors
from robot_policy.training.config import TrainConfig, config_to_json
from robot_policy.training.data import BatchSource, choose_episodes, source_spec
from robot_policy.training.ema import Ema
from robot_policy.training.logger import CurveLogger
from robot_policy.training.pipeline import make_pipeline, used_statistics
from robot_policy.training.progress import training_progress
from robot_policy.training.run_folder import RunFolder
from robot_policy.training.state import load_training_state, save_training_state

_SMOOTHING = 50
_LOG_EVERY = 50
_VALIDATION_WINDOWS = 1024
# Settings that may differ between a run and its resumption without changing what is learned. The
# dataset may have moved; that it is the same one is checked by what it holds.
_FREE_TO_CHANGE = frozenset(
    {"dataset", "output", "resume", "steps", "epochs", "device", "threads", "validate_every",
     "checkpoint_every", "tensorboard", "wandb", "json"}
)  # fmt: skip


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        checkpoint: Last checkpoint.
        steps: Gradient steps done in total.
        loss: Training loss, mean of the last steps.
        validation_loss: Of the averaged weights; None without validation episodes.
        steps_per_s: Rate of this part of the run.
        parameters: Trained parameters.
    """

    checkpoint: Path
    steps: int
    loss: float
    validation_loss: float | None
    steps_per_s: float
    parameters: int


class Trainer:
    """One run of one policy on one dataset.

    Args:
        name: Of the policy in the registry.
        config: Settings.

    Raises:
        RobotPolicyError: If the settings, the dataset or the run to resume are not usable. Nothing
            has been written then.
    """

    def __init__(self, name: str, config: TrainConfig) -> None:
        self.name = name
        self.config = config
        self.folder = RunFolder(config.output)
        self._check_output()
        self.device = resolve_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        store = EpisodeStore.open(config.dataset, cameras=config.cameras)
        source = source_spec(store, config)
        self.statistics = store.statistics
        torch.manual_seed(config.seed)
        policy_class: type[PolicyModule] = POLICIES[name]
        self.module = policy_class.build(config.policy, source).to(self.device)
        spec = self.module.spec
        self.pipeline = make_pipeline(spec, self.statistics, states=config.normalization)
        split = choose_episodes(store, config)
        options = {"spec": spec, "pipeline": self.pipeline, "seed": config.seed}
        self.batches = BatchSource(store, split.training, batch_size=config.batch_size, **options)
        self.validation: Batch | None = None
        if split.validation:
            kept_out = BatchSource(store, split.validation, batch_size=1, **options)
            sample = kept_out.fixed_batch(size=_VALIDATION_WINDOWS)
            self.validation = to_tensors(sample, self.device)
        self.steps = config.steps
        if config.epochs is not None:
            self.steps = math.ceil(config.epochs * self.batches.batches_per_epoch)
        optimizer = config.optimizer
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(),
            lr=optimizer.lr,
            betas=optimizer.betas,
            weight_decay=optimizer.weight_decay,
            fused=True,
        )
        self.ema = Ema(self.module, config.ema)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.start = self._restore() if config.resume else 0
        self.validation_loss: float | None = None

    def run(self) -> TrainResult:
        """Trains to the last step; Ctrl-C leaves a checkpoint of the step it came at."""
        config, step, losses = self.config, self.start, deque[float](maxlen=_SMOOTHING)
        write_json(self.folder.config, config_to_json(self.name, config))
        logger = CurveLogger(
            self.folder.root,
            tensorboard=config.tensorboard,
            wandb=config.wandb,
            config=config_to_json(self.name, config),
        )
        start_s = time.perf_counter()
        self.module.train()
        try:
            with training_progress(steps=self.steps, done=step) as progress:
                while step < self.steps:
                    losses.append(self._step(step))
                    step += 1
                    rate = (step - self.start) / (time.perf_counter() - start_s)
                    mean = sum(losses) / len(losses)
                    progress.update(step, loss=mean, rate=rate)
                    self._periodically(step, mean, rate, logger)
        except KeyboardInterrupt:
            self._save(step)
            raise
        finally:
            logger.close()
        elapsed_s = time.perf_counter() - start_s
        return TrainResult(
            checkpoint=self.folder.last_checkpoint(),
            steps=step,
            loss=sum(losses) / len(losses) if losses else math.nan,
            validation_loss=self.validation_loss,
            steps_per_s=(step - self.start) / elapsed_s,
            parameters=sum(p.numel() for p in self.module.parameters()),
        )

    def _step(self, step: int) -> float:
        self._set_learning_rate(step)
        batch = to_tensors(self.batches.training_batch(step), self.device)
        with self._autocast():
            loss = self.module.loss(batch, generator=self.generator)
        value = loss.item()
        if not math.isfinite(value):
            raise RobotPolicyError(
                "the loss is not finite; the last checkpoint is kept",
                where=f"gradient step {step}",
                got=value,
                hint="a smaller --optimizer.lr may help",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        self.ema.update(self.module, step=step + 1)
        return value

    def _periodically(self, step: int, loss: float, rate: float, logger: CurveLogger) -> None:
        last = step == self.steps
        if step % _LOG_EVERY == 0 or last:
            scalars = {"loss/train": loss, "steps_per_s": rate, "lr": self._learning_rate(step)}
            logger.log(scalars, step=step)
        if self.validation is not None and (step % self.config.validate_every == 0 or last):
            self.validation_loss = self._validate(self.validation)
            logger.log({"loss/validation": self.validation_loss}, step=step)
        if step % self.config.checkpoint_every == 0 or last:
            self._save(step)

    def _validate(self, batch: Batch) -> float:
        """Loss of the averaged weights, with noise of its own so that training is not disturbed."""
        weights = {key: value.clone() for key, value in self.module.state_dict().items()}
        self.module.load_state_dict(self.ema.shadow)
        self.module.eval()
        generator = torch.Generator(self.device).manual_seed(self.config.seed)
        with torch.no_grad(), self._autocast():
            loss = self.module.loss(batch, generator=generator).item()
        self.module.load_state_dict(weights)
        self.module.train()
        return loss

    def _autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _learning_rate(self, step: int) -> float:
        optimizer = self.config.optimizer
        if step < optimizer.warmup_steps:
            return optimizer.lr * (step + 1) / optimizer.warmup_steps
        progress = (step - optimizer.warmup_steps) / max(1, self.steps - optimizer.warmup_steps)
        return optimizer.lr * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))

    def _set_learning_rate(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)

    def _save(self, step: int) -> None:
        def write(folder: Path) -> None:
            save_policy(
                folder / "policy",
                name=self.name,
                module=self.module,
                pipeline=self.pipeline,
                statistics=used_statistics(self.statistics, self.module.spec),
                weights=self.ema.shadow,
                training={**config_to_json(self.name, self.config), "step": step},
            )
            save_training_state(
                folder / "training_state",
                step=step,
                module=self.module,
                optimizer=self.optimizer,
                ema=self.ema,
                generator=self.generator,
            )

        self.folder.commit(step, write)

    def _check_output(self) -> None:
        if not self.config.resume:
            require_new_folder(self.config.output)
            return
        self.folder.last_checkpoint()
        before = read_json(self.folder.config)
        now = config_to_json(self.name, self.config)
        for key in sorted((before.keys() | now.keys()) - _FREE_TO_CHANGE):
            if before.get(key) != now.get(key):
                raise ConfigError(
                    "a resumed run must have the settings it was begun with",
                    where=f"--{key.replace('_', '-')}",
                    expected=before.get(key),
                    got=now.get(key),
                )

    def _restore(self) -> int:
        checkpoint = self.folder.last_checkpoint()
        where = f"dataset {self.config.dataset}"
        check_runs_on(load_spec(checkpoint), self.module.spec, where=where)
        now = statistics_to_json(used_statistics(self.statistics, self.module.spec))
        for key, before in statistics_to_json(load_statistics(checkpoint)).items():
            if before != now.get(key):
                raise DataError(
                    "not the data this run was begun with", where=where, got=f"another {key}"
                )
        return load_training_state(
            checkpoint / "training_state",
            module=self.module,
            optimizer=self.optimizer,
            ema=self.ema,
            generator=self.generator,
        )
