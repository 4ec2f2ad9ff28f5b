"""Turns what another library trained into a checkpoint here."""

from pathlib import Path

from robot_policy.core.errors import CheckpointError
from robot_policy.core.files import require_new_folder
from robot_policy.data.formats.registry import detect_format
from robot_policy.training.peers.adopted import AdoptedPolicy
from robot_policy.training.peers.lerobot_folder import find_lerobot_policy, read_lerobot_policy
from robot_policy.training.peers.robomimic_checkpoint import read_robomimic_checkpoint


def adopt(source: Path, dataset: Path, output: Path) -> AdoptedPolicy:
    """Reads a policy of lerobot or robomimic and writes it as a policy folder.

    Args:
        source: lerobot's run, checkpoint or ``pretrained_model`` folder, or robomimic's ``.pth``.
        dataset: What it was trained on; gives robot, rate, and names and sizes of the features.
        output: New policy folder.

    Raises:
        RobotPolicyError: If it is neither, or holds something that has no counterpart here.
            Nothing has been written then.
    """
    require_new_folder(output)
    if not source.exists():
        raise CheckpointError("no such checkpoint", where=source)
    spec = detect_format(dataset).read_spec(dataset)
    if source.is_file() and source.suffix == ".pth":
        adopted = read_robomimic_checkpoint(source, spec)
    elif (folder := find_lerobot_policy(source)) is not None:
        adopted = read_lerobot_policy(folder, spec)
    else:
        raise CheckpointError(
            "not a policy of a known library",
            where=source,
            expected="a folder of lerobot with config.json and model.safetensors, "
            "or a .pth file of robomimic",
        )
    adopted.save(output)
    return adopted
