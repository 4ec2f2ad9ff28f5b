"""`robot-policy serve CHECKPOINT`: the ROS 2 policy node, in this process."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from robot_policy_ros.policy_node import PolicyNode


@dataclass(frozen=True)
class ServeConfig:
    """Run the ROS 2 policy node for an arm that is already there."""

    checkpoint: Positional[Path]
    """A training run, one of its checkpoints, or a policy folder."""
    robot: str = ""
    """Robot description, name or YAML file; by default the one the policy was trained with."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    rate: float = 0.0
    """Control rate [Hz]; 0 takes the robot description's."""
    execute_steps: int = 8
    """Actions of a chunk executed before planning again."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    seed: int = 0
    """Seed of the first episode."""
    max_age_s: float = 0.3
    """Oldest input that may be acted upon [s]."""
    instruction: str = ""
    """Task text, for policies that read one."""
    torch_threads: int = 0
    """Threads of torch; 0 takes all cores but one."""
    namespace: str = ""
    """Namespace of the node and its topics."""
    autostart: bool = True
    """Configure and activate at once; otherwise wait for somebody to do it."""


def run(config: ServeConfig) -> int:
    """Serves until Ctrl-C; returns 2 if the node refuses what it was given."""
    from robot_policy_ros.composition import POLICY_NODE, node_command
    from robot_policy_ros.node_main import node_main
    from robot_policy_ros.policy_node import PolicyNode

    command = node_command(
        "python",
        POLICY_NODE,
        parameters={
            "checkpoint": str(config.checkpoint),
            "robot": config.robot,
            "device": config.device,
            "rate_hz": config.rate,
            "execute_steps": config.execute_steps,
            "num_samples": config.num_samples,
            "seed": config.seed,
            "max_age_s": config.max_age_s,
            "instruction": config.instruction,
            "torch_threads": config.torch_threads,
        },
        namespace=config.namespace,
    )
    arguments = command[command.index("--ros-args") :]
    start = _configure_and_activate if config.autostart else lambda _: True
    return node_main(PolicyNode, arguments=arguments, start=start)


def _configure_and_activate(node: "PolicyNode") -> bool:
    from rclpy.lifecycle import TransitionCallbackReturn

    done = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == done and node.trigger_activate() == done
