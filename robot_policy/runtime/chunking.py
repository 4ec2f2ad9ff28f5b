"""How many actions of a chunk are executed."""

from robot_policy.core.errors import ConfigError

DEFAULT_EXECUTE_STEPS = 8
"""Ta unless told otherwise, or the horizon where that is shorter: best in most of the tasks of Chi
et al. 2023 (https://arxiv.org/abs/2303.04137, section 5.3)."""


def resolve_execute_steps(wanted: int | None, *, horizon: int) -> int:
    """Returns Ta: what is wanted, or the default for a policy that predicts `horizon` actions.

    Raises:
        ConfigError: If it lies outside of 1 .. horizon.
    """
    if wanted is None:
        return min(DEFAULT_EXECUTE_STEPS, horizon)
    if not 1 <= wanted <= horizon:
        raise ConfigError(
            "the executed part of a chunk must fit into the chunk",
            where="execute_steps",
            expected=f"1 .. {horizon} (the policy's horizon)",
            got=wanted,
        )
    return wanted
