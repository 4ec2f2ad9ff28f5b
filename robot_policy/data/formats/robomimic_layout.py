"""Where our features are in a robomimic file.

robomimic looks at `actions`, `rewards`, `dones`, `states` and at the observations in `obs`. What it
does not know lies in `extra` under its own name. The description of the dataset says where each
feature is, so that reading is the inverse of writing.
"""

from collections.abc import Mapping

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, IMAGES, STATE
from robot_policy.data.recording import DONE, REWARD, STRING, Description, Feature

ABOUT = "robot_policy"
"""Attribute of the group `data` with the description, of a demonstration with its metadata."""
STATES = "states"
"""Feature with the raw state of the simulator."""
MASKS = "masks"
"""Key of an episode's metadata: names of the masks that it is in."""
MODEL = "model_file"
"""Key of an episode's metadata and attribute of a demonstration: the simulated scene as XML."""
ENV_ARGS = "env_args"
LEARNED_FROM = ("actions", "rewards", "dones")
"""Datasets of a demonstration that robomimic needs; ours hold what is elsewhere, too."""

_FIXED = {STATE: "obs/state", ENVIRONMENT_STATE: "obs/object"}
_PREFIX = "observation."


def places(description: Description) -> dict[str, str]:
    """Feature to dataset of a demonstration that holds it as it is."""
    found: dict[str, str] = {}
    for key, feature in description.features.items():
        name = _place(key, feature)
        while name in found.values():
            name += "_"
        found[key] = name
    return found


def _place(key: str, feature: Feature) -> str:
    if key in _FIXED:
        return _FIXED[key]
    if key == STATES:
        return STATES
    if feature.is_image:
        camera = key.removeprefix(f"{IMAGES}.").replace(".", "_").replace("/", "_")
        kind = "depth" if feature.is_depth else "image"
        return f"obs/{camera}" if camera.endswith(kind) else f"obs/{camera}_{kind}"
    if key.startswith(_PREFIX) and feature.dtype != STRING and key not in (ACTION, REWARD, DONE):
        return "obs/" + key.removeprefix(_PREFIX).replace(".", "_").replace("/", "_")
    return "extra/" + key.replace("/", "_")


def demo_number(name: str) -> int:
    """Number in the name of a demonstration, for sorting; -1 if there is none."""
    digits = name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1


def sorted_demos(names: Mapping[str, object]) -> list[str]:
    """Names of demonstrations in the order of their numbers."""
    return sorted(names, key=lambda name: (demo_number(name), name))
