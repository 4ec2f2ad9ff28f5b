"""The strategies that can be chosen by name."""

from robot_policy.core.registry import Registry

STRATEGIES = Registry(
    "strategy",
    {
        "argmax": "robot_policy.runtime.guidance.argmax:Argmax",
        "softmax": "robot_policy.runtime.guidance.softmax:Softmax",
        "spread_softmax": "robot_policy.runtime.guidance.softmax:SpreadSoftmax",
        "weighted_mean": "robot_policy.runtime.guidance.weighted_mean:WeightedMean",
        "first": "robot_policy.runtime.guidance.controls:First",
        "random": "robot_policy.runtime.guidance.controls:RandomPick",
    },
)
"""Name to `Strategy` class, which takes a `SteeringConfig`."""
