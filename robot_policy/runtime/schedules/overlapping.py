"""Plan while the old chunk runs, and join the new one where the arm has got to."""

from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.schedules.schedule import Actions, OneChunk
from robot_policy.runtime.seam import blended


class Overlapping(OneChunk):
    """Executes the old chunk until the new one is there, then goes on at the action that is due.

    With a latency of d steps each chunk is executed from its index d to Ta + d. The way from the
    old chunk to the new one is smoothed, see `robot_policy.runtime.seam`.
    """

    def __init__(self, spec: PolicySpec, config: AgentConfig) -> None:
        super().__init__(spec, config)
        self._blend_steps = config.blend_steps

    def joined(self, chunk: Actions, executed: Actions) -> Actions:
        """Returns `chunk` with a smooth way into it."""
        return blended(
            chunk,
            executed=executed,
            old=self.remaining,
            steps=self._blend_steps,
            space=self.spec.action_space,
        )
