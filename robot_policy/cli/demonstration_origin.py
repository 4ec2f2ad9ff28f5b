"""Which demonstration a policy with memories would act from, frame by frame of an episode."""

from pathlib import Path

import numpy as np
import torch

from robot_policy.checkpoint import load_policy
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import EPISODE
from robot_policy.core.specs import check_runs_on
from robot_policy.data.display.shown_episode import Group
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset
from robot_policy.nets.tensors import to_tensors
from robot_policy.policies.module import Traceable
from robot_policy.policies.torch_policy import TorchPolicy

_NAMES = ("demonstration", "frame", "distance", "weight")


class DemonstrationOrigin:
    """Asks a policy about the situations of a dataset.

    Args:
        checkpoint: Of the policy.
        dataset: Whose episodes are shown.

    Raises:
        CheckpointError: If there is no policy.
        ConfigError: If it has no memories.
        SpecError: If it is of another robot, or sees what the dataset lacks.
        DataError: If the dataset cannot be read.
    """

    def __init__(self, checkpoint: Path, dataset: Path) -> None:
        policy = load_policy(checkpoint)
        if not isinstance(policy, TorchPolicy) or not isinstance(policy.module, Traceable):
            raise ConfigError(
                "it acts from no demonstration",
                where=f"--policy {checkpoint}",
                expected="a policy with memories: mcnn or retrieval",
            )
        self._policy = policy
        self._store = EpisodeStore.open(dataset)
        check_runs_on(policy.spec, self._store.spec, where=f"--policy {checkpoint}")

    def __call__(self, number: int) -> tuple[Group, ...]:
        """Returns episode and frame of the nearest demonstration, its distance and its weight."""
        spec, module = self._policy.module.spec, self._policy.module
        windows = WindowDataset(
            self._store,
            history=spec.history,
            past=spec.past,
            horizon=spec.horizon,
            stride=spec.history_stride,
            use_environment_state=spec.environment_state is not None,
            episodes=(number,),
        )
        sample = self._policy.pipeline.apply(windows.batch(np.arange(len(windows))))
        batch = to_tensors(sample, self._policy.device)
        assert isinstance(module, Traceable)
        with torch.inference_mode():
            # Numbers of these episodes are not those of the demonstrations.
            trace = module.trace({key: x for key, x in batch.items() if key != EPISODE})
        columns = [trace.episode, trace.frame, trace.distance, trace.weight]
        values = np.stack([c.cpu().numpy().astype(np.float64) for c in columns], axis=1)
        return (Group("origin of the action", _NAMES, ("",) * len(_NAMES), values),)
