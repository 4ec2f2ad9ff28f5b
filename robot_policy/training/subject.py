"""What distinguishes the training of a policy from that of a critic."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from robot_policy.checkpoint import save_policy
from robot_policy.core.registry import Registry
from robot_policy.core.transforms import Pipeline, Statistics
from robot_policy.data.store import EpisodeStore
from robot_policy.nets.trainable import TrainableModule
from robot_policy.policies.module import PolicyModule
from robot_policy.policies.registry import POLICIES
from robot_policy.training.config import TrainConfig
from robot_policy.training.data import BatchSource


class Subject(Protocol):
    """What is trained: its registry, its batches, its folder."""

    @property
    def registry(self) -> Registry:
        """Name to `TrainableModule` class."""
        ...

    def hyper_parameters(
        self, config: TrainConfig[Any], store: EpisodeStore, episodes: Sequence[int]
    ) -> Any:
        """Returns the hyper-parameters, completed by what the data say.

        Raises:
            DataError: If the data lack what it learns from.
        """
        ...

    def batch_source(
        self,
        store: EpisodeStore,
        episodes: Sequence[int],
        *,
        module: TrainableModule[Any],
        **options: Any,
    ) -> BatchSource:
        """Makes the batches; `options` are those of `BatchSource`."""
        ...

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
        """Writes a folder that can be loaded."""
        ...


class PolicySubject:
    """Policies: windows in, chunks out."""

    registry = POLICIES

    def hyper_parameters(
        self, config: TrainConfig[Any], store: EpisodeStore, episodes: Sequence[int]
    ) -> Any:
        """Returns those of the config."""
        del store, episodes
        return config.policy

    def batch_source(
        self,
        store: EpisodeStore,
        episodes: Sequence[int],
        *,
        module: TrainableModule[Any],
        **options: Any,
    ) -> BatchSource:
        """Makes batches of windows."""
        assert isinstance(module, PolicyModule)
        return BatchSource(store, episodes, reader=module.reader, **options)

    def save(self, folder: Path, *, module: TrainableModule[Any], **options: Any) -> None:
        """Writes a policy folder."""
        assert isinstance(module, PolicyModule)
        save_policy(folder, module=module, **options)
