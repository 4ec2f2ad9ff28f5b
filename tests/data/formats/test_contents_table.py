"""The table of the documentation is what the formats declare."""

from pathlib import Path

from robot_policy.data.formats.contents_table import contents_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data.md"


def test_the_page_has_the_table() -> None:
    table = contents_table()
    assert table in PAGE.read_text(), (
        "docs/data.md: print the table with python -m robot_policy.data.formats.contents_table"
    )
    assert "| colour images | lossy: compressed as H.264" in table
