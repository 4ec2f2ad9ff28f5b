"""The checks, by name."""

from robot_policy.core.registry import Registry

_HERE = "robot_policy.data.validation.checks"

CHECKS = Registry(
    "check",
    {
        "totals": f"{_HERE}.lerobot_totals:LeRobotTotals",
        "lengths": f"{_HERE}.lerobot_lengths:LeRobotLengths",
        "files": f"{_HERE}.lerobot_files:LeRobotFiles",
        "indices": f"{_HERE}.lerobot_indices:LeRobotIndices",
        "timestamps": f"{_HERE}.lerobot_timestamps:LeRobotTimestamps",
        "task_indices": f"{_HERE}.lerobot_tasks:LeRobotTasks",
        "video_times": f"{_HERE}.lerobot_video_times:LeRobotVideoTimes",
        "statistics": f"{_HERE}.lerobot_statistics:LeRobotStatistics",
        "hdf5_counts": f"{_HERE}.robomimic_counts:RobomimicCounts",
        "hdf5_actions": f"{_HERE}.robomimic_actions:RobomimicActions",
        "bag_counts": f"{_HERE}.bag_counts:BagCounts",
        "capture_times": f"{_HERE}.capture_times:CaptureTimes",
        "finite": f"{_HERE}.finite_values:FiniteValues",
        "limits": f"{_HERE}.action_limits:ActionLimits",
        "jumps": f"{_HERE}.jumps:Jumps",
        "constants": f"{_HERE}.constants:Constants",
        "images": f"{_HERE}.images:Images",
        "gripper_range": f"{_HERE}.gripper_range:GripperRange",
        "gripper_direction": f"{_HERE}.gripper_direction:GripperDirection",
        "duplicates": f"{_HERE}.duplicates:Duplicates",
        "labels": f"{_HERE}.labels:Labels",
    },
)
"""In the order in which they are asked: what explains a fault before what suffers from it."""
