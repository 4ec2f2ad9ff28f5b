"""The policies that can be trained and loaded by name."""

from robot_policy.core.registry import Registry

POLICIES = Registry(
    "policy",
    {
        "bc": "robot_policy.policies.bc:Bc",
        "diffusion": "robot_policy.policies.diffusion:Diffusion",
    },
)
"""Name to `PolicyModule` class."""
