"""The policies that can be trained and loaded by name."""

from robot_policy.core.registry import Registry

POLICIES = Registry(
    "policy",
    {
        "bc": "robot_policy.policies.bc:Bc",
        "bc_gmm": "robot_policy.policies.bc_gmm:BcGmm",
        "bc_lstm_gmm": "robot_policy.policies.bc_lstm_gmm:BcLstmGmm",
        "clip_rt": "robot_policy.policies.clip_rt:ClipRt",
        "clip_rt_plus": "robot_policy.policies.clip_rt_plus:ClipRtPlus",
        "consistency": "robot_policy.policies.consistency:Consistency",
        "diffusion": "robot_policy.policies.diffusion:Diffusion",
        "flow": "robot_policy.policies.flow:Flow",
        "lerobot_act": "robot_policy.policies.peers.lerobot_act:LerobotAct",
        "lerobot_diffusion": "robot_policy.policies.peers.lerobot_diffusion:LerobotDiffusion",
        "mcnn": "robot_policy.policies.mcnn:Mcnn",
        "past_token": "robot_policy.policies.past_token:PastToken",
        "retrieval": "robot_policy.policies.retrieval:Retrieval",
        "robomimic_bc_rnn": "robot_policy.policies.peers.robomimic_bc_rnn:RobomimicBcRnn",
    },
)
"""Name to `PolicyModule` class."""
