"""HDF5 files of robomimic and robosuite."""

from robot_policy.data.formats.contents import KEPT, Content, Contents, Keeping, Kept
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.hdf5_file import is_hdf5
from robot_policy.data.formats.recorded_format import RecordedFormat
from robot_policy.data.formats.robomimic_reader import open_robomimic
from robot_policy.data.formats.robomimic_writer import RobomimicWriter

_ABOUT = "an attribute beside robomimic's"

CONTENTS: Contents = {
    Content.VECTORS: Kept(Keeping.KEPT, "actions also scaled to [-1, 1], which robomimic expects"),
    Content.NAMES: Kept(Keeping.OURS, _ABOUT),
    Content.ARRAYS: KEPT,
    Content.TEXTS: Kept(Keeping.OURS, "extra/"),
    Content.TASKS: Kept(Keeping.OURS, _ABOUT),
    Content.CHANGING_TASK: Kept(Keeping.OURS, "extra/task"),
    Content.REWARDS: KEPT,
    Content.SUCCESS: Kept(Keeping.OURS, _ABOUT),
    Content.STAMPS: KEPT,
    Content.SPEC: Kept(Keeping.OURS, _ABOUT),
    Content.METADATA: Kept(Keeping.OURS, f"{_ABOUT}; masks and model files where robomimic looks"),
    Content.DATASET_METADATA: Kept(Keeping.OURS, f"{_ABOUT}; env_args where robomimic looks"),
    Content.COLOUR: KEPT,
    Content.CODING: Kept(Keeping.LOST, "images are decoded"),
    Content.DEPTH: KEPT,
    Content.IMAGE_STATISTICS: Kept(Keeping.LOST, "computed again where they are needed"),
}

FORMAT: EpisodeFormat = RecordedFormat(
    contents=CONTENTS,
    detects=is_hdf5,
    opens=open_robomimic,
    creates=RobomimicWriter.create,
    continues=RobomimicWriter.append,
)
