"""`robot-policy train-critic KIND`: offline training of what judges actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robot_policy.cli.train import TrainCommand, parse_run
from robot_policy.cli.train import run as run_training
from robot_policy.critics.registry import CRITICS
from robot_policy.training.critic_config import CriticTrainConfig

if TYPE_CHECKING:
    from robot_policy.training.config import TrainConfig
    from robot_policy.training.loop import Trainer


@dataclass(frozen=True)
class TrainCriticCommand(TrainCommand):
    """A critic's name, the settings of its run, and which of them were typed."""

    def trainer(self, config: "TrainConfig[Any]") -> "Trainer":
        """Builds the run of `config`."""
        from robot_policy.training.critic_subject import CriticSubject
        from robot_policy.training.loop import Trainer

        assert isinstance(config, CriticTrainConfig)
        return Trainer(self.policy, config, subject=CriticSubject(self.policy, config))


def parse(arguments: Sequence[str], *, prog: str) -> TrainCriticCommand:
    """Reads the critic and the preset first, because the defaults of the others hang on them.

    Raises:
        UnknownNameError: If there is no such critic or preset.
    """
    return TrainCriticCommand(*parse_run(arguments, CRITICS, CriticTrainConfig, prog=prog))


def run(command: TrainCriticCommand) -> int:
    """Trains, as `robot-policy train` does."""
    return run_training(command)
