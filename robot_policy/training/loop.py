"""The training loop: one gradient step after the other, exactly resumable."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from robot_policy.checkpoint import resolve_device
from robot_policy.core.files import require_new_folder, write_json
from robot_policy.core.transforms import Sample
from robot_policy.data.store import EpisodeStore
from robot_policy.nets.tensors import to_tensors
from robot_policy.nets.trainable import Batch, TrainableModule
from robot_policy.policies.module import PolicyModule, Remembers
from robot_policy.training.config import TrainConfig, config_to_json
from robot_policy.training.contradictions import (
    check_context,
    check_division,
    check_evaluation,
    check_precision,
)
from robot_policy.training.data import Split, choose_episodes, source_spec
from robot_policy.training.datasets import (
    episode_weights,
    open_datasets,
    recorded_spec,
    step_weights,
)
from robot_policy.training.ema import Ema
from robot_policy.training.evaluations import Evaluation, Evaluations
from robot_policy.training.frozen_encoder import load_frozen_encoder
from robot_policy.training.gradient_step import GradientStep, NonFiniteLossError
from robot_policy.training.logger import CurveLogger
from robot_policy.training.non_finite import describe
from robot_policy.training.pipeline import make_pipeline, used_statistics
from robot_policy.training.prefetch import Prefetcher
from robot_policy.training.processes import Division, make_accelerator
from robot_policy.training.progress import decoding_progress, training_progress
from robot_policy.training.resume import check_same_data, check_same_settings
from robot_policy.training.run_folder import RunFolder
from robot_policy.training.schedule import learning_rate
from robot_policy.training.state import Progress, load_training_state, save_training_state
from robot_policy.training.stop_request import StopRequest
from robot_policy.training.subject import PolicySubject, Subject
from robot_policy.training.teacher import check_teacher, load_teacher
from robot_policy.training.validation import validation_loss

_SMOOTHING = 50
_LOG_EVERY = 50
_VALIDATION_WINDOWS = 1024


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        checkpoint: Last checkpoint.
        steps: Gradient steps done in total.
        loss: Training loss, mean of the last steps.
        validation_loss: Of the averaged weights; None without validation episodes.
        steps_per_s: Rate of this part of the run; 0 if there was nothing left to do.
        parameters: Trained parameters.
        best: Best evaluation in the twin; None if there was none.
    """

    checkpoint: Path
    steps: int
    loss: float | None
    validation_loss: float | None
    steps_per_s: float
    parameters: int
    best: Evaluation | None = None


