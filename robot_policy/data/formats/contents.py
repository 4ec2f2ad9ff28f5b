"""What datasets can hold, and what becomes of it in each format: declared once, checked in tests.

The table of the documentation and the losses that `data convert` lists come from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from robot_policy.core.observation import TASK
from robot_policy.data.recording import REWARD, STAMP, STRING, Description, Feature


class Keeping(StrEnum):
    """What a format does with something.

    KEPT: To the bit, where everybody looks for it.
    OURS: To the bit, in a place that only this project looks at.
    LOSSY: Not to the bit.
    LOST: Not at all.
    """

    KEPT = "kept"
    OURS = "kept, for this project only"
    LOSSY = "lossy"
    LOST = "lost"


class Content(StrEnum):
    """Something a dataset may hold."""

    VECTORS = "states, actions and other vectors, with their type"
    NAMES = "names of their entries"
    ARRAYS = "features of several axes"
    TEXTS = "features that are texts"
    TASKS = "the task of every episode"
    CHANGING_TASK = "a task that changes within an episode"
    REWARDS = "rewards"
    SUCCESS = "success of an episode"
    STAMPS = "capture times"
    SPEC = "units, bounds and meaning of actions"
    METADATA = "metadata of an episode"
    DATASET_METADATA = "metadata of the dataset"
    COLOUR = "colour images"
    CODING = "their compressed video, unchanged"
    DEPTH = "depth images, 16 bit"
    IMAGE_STATISTICS = "statistics of the images before compression"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a format does with a content, and how."""

    keeping: Keeping
    how: str = ""


type Contents = Mapping[Content, Kept]

KEPT = Kept(Keeping.KEPT)


def _any(test: Callable[[str, Feature], bool]) -> Callable[[Description], bool]:
    return lambda description: any(test(k, f) for k, f in description.features.items())


_PRESENT: Mapping[Content, Callable[[Description], bool]] = {
    Content.ARRAYS: _any(lambda _, f: not f.is_image and len(f.shape) > 1),
    Content.TEXTS: _any(lambda k, f: f.dtype == STRING and k != TASK),
    Content.CHANGING_TASK: lambda description: TASK in description.features,
    Content.NAMES: _any(lambda _, f: bool(f.names)),
    Content.REWARDS: _any(lambda k, _: k == REWARD),
    Content.STAMPS: _any(lambda k, _: k == STAMP),
    Content.SPEC: lambda description: description.spec is not None,
    Content.DATASET_METADATA: lambda description: bool(description.metadata),
    Content.COLOUR: _any(lambda _, f: f.is_image and not f.is_depth),
    Content.DEPTH: _any(lambda _, f: f.is_depth),
}


def present(content: Content, description: Description) -> bool:
    """Whether a dataset may hold something; always, where only its episodes can tell."""
    test = _PRESENT.get(content)
    return test is None or test(description)
