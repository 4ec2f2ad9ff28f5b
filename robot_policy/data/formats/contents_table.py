"""The table of the documentation: what each format keeps of what a dataset may hold.

`python -m robot_policy.data.formats.contents_table` prints it; a test compares it with the page.
"""

from robot_policy.data.formats.contents import Content, Keeping, Kept
from robot_policy.data.formats.registry import FORMATS

_WORDS = {
    Keeping.KEPT: "kept",
    Keeping.OURS: "kept, for this project only",
    Keeping.LOSSY: "lossy",
    Keeping.LOST: "lost",
}


def contents_table() -> str:
    """Returns a table in Markdown, a row for each content and a column for each format."""
    names = list(FORMATS)
    lines = [
        f"| | {' | '.join(f'`{name}`' for name in names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for content in Content:
        cells = (_cell(FORMATS[name].contents[content]) for name in names)
        lines.append(f"| {content.value} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(kept: Kept) -> str:
    words = _WORDS[kept.keeping]
    return f"{words}: {kept.how}" if kept.how else words


if __name__ == "__main__":
    print(contents_table(), end="")
