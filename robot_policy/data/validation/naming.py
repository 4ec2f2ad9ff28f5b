"""What the entries of a feature are called in findings."""

from robot_policy.data.recording import Description


def entry_names(description: Description, key: str, size: int) -> list[str]:
    """Names of the entries of a feature, their numbers where they have none.

    Args:
        description: Of the dataset.
        key: Feature.
        size: Number of entries, all axes flattened.
    """
    feature = description.features.get(key)
    if feature is not None and len(feature.names) == size:
        return list(feature.names)
    return [f"entry {number}" for number in range(size)] if size > 1 else [key]


def gripper_entries(description: Description, key: str) -> list[int]:
    """Entries of a feature whose names tell of a gripper, in order."""
    feature = description.features.get(key)
    names = () if feature is None else feature.names
    return [
        number
        for number, name in enumerate(names)
        if "gripper" in name.lower() or "finger" in name.lower()
    ]
