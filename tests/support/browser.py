"""A page in a real browser: it says in its title what it came to."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="chromium is not installed"
)


def title_in_browser(page: Path, profile: Path, *options: str) -> str:
    """Opens `page` in headless Chromium, with a profile of its own, and returns its last title."""
    output = subprocess.run(
        [
            "chromium",
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=20000"),
            *(*options, "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    title = re.search(r"<title>(.*?)</title>", output.stdout)
    assert title is not None
    return title[1]
