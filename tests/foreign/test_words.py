"""Telemetry knows no host by name, and no server or task queue outside of their adapters."""

import re
from pathlib import Path

from harness.stack import BASE_DIR

HOST = re.compile(r"booking|stripe|handyman|xfhandyman|postcode", re.IGNORECASE)
ADAPTED = re.compile(r"procrastinate|gunicorn", re.IGNORECASE)


def naming(words: re.Pattern[str], *suffixes: str) -> set[str]:
    """The files of telemetry with a line that has one of the words, but for the adapters and their entry points."""
    files = (path for path in Path(BASE_DIR, "telemetry").rglob("*") if path.suffix in suffixes)
    lines = ((path, line) for path in files for line in path.read_text().splitlines())
    return {str(path.relative_to(BASE_DIR)) for path, line in lines if words.search(line) and "contrib" not in line}


def test_it_names_no_host() -> None:
    assert naming(HOST, ".py", ".js", ".md", ".html", ".toml") == set()


def test_only_adapters_name_a_server_or_a_task_queue() -> None:
    found = {path for path in naming(ADAPTED, ".py") if not path.startswith("telemetry/contrib/")}
    assert found == set()
