"""What lerobot's policies have in common here: their features, and how our batch becomes theirs."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.policies.module import Batch
from robot_policy.policies.peers.library import quiet_library


def build_lerobot(spec: PolicySpec, make: Callable[[dict[str, Any]], Any]) -> Any:
    """Builds a policy of lerobot for `spec`.

    Args:
        spec: Finished spec of the policy.
        make: Takes what every config of lerobot needs (features, device) and returns the policy;
            imports lerobot itself.

    Returns:
        lerobot's policy, a module on the CPU.

    Raises:
        ConfigError: If lerobot refuses the settings.
    """
    with quiet_library("lerobot"):
        from lerobot.configs.types import FeatureType, PolicyFeature

        # lerobot demands a camera or a privileged state. Where there is neither, it is shown the
        # proprioception a second time, which adds nothing to what it knows.
        privileged = spec.environment_state or spec.state
        common = {
            "input_features": {
                STATE: PolicyFeature(FeatureType.STATE, spec.state.shape),
                ENVIRONMENT_STATE: PolicyFeature(FeatureType.ENV, privileged.shape),
            },
            "output_features": {ACTION: PolicyFeature(FeatureType.ACTION, spec.action.shape)},
            "device": "cpu",  # where it is built; the module is moved as any other
            "push_to_hub": False,
        }
        try:
            return make(common)
        except (ValueError, NotImplementedError) as error:
            raise ConfigError("lerobot refuses the settings", got=error) from error


def lerobot_observation(batch: Batch) -> dict[str, Tensor]:
    """Returns the observation (B, T, ·) under lerobot's keys, which are ours."""
    return {STATE: batch[STATE], ENVIRONMENT_STATE: batch.get(ENVIRONMENT_STATE, batch[STATE])}
