"""Which of N candidates is executed."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Scorer


def choose(windows: Windows, candidates: Candidates, scorer: Scorer | None) -> NDArray[np.float32]:
    """Returns one chunk (B, H, A) per robot.

    Without a scorer it is the policy's own first sample. With one it is the candidate of the
    highest score; where no score of a row is finite, the first sample again. For more than
    that, `robot_policy.runtime.guidance` makes a steered policy of a policy and a critic.
    """
    rows = np.arange(candidates.actions.shape[0])
    if scorer is None:
        return candidates.actions[:, 0]
    scores = scorer.score(windows, candidates)
    ranked = np.where(np.isfinite(scores), scores, -np.inf)
    return candidates.actions[rows, np.argmax(ranked, axis=1)]
