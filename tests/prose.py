"""Refuses the words that docs/glossary.md says never to use: `python -m tests.prose` prints where they are.

Of the words that it says to avoid, each directory may have as many as it has now, and no more: ALLOWED only shrinks.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
GLOSSARY = "docs/glossary.md"

_TEXTS = ("*.py", "*.md", "*.html", "*.txt", "*.js", "*.css")
_EXCEPT = ("*/migrations/*", "*requirements*.txt", GLOSSARY, "tests/prose.py", "tests/test_prose.py")
_ADDRESS = re.compile(r"(mill|test|old|\d)\\?[ +]lane\b", re.IGNORECASE)
"""Streets are called what they are called."""

ALLOWED = {
    ".": 5,
    "benchmarks": 5,
    "bookings": 190,
    "docs": 70,
    "harness": 5,
    "ops": 30,
    "static": 10,
    "telemetry": 100,
    "templates": 40,
    "tests": 340,
    "xfhandyman": 55,
}
"""Lines with a word to avoid, by directory; none in any other. Lower a number when lines have gone, never raise it."""


def never() -> list[str]:
    """The words of the glossary's first table."""
    return _words("| never | but |")


def avoided() -> list[str]:
    """The words of the glossary's second table."""
    return _words("| avoid | but |")


def _words(head: str) -> list[str]:
    _, _, table = (BASE_DIR / GLOSSARY).read_text().partition(f"{head}\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    return [word.strip() for row in rows for word in row.split("|")[1].split(",")]


def found(text: str, words: list[str]) -> list[tuple[int, str]]:
    """The number of each line that has one of the words, also as a part of a name_like_this, and the line."""
    pattern = re.compile(rf"(?<![a-z])({'|'.join(words)})(?![a-z])", re.IGNORECASE)
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if pattern.search(_ADDRESS.sub("", line))]


def everywhere(words: list[str]) -> dict[str, list[tuple[int, str]]]:
    """What `found` returns for each file of the project that has any of these words, by path."""
    listed = subprocess.run(
        ["git", "ls-files", *_TEXTS, *(f":!{path}" for path in _EXCEPT)],
        cwd=BASE_DIR, check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = {path: found((BASE_DIR / path).read_text(), words) for path in listed.stdout.split()}
    return {path: of_file for path, of_file in lines.items() if of_file}


def left() -> Counter[str]:
    """How many lines of each directory have a word to avoid; "." are the files beside the directories."""
    counts: Counter[str] = Counter()
    for path, lines in everywhere(avoided()).items():
        counts[path.partition("/")[0] if "/" in path else "."] += len(lines)
    return counts


def main() -> int:
    wrong = [f"{path}:{number}: {line}" for path, lines in everywhere(never()).items() for number, line in lines]
    wrong += [
        f"{directory}: {number} lines with {', '.join(avoided())}; {ALLOWED.get(directory, 0)} are allowed. "
        f"{GLOSSARY} says what to write instead."
        for directory, number in left().items()
        if number > ALLOWED.get(directory, 0)
    ]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
