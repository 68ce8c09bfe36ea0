"""The lists of packages agree: each environment that runs the site can import what the site does."""

import re
from pathlib import Path

import pytest

from harness.stack import BASE_DIR

SITE = "requirements.txt"
RUNNING_THE_SITE = ["requirements-dev.txt", "benchmarks/peers/stock-requirements.txt"]


def pinned(path: Path) -> dict[str, str]:
    """Version by package."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", RUNNING_THE_SITE)
def test_every_environment_of_the_site_has_what_it_needs(name: str) -> None:
    needed = pinned(BASE_DIR / SITE)
    assert len(needed) > 30
    assert needed.keys() <= pinned(BASE_DIR / name).keys()
