"""What a conversion will do: what the target holds, what is lost, and what else to know."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from robot_policy.core.observation import image_key
from robot_policy.data.formats.contents import Content, Contents, Keeping, Kept, present
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.recording import Description, Feature

VIDEO, LOSSLESS = "video", "lossless"
IMAGES = (VIDEO, LOSSLESS)
"""How a target that can do both stores images."""

_HOW_STORED = (Content.COLOUR, Content.CODING, Content.IMAGE_STATISTICS)
"""Not data, but how it is stored; what becomes of it is told, but no loss."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion that has not begun.

    Attributes:
        description: Of the target.
        losses: What of the source the target will not hold, one line each.
        notes: What changes without anything being lost.
    """

    description: Description
    losses: tuple[str, ...]
    notes: tuple[str, ...]


def plan(
    description: Description,
    left_out: tuple[str, ...],
    *,
    source: EpisodeFormat,
    target: EpisodeFormat,
    images: str = VIDEO,
) -> Plan:
    """Plans a conversion.

    Args:
        description: Of the source.
        left_out: What of the source its reader leaves out.
        source: Its format.
        target: The other format.
        images: One of `IMAGES`.
    """
    refused = target.unstorable(description)
    losses = [*left_out, *(f"{key}: {reason}" for key, reason in refused.items())]
    losses += [
        f"{content}: {kept.how or kept.keeping}"
        for content, kept in target.contents.items()
        if content not in _HOW_STORED
        and kept.keeping is Keeping.LOST
        and present(content, description)
    ]
    features = {key: f for key, f in description.features.items() if key not in refused}
    if images == LOSSLESS:
        features = {k: replace(f, lossless=True) if f.is_image else f for k, f in features.items()}
    kept = _with_features(description, features)
    return Plan(kept, tuple(losses), tuple(_notes(kept, source.contents, target.contents)))


def _with_features(description: Description, features: Mapping[str, Feature]) -> Description:
    spec = description.spec
    if spec is not None:
        cameras = {c: s for c, s in spec.cameras.items() if image_key(c) in features}
        spec = replace(spec, cameras=cameras)
    return replace(description, features=features, spec=spec)


def _notes(description: Description, source: Contents, target: Contents) -> list[str]:
    videos = [key for key, f in description.images.items() if not f.lossless and not f.is_depth]
    if not videos:
        return []
    names = ", ".join(videos)
    if _keeps(target[Content.CODING]):
        if _keeps(source[Content.CODING]):
            return [f"{names}: the compressed video is copied"]
        return [f"{names}: {target[Content.COLOUR].how or target[Content.COLOUR].keeping}"]
    if _keeps(source[Content.CODING]):
        return [f"{names}: the video is decoded, which takes many times its space"]
    return []


def _keeps(kept: Kept) -> bool:
    return kept.keeping is not Keeping.LOST
