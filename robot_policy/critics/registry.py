"""The critics that can be trained and loaded by name."""

from robot_policy.core.registry import Registry

CRITICS = Registry(
    "critic",
    {
        "cal_ql": "robot_policy.critics.cal_ql:CalQl",
        "contrastive": "robot_policy.critics.contrastive:Contrastive",
        "iql": "robot_policy.critics.iql:Iql",
        "language_reward": "robot_policy.critics.language_reward:LanguageReward",
        "monte_carlo": "robot_policy.critics.monte_carlo:MonteCarlo",
        "preference": "robot_policy.critics.preference:Preference",
        "proxy_value": "robot_policy.critics.proxy_value:ProxyValue",
        "support": "robot_policy.critics.support:Support",
    },
)
"""Name to `Critic` class."""
