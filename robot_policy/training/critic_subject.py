"""The training of critics: labelled transitions in, a critic folder out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from robot_policy.checkpoint import save_critic
from robot_policy.core.errors import DataError
from robot_policy.core.transforms import Pipeline, Statistics
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.labels import Labels, label
from robot_policy.critics.module import Critic
from robot_policy.critics.registry import CRITICS
from robot_policy.data.store import EpisodeStore
from robot_policy.nets.language import make_text_encoder
from robot_policy.nets.trainable import TrainableModule
from robot_policy.training.config import TrainConfig
from robot_policy.training.critic_config import CriticTrainConfig
from robot_policy.training.data import BatchSource
from robot_policy.training.datasets import names
from robot_policy.training.transitions import TransitionSource


class CriticSubject:
    """Critics: transitions with returns in, judgements out.

    Args:
        config: Of the run.
        name: Of the critic.
    """

    registry = CRITICS

    def __init__(self, name: str, config: CriticTrainConfig[Any]) -> None:
        self._config = config
        self._name = name
        self._learns_values: bool = CRITICS[name].learns_values
        self._labels: Labels | None = None
        self._instructions: tuple[str, ...] = ()

    def hyper_parameters(
        self, config: TrainConfig[Any], store: EpisodeStore, episodes: Sequence[int]
    ) -> CriticConfig:
        """Sets the range of values to that of the returns.

        Raises:
            DataError: If the critic needs interventions and there are none, or the dataset has
                neither what rewards are made from, nor any difference.
        """
        if CRITICS[self._name].needs_interventions and not _tell_interventions(store, episodes):
            raise DataError(
                "no intervention in it",
                where=names(config.dataset),
                hint="record some with `robot-policy teleop --policy RUN`",
            )
        self._instructions = tuple(sorted({store.episodes[e].task for e in episodes}))
        self._labels = label(
            self._config.labels,
            lengths=[e.length for e in store.episodes],
            successes=[e.success for e in store.episodes],
            recorded=store.rewards,
            where=names(config.dataset),
            needed=self._learns_values,
        )
        low, high = self._labels.value_range
        return replace(config.policy, value_low=low, value_high=high)

    def batch_source(
        self,
        store: EpisodeStore,
        episodes: Sequence[int],
        *,
        module: TrainableModule[Any],
        **options: Any,
    ) -> BatchSource:
        """Makes batches of labelled transitions."""
        assert self._labels is not None
        critic: CriticConfig = module.config
        return TransitionSource(
            store,
            episodes,
            labels=self._labels,
            text=make_text_encoder(critic.text_encoder, features=critic.text_features),
            variable_length=critic.variable_length,
            other_instructions=self._config.other_instructions,
            **options,
        )

    def save(
        self,
        folder: Path,
        *,
        name: str,
        module: TrainableModule[Any],
        pipeline: Pipeline,
        statistics: Statistics,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any],
    ) -> None:
        """Writes a critic folder: with labels, and the instructions it was trained on."""
        assert isinstance(module, Critic)
        save_critic(
            folder,
            name=name,
            module=module,
            pipeline=pipeline,
            statistics=statistics,
            weights=weights,
            labels=asdict(self._config.labels),
            instructions=self._instructions,
            training=training,
        )


def _tell_interventions(store: EpisodeStore, episodes: Sequence[int]) -> bool:
    told = store.intervention
    return told is not None and any(
        told[store.starts[e] : store.starts[e + 1]].any() for e in episodes
    )
