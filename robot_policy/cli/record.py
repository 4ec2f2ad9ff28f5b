"""`robot-policy record --robot R --output DIR`: the ROS 2 recorder node, in this process."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RecordConfig:
    """Record demonstrations from an arm's topics.

    Episodes are begun and ended by services: ros2 service call /recorder_node/start
    std_srvs/srv/Trigger, then success, failure, stop or discard.
    """

    robot: str
    """Robot description, name or YAML file."""
    output: Path
    """Dataset (LeRobot v3.0); one that is there is appended to."""
    instruction: str = ""
    """Task text."""
    instruction_topic: str = ""
    """Topic (std_msgs/String) with the task text."""
    cameras: tuple[str, ...] | None = None
    """Cameras to record; by default all of the robot's."""
    bags: Path | None = None
    """Folder for a rosbag2 (MCAP) of every episode."""
    max_age_s: float = 0.3
    """Oldest input that is recorded [s]."""
    max_ages: str = ""
    """Inputs with a limit of their own, as wrist=0.1,ee_pose=0.05 [s]."""
    image_transport: str = "raw"
    """How camera images travel: raw or compressed."""
    namespace: str = ""
    """Namespace of the node and its topics."""
    use_sim_time: bool = False
    """Go by the time of a simulation, on /clock."""


def run(config: RecordConfig) -> int:
    """Records until Ctrl-C; returns 2 if the node refuses what it was given."""
    from robot_policy_ros.composition import RECORDER_NODE, node_command
    from robot_policy_ros.node_main import node_main
    from robot_policy_ros.recorder_node import RecorderNode

    cameras = "" if config.cameras is None else ",".join(config.cameras) or "none"
    command = node_command(
        "python",
        RECORDER_NODE,
        parameters={
            "output": str(config.output),
            "robot": config.robot,
            "cameras": cameras,
            "instruction": config.instruction,
            "instruction_topic": config.instruction_topic,
            "bags": "" if config.bags is None else str(config.bags),
            "max_age_s": config.max_age_s,
            "max_ages": config.max_ages,
            "image_transport": config.image_transport,
            "use_sim_time": config.use_sim_time,
        },
        namespace=config.namespace,
    )
    return node_main(RecorderNode, arguments=command[command.index("--ros-args") :])
