"""Takes the last episode of a LeRobot v3.0 dataset back."""

from pathlib import Path

from robot_policy.core.files import write_json
from robot_policy.data.formats import lerobot_layout as common
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_statistics import merged, to_lists
from robot_policy.data.formats.lerobot_v3 import FORMAT
from robot_policy.data.formats.lerobot_v3_tables import (
    read_episode_table,
    read_tasks,
    row_statistics,
)
from robot_policy.data.formats.lerobot_v3_writer import LeRobotV3Writer
from robot_policy.data.recording import Description


def remove_last_episode(root: Path, description: Description) -> LeRobotV3Writer | None:
    """Removes the last episode, which a killed process leaves either whole or gone.

    As when one is added, info.json is what counts: it is replaced before a file is deleted.

    Returns:
        A writer for the episodes that stay; None if none does, and the dataset is gone.

    Raises:
        DataError: If the dataset is damaged.
    """
    info = layout.read_info(root)
    rows = read_episode_table(root, info, statistics=True)[:-1]
    if not rows:
        FORMAT.remove(root)
        return None
    tasks = read_tasks(root)
    used = {task for row in rows for task in row["tasks"]}
    write_json(root / layout.STATS, to_lists(merged(map(row_statistics, rows))))
    shorter = layout.info_json(
        description,
        episodes=len(rows),
        frames=sum(row["length"] for row in rows),
        tasks=1 + max(number for number, task in enumerate(tasks) if task in used),
    )
    write_json(root / common.INFO, shorter)
    return LeRobotV3Writer.append(root, description)
