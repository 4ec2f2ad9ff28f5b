"""What LeRobot's formats keep."""

from robot_policy.data.formats.contents import KEPT, Content, Contents, Keeping, Kept

_COMPRESSED = (
    "compressed as H.264, unless `--images lossless` embeds them, JPEG as it is and the rest as PNG"
)

CONTENTS: Contents = {
    Content.VECTORS: KEPT,
    Content.NAMES: KEPT,
    Content.ARRAYS: KEPT,
    Content.TEXTS: KEPT,
    Content.TASKS: KEPT,
    Content.CHANGING_TASK: KEPT,
    Content.REWARDS: KEPT,
    Content.SUCCESS: Kept(
        Keeping.OURS, "a column or key beside LeRobot's; `next.success` where it is recorded"
    ),
    Content.STAMPS: Kept(Keeping.KEPT, "as a feature; LeRobot's own timestamp is frame / rate"),
    Content.SPEC: Kept(Keeping.OURS, "meta/robot_policy.json"),
    Content.METADATA: Kept(Keeping.OURS, "a column or key beside LeRobot's"),
    Content.DATASET_METADATA: Kept(Keeping.OURS, "meta/robot_policy.json"),
    Content.COLOUR: Kept(Keeping.LOSSY, _COMPRESSED),
    Content.CODING: KEPT,
    Content.DEPTH: Kept(Keeping.KEPT, "embedded as PNG"),
    Content.IMAGE_STATISTICS: KEPT,
}
