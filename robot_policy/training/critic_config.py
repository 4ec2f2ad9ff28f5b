"""Settings of the training of a critic: those of any training, and how steps are labelled."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from robot_policy.core.errors import ConfigError
from robot_policy.critics.labels import LabelConfig
from robot_policy.training.config import EvaluateConfig, TrainConfig


@dataclass(frozen=True)
class CriticTrainConfig[P](TrainConfig[P]):
    """Settings of the training of a critic."""

    policy: Annotated[P, tyro.conf.arg(name="critic")]
    """Hyper-parameters of the critic."""
    labels: LabelConfig = field(default_factory=LabelConfig)
    """Rewards and discount."""
    other_instructions: float = 0.1
    """Part of the rows that get the instruction of another task of the dataset, where nothing they
    do is worth anything; without another task it means nothing."""
    successes_only: bool = False
    """Leave out episodes marked as failures; a critic learns most from what failed."""
    evaluate: Annotated[EvaluateConfig, tyro.conf.Suppress] = field(default_factory=EvaluateConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.other_instructions < 1.0:
            raise ConfigError(
                "must lie in [0, 1)", where="--other-instructions", got=self.other_instructions
            )
