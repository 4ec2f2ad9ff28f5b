"""What was decided when a policy was steered, for the reports."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SteeringRecord:
    """One plan of one robot.

    Attributes:
        value: Judgement of what is executed, in the units of the critic; None where there is none.
        first: Judgement of the policy's own first sample, likewise.
        spread: Standard deviation of the judgements over the candidates.
        chosen: Number of the candidate that is executed; -1 for a mean of several.
        abstained: Why the policy's own first sample was kept; empty where it was not.
        fault: What was wrong with the judgements; empty where nothing was.
        candidate_spread: How far the candidates were apart; None where there was only one.
        scoring_ms: Time that judging and choosing took for the whole batch [ms].
    """

    value: float | None
    first: float | None
    spread: float
    chosen: int
    abstained: str = ""
    fault: str = ""
    candidate_spread: float | None = None
    scoring_ms: float = 0.0

    @property
    def labels(self) -> tuple[str, ...]:
        """What it counts as: a ``plan``, and an abstention or a fault of its kind."""
        abstained = (f"abstained: {self.abstained}",) if self.abstained else ()
        fault = (f"fault: {self.fault}",) if self.fault else ()
        return ("plan", *abstained, *fault)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(**data)
