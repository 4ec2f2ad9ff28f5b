"""Monte-Carlo critic: regresses the return that followed a chunk. The baseline of the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import RETURN
from robot_policy.critics.value_critic import ValueCritic
from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch


@dataclass(frozen=True)
class MonteCarloConfig(CriticConfig):
    """Hyper-parameters of `MonteCarlo`."""


class MonteCarlo(ValueCritic[MonteCarloConfig]):
    """min_Q E ell(Q(o, l, a_1..a_H), G), G the return of the recorded episode.

    It learns what happened after such a chunk in the data, by whoever acted there; no value is
    made up of other values, so none can run away.
    """

    config_type = MonteCarloConfig
    presets: ClassVar[Mapping[str, MonteCarloConfig]] = {
        "cpu": MonteCarloConfig(vision_width=16),
        "gpu": MonteCarloConfig(width=512, hidden=(512, 512)),
    }

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the regression loss; draws only the crops of the images."""
        return self.regression(self.q.encode(batch, draws=draws), batch, batch[RETURN])
