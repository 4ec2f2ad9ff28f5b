"""Options of `collect --language`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TalkOptions:
    """Options of `collect --language`."""

    picture: Literal["terminal", "browser", "none"] = "none"
    """Where the scene is shown after every sentence."""
    camera: str = "agentview"
    """Camera whose picture is shown."""
    port: int = 0
    """Of the page in the browser, on this machine alone; any free one by default."""
    text_encoder: str = "hashing"
    """What compares sentences that the grammar does not know: hashing, lexical, openclip:FOLDER."""
    instruction: str = ""
    """Task text, where the arm's observations carry none."""
    via: str = ""
    """twin, nodes (the twin's node, over topics), or ros; by default what suits the robot."""
    domain: int | None = None
    """ROS domain."""
    endpoint: str = ""
    """Base address of an OpenAI-compatible endpoint that is asked about sentences that are not
    understood; it sees text only and can only choose a primitive. None by default."""
    model: str = ""
    """Name of the endpoint's model."""
