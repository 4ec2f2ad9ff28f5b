"""Makes a trained critic a `Scorer`: units in, judgements out."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import ACTION, Candidates, Windows
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline
from robot_policy.critics.module import Critic, pessimistic
from robot_policy.nets.language import INSTRUCTION, TextEncoder
from robot_policy.nets.tensors import bounded_threads, to_tensors


class TorchScorer:
    """Runs a critic with the scaling it was trained with.

    What is seen is encoded once for all candidates, and the text of an instruction once for all.

    Args:
        module: Trained critic; switched to evaluation mode.
        pipeline: The one it was trained with.
        text: The one it was trained with.
        instructions: That it was trained on; judgements for others are NaN, for it knows nothing
            of them.
        name: Of the kind of critic.
        device: Where it runs.
        threads: CPU threads of torch during a call, 0 for what torch is set to.
    """

    def __init__(
        self,
        module: Critic,
        pipeline: Pipeline,
        *,
        text: TextEncoder,
        instructions: Sequence[str],
        name: str,
        device: torch.device,
        threads: int = 0,
    ) -> None:
        self.module = module.to(device).eval()
        self.pipeline = pipeline
        self.text = text
        self.instructions = tuple(instructions)
        self.name = name
        self.device = device
        self.threads = threads

    @property
    def spec(self) -> PolicySpec:
        """What it needs to see; its horizon is the number of actions that it judges."""
        return self.module.spec

    @property
    def variable_length(self) -> bool:
        """Whether it judges fewer actions than its horizon too."""
        return self.module.config.variable_length

    @torch.inference_mode()
    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Judges the first L actions of every candidate, L at most the horizon.

        Returns:
            (B, N), mean over the heads minus `pessimism` of their standard deviations; NaN where
            the instruction is not one it was trained on.

        Raises:
            SpecError: If candidates are shorter than what it judges.
        """
        heads = self._judged(windows, candidates)
        scores = pessimistic(heads, self.module.config.pessimism)
        return self._known(windows, scores.cpu().numpy())

    @torch.inference_mode()
    def judge(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns what each of its E heads says, (E, B, N); otherwise like `score`."""
        return self._known(windows, self._judged(windows, candidates).cpu().numpy())

    def _judged(self, windows: Windows, candidates: Candidates) -> Tensor:
        actions = candidates.actions
        horizon = self.spec.horizon
        if actions.shape[2] < horizon and not self.variable_length:
            raise SpecError(
                "the chunks are shorter than what the critic judges",
                where=f"critic {self.name}",
                expected=f"{horizon} actions",
                got=actions.shape[2],
            )
        sample = dict(self.pipeline.apply(self._seen(windows)))
        sample[ACTION] = self.pipeline.apply({ACTION: actions[:, :, :horizon]})[ACTION]
        sample[INSTRUCTION] = self.text.encode(windows.instructions)
        batch = to_tensors(sample, self.device)
        with bounded_threads(self.threads):
            return self.module.judge(self.module.encode(batch), batch[ACTION]).float()

    def _known(self, windows: Windows, values: NDArray[np.float32]) -> NDArray[np.float32]:
        known = np.array([text in self.instructions for text in windows.instructions], dtype=bool)
        return np.where(known[:, None], values, np.float32(np.nan))

    def _seen(self, windows: Windows) -> dict[str, object]:
        """What the critic looks at of what the policy looks at: the newest observations."""
        sample = windows.as_sample()
        have, want = windows.state.shape[1], self.spec.history
        return {
            key: _last(value, have=have, want=want) if isinstance(value, np.ndarray) else value
            for key, value in sample.items()
        }


def _last(values: NDArray[np.generic], *, have: int, want: int) -> NDArray[np.generic]:
    """The last `want` of (B, T, …); the first one is repeated where there are fewer."""
    if have >= want:
        return values[:, have - want :]
    padding = np.repeat(values[:, :1], want - have, axis=1)
    return np.concatenate([padding, values], axis=1)
