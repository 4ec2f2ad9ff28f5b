"""What datasets that are joined all hold."""

from dataclasses import replace

from robot_policy.core.errors import DataError
from robot_policy.data.common_spec import common_spec
from robot_policy.data.recording import Description, Feature


def common_description(
    first: Description, other: Description, *, where: object
) -> tuple[Description, list[str]]:
    """Joins two descriptions.

    Args:
        first: Of one dataset.
        other: Of another one.
        where: The other one, named in errors.

    Returns:
        What both hold, and a line for every feature that only one of them has.

    Raises:
        DataError: If robot, rate, the meaning of values, or a feature that both have differ.
    """

    def same(label: str, expected: object, got: object) -> None:
        if expected != got:
            raise DataError(
                f"another {label} than the datasets before",
                where=where,
                expected=expected,
                got=got,
            )

    same("robot", first.robot, other.robot)
    same("rate", f"{first.rate_hz:g} Hz", f"{other.rate_hz:g} Hz")
    known = ("not known", "known")
    same(
        "state of knowledge of units and action space",
        known[first.spec is not None],
        known[other.spec is not None],
    )
    features: dict[str, Feature] = {}
    for key, feature in first.features.items():
        if key not in other.features:
            continue
        theirs = other.features[key]
        same(f"type of {key}", feature.dtype, theirs.dtype)
        same(f"shape of {key}", feature.shape, theirs.shape)
        same(f"kind of {key}", feature.is_image, theirs.is_image)
        same(f"names of {key}", feature.names, theirs.names)
        features[key] = feature
    only = [key for key in (*first.features, *other.features) if key not in features]
    spec = None
    if first.spec is not None and other.spec is not None:
        spec = common_spec(first.spec, other.spec, where=where)
    metadata = first.metadata if first.metadata == other.metadata else {}
    common = replace(first, features=features, spec=spec, metadata=metadata)
    return common, [f"{key}: not in all datasets" for key in dict.fromkeys(only)]
