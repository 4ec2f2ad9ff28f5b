"""`robot-policy serve CHECKPOINT`: the ROS 2 policy node, in this process."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_policy.cli.policy_source import check_source
from robot_policy.core.errors import ConfigError

if TYPE_CHECKING:
    from robot_policy_ros.policy_node import PolicyNode


@dataclass(frozen=True)
class ServeConfig:
    """Run the ROS 2 policy node for an arm that is already there."""

    checkpoint: Positional[Path | None] = None
    """A training run, one of its checkpoints, or a policy folder."""
    server: str | None = None
    """In place of a checkpoint, the URL of a server that serve-policy runs: ws://host:port."""
    token_file: Path | None = None
    """File with the server's token; by default $ROBOT_POLICY_TOKEN, or
    ~/.config/robot-policy/token."""
    tls_ca: Path | None = None
    """Certificate (PEM) that signed the server's, for wss://."""
    deadline_s: float = 1.0
    """Longest wait for an answer of the server [s]."""
    robot: str = ""
    """Robot description, name or YAML file; by default the one the policy was trained with."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    rate: float = 0.0
    """Control rate [Hz]; 0 takes the robot description's."""
    execute_steps: int | None = None
    """Actions of a chunk executed before planning again; by default 8, or as many as the policy
    predicts where that is fewer."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    schedule: str = "receding"
    """Which action of which chunk is executed when: receding, async, ensemble, rtc or naive."""
    pace: str = ""
    """What sets the control rate: the clock, or the observations of a simulation that may be
    slower than real time; by default what the robot description says."""
    priority: int = 10
    """Real-time priority of the control thread, where the system grants it; 0 for none."""
    seed: int = 0
    """Seed of the first episode."""
    max_age_s: float = 0.3
    """Oldest input that may be acted upon [s]."""
    max_ages: str = ""
    """Inputs with a limit of their own, as wrist=0.1,ee_pose=0.05 [s]."""
    image_transport: str = "raw"
    """How camera images travel: raw or compressed."""
    instruction: str = ""
    """Task text, for policies that read one."""
    instruction_topic: str = ""
    """Topic (std_msgs/String) with the task text."""
    goal_image_topic: str = ""
    """Topic with the image of what is wanted, for policies that take one."""
    use_sim_time: bool = False
    """Go by the time of a simulation, on /clock."""
    torch_threads: int = 0
    """Threads of torch; 0 takes all cores but one."""
    feasible: Path | None = None
    """File that `safety fit` wrote: the arm stops far from the states in it."""
    namespace: str = ""
    """Namespace of the node and its topics."""
    autostart: bool = True
    """Configure and activate at once; otherwise wait for somebody to do it."""


def run(config: ServeConfig) -> int:
    """Serves until Ctrl-C; returns 2 if the node refuses what it was given."""
    check_source(config.checkpoint, config.server)
    if config.execute_steps is not None and config.execute_steps < 1:
        # The node's parameter has 0 for the default.
        raise ConfigError(
            "too small", where="--execute-steps", expected=">= 1", got=config.execute_steps
        )
    from robot_policy_ros.composition import POLICY_NODE, node_command
    from robot_policy_ros.node_main import node_main
    from robot_policy_ros.policy_node import PolicyNode

    command = node_command(
        "python",
        POLICY_NODE,
        parameters={
            "checkpoint": str(config.checkpoint or ""),
            "server": config.server or "",
            "server_token_file": str(config.token_file or ""),
            "server_ca": str(config.tls_ca or ""),
            "server_deadline_s": config.deadline_s,
            "robot": config.robot,
            "device": config.device,
            "rate_hz": config.rate,
            "execute_steps": config.execute_steps or 0,
            "num_samples": config.num_samples,
            "schedule": config.schedule,
            "pace": config.pace,
            "priority": config.priority,
            "seed": config.seed,
            "max_age_s": config.max_age_s,
            "max_ages": config.max_ages,
            "image_transport": config.image_transport,
            "instruction": config.instruction,
            "instruction_topic": config.instruction_topic,
            "goal_image_topic": config.goal_image_topic,
            "use_sim_time": config.use_sim_time,
            "torch_threads": config.torch_threads,
            "feasible": str(config.feasible or ""),
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