class Trainer:
    """One run of one policy, or critic, on one dataset.

    Args:
        name: Of the policy in the registry.
        config: Settings.
        subject: What is trained; a policy if None.

    Raises:
        RobotPolicyError: If the settings, the dataset or the run to resume are not usable. Nothing
            has been written then.
    """

    def __init__(self, name: str, config: TrainConfig, *, subject: Subject | None = None) -> None:
        self.name = name
        self.config = config
        self.subject: Subject = subject or PolicySubject()
        self.folder = RunFolder(config.output)
        if config.resume:
            check_same_settings(self.folder, name, config)
        elif not config.dry_run:
            require_new_folder(config.output)
        device = resolve_device(config.device)
        check_precision(config, device)
        self.accelerator = make_accelerator(device, config.precision)
        together = self.accelerator.num_processes > 1
        self.device = self.accelerator.device if together else device
        if config.threads:
            torch.set_num_threads(config.threads)
        frozen = load_frozen_encoder(config)
        encoders = None if frozen is None else frozen.frame_encoders()
        with decoding_progress(shown=self.is_main) as report:
            store = open_datasets(config, encoders=encoders, report=report)
        self.statistics = store.statistics
        torch.manual_seed(config.seed)
        split = choose_episodes(store, config)
        policy = self.subject.hyper_parameters(config, store, split.training)
        module_class: type[TrainableModule[Any]] = self.subject.registry[name]
        teacher = load_teacher(policy, device=self.device)
        if teacher is not None:
            assert issubclass(module_class, PolicyModule)
            policy = module_class.config_for(policy, teacher.module)
        source = source_spec(store, config)
        if frozen is not None:
            policy, source = frozen.hyper_parameters(policy), frozen.restore_images(source)
        module = module_class.build(policy, source).to(self.device)
        if frozen is not None:
            frozen.freeze(module)
        self.module: TrainableModule[Any] = module
        check_evaluation(config, self.module.spec)
        check_context(self.module.spec, [store.episodes[e].length for e in split.training])
        self.pipeline = make_pipeline(
            self.module.spec,
            self.statistics,
            states=config.normalization,
            actions=self.module.action_normalization,
            recorded=recorded_spec(config),
        )
        if teacher is not None:
            options = {"module": self.module, "pipeline": self.pipeline, "data": self.statistics}
            check_teacher(config.policy.teacher, teacher, **options)
            assert isinstance(module, PolicyModule)
            module.learn_from(teacher.module)
        self._load_data(store, split)
        if isinstance(module, Remembers):
            everything = to_tensors(self.batches.everything(), self.device)
            module.memorise(everything, seed=config.seed)
        self.steps = config.steps
        if config.epochs is not None:
            self.steps = math.ceil(config.epochs * self.batches.batches_per_epoch)
        self.gradient_step = GradientStep(
            self.module, config, accelerator=self.accelerator, division=self.division
        )
        self.ema = Ema(self.module, config.ema)
        self.progress = self._restore() if config.resume else Progress()

    def _load_data(self, store: EpisodeStore, split: Split) -> None:
        config = self.config
        options: dict[str, Any] = {
            "spec": self.module.spec,
            "pipeline": self.pipeline,
            "seed": config.seed,
            "lookahead": self.module.training_lookahead,
        }
        options["module"] = self.module
        weights = episode_weights(store, split.training, config)
        make = self.subject.batch_source
        self.batches = make(
            store,
            split.training,
            batch_size=config.batch_size,
            weights=weights,
            step_weights=step_weights(store, config),
            **options,
        )
        processes, total = self.accelerator.num_processes, self.batches.batch_size
        check_division(config, processes=processes, batch_size=total)
        self.division = Division(
            total, processes, self.accelerator.process_index, config.accumulate
        )
        self.prefetcher = Prefetcher(
            self._rows_of_batch, device=self.device, workers=config.workers
        )
        self._validation: Batch | None = None
        if split.validation and self.is_main:
            kept_out = make(store, split.validation, batch_size=1, **options)
            sample = kept_out.fixed_batch(size=_VALIDATION_WINDOWS)
            self._validation = to_tensors(sample, self.device)

    def _rows_of_batch(self, number: int) -> Sample:
        return self.batches.training_batch(number, rows=self.division.rows)

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes and speaks."""
        return self.accelerator.is_main_process

    def run(self) -> TrainResult:
        """Trains to the last step; Ctrl-C leaves a checkpoint of the step it came at."""
        # Nobody may write before every process has seen that the folder is new.
        self.accelerator.wait_for_everyone()
        settings = config_to_json(self.name, self.config)
        if self.is_main:
            write_json(self.folder.config, settings)
        logger = CurveLogger(
            self.folder.root,
            tensorboard=self.config.tensorboard and self.is_main,
            wandb=self.config.wandb and self.is_main,
            config=settings,
        )

        def log(evaluation: Evaluation) -> None:
            scalars = {"evaluation/success_rate": evaluation.success_rate}
            logger.log(scalars, step=evaluation.step)

        evaluations = Evaluations(self.folder, self.config.evaluate, on_result=log)
        self.module.train()
        try:
            with evaluations, self.prefetcher:
                rate = self._train(logger, evaluations)
                self.accelerator.wait_for_everyone()
                if self.is_main:
                    evaluations.finish()
        finally:
            logger.close()
        return TrainResult(
            checkpoint=self.folder.last_checkpoint(),
            steps=self.progress.step,
            loss=self.progress.loss,
            validation_loss=self.progress.validation_loss,
            steps_per_s=rate,
            parameters=sum(p.numel() for p in self.module.parameters()),
            best=evaluations.best,
        )

    def _train(self, logger: CurveLogger, evaluations: Evaluations) -> float:
        """Takes the remaining steps; returns how many per second."""
        progress, first, start_s, rate = self.progress, self.progress.step, time.perf_counter(), 0.0
        if self.is_main:
            evaluations.catch_up(self.folder.steps())
        bar = training_progress(steps=self.steps, done=first, shown=self.is_main)
        with bar as shown, StopRequest() as stop:
            try:
                while progress.step < self.steps:
                    loss = self._step(progress.step)
                    progress.step += 1
                    progress.losses = [*progress.losses[1 - _SMOOTHING :], loss]
                    rate = (progress.step - first) / (time.perf_counter() - start_s)
                    if self.is_main:
                        shown.update(progress.step, loss=progress.loss, rate=rate)
                        self._periodically(rate, logger, evaluations)
                    if self.largest(stop.requested):
                        raise KeyboardInterrupt
            except KeyboardInterrupt:
                if self.is_main and not stop.insisted:
                    self._save()
                raise
        return rate

    def largest(self, value: float) -> float:
        """The largest `value` of all processes, so that all decide alike."""
        if self.accelerator.num_processes == 1:
            return value
        values = self.accelerator.gather(torch.tensor([value], device=self.device))
        assert isinstance(values, torch.Tensor)
        return values.max().item()

    def _step(self, step: int) -> float:
        """Takes gradient step `step`, counted from 0, and returns the loss before it."""
        rate = learning_rate(self.config.optimizer, step, steps=self.steps)
        self.gradient_step.set_learning_rate(rate)
        batch = self.prefetcher.get(step)
        try:
            loss = self.gradient_step(batch, step)
        except NonFiniteLossError as error:
            raise describe(
                error,
                step=step,
                module=self.module,
                batch=batch,
                batches=self.batches,
                division=self.division,
                seed=self.config.seed,
            ) from error
        self.module.after_step()
        self.ema.update(step=step + 1)
        return loss

    def _periodically(self, rate: float, logger: CurveLogger, evaluations: Evaluations) -> None:
        config, progress, step = self.config, self.progress, self.progress.step
        last = step == self.steps
        if step % _LOG_EVERY == 0 or last:
            lr = learning_rate(config.optimizer, step, steps=self.steps)
            scalars = {"loss/train": progress.loss or 0.0, "steps_per_s": rate, "lr": lr}
            scalars |= {f"figures/{name}": x for name, x in self.module.figures().items()}
            logger.log(scalars, step=step)
        if step % config.validate_every == 0 or last:
            progress.validation_loss = self.validate()
            if progress.validation_loss is not None:
                logger.log({"loss/validation": progress.validation_loss}, step=step)
        if step % config.checkpoint_every == 0 or config.evaluate.due(step) or last:
            self._save()
            evaluations.submit(step)
            if config.keep_checkpoints:
                self.folder.prune(config.keep_checkpoints, needed=evaluations.needed)
        evaluations.poll()

    def validate(self) -> float | None:
        """Loss of the averaged weights on what is kept out; None where nothing is."""
        if self._validation is None:
            return None
        return validation_loss(
            self.module,
            self.ema,
            self._validation,
            rows_at_once=self.division.total,
            seed=self.config.seed,
            autocast=self.accelerator.autocast(),
        )

    def _save(self) -> None:
        scaler = self.gradient_step.scaler
        self.progress.scaler = {} if scaler is None else scaler.state_dict()
        settings = config_to_json(self.name, self.config)

        def write(folder: Path) -> None:
            self.subject.save(
                folder / "policy",
                name=self.name,
                module=self.module,
                pipeline=self.pipeline,
                statistics=used_statistics(self.statistics, self.module.spec),
                weights=self.ema.shadow,
                training={**settings, "step": self.progress.step},
            )
            save_training_state(
                folder / "training_state",
                progress=self.progress,
                module=self.module,
                optimizer=self.gradient_step.optimizer,
                ema=self.ema,
            )

        self.folder.commit(self.progress.step, write)

    def _restore(self) -> Progress:
        checkpoint = self.folder.last_checkpoint()
        check_same_data(
            checkpoint,
            self.config.dataset,
            spec=self.module.spec,
            statistics=self.statistics,
        )
        progress = load_training_state(
            checkpoint / "training_state",
            module=self.module,
            optimizer=self.gradient_step.optimizer,
            ema=self.ema,
        )
        scaler = self.gradient_step.scaler
        if scaler is not None and progress.scaler:
            scaler.load_state_dict(progress.scaler)
        return progress
