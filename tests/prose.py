"""Refuses the words that docs/glossary.md says never to use: `python -m tests.prose` prints where they stand."""

import re
import subprocess
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
GLOSSARY = "docs/glossary.md"

_TEXTS = ("*.py", "*.md", "*.html", "*.txt", "*.js", "*.css")
_EXCEPT = ("*/migrations/*", "*requirements*.txt", GLOSSARY, "tests/prose.py", "tests/test_prose.py")
_ADDRESS = re.compile(r"(mill|test|old|\d)\\?[ +]lane\b", re.IGNORECASE)
"""Streets are called what they are called."""


def never() -> list[str]:
    """The words of the glossary's table."""
    _, _, table = (BASE_DIR / GLOSSARY).read_text().partition("| never | but |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    return [word.strip() for row in rows for word in row.split("|")[1].split(",")]


def found(text: str, words: list[str]) -> list[tuple[int, str]]:
    """The number of each line that has one of the words, also as a part of a name_like_this, and the line."""
    pattern = re.compile(rf"(?<![a-z])({'|'.join(words)})(?![a-z])", re.IGNORECASE)
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if pattern.search(_ADDRESS.sub("", line))]


def main() -> int:
    words = never()
    listed = subprocess.run(
        ["git", "ls-files", *_TEXTS, *(f":!{path}" for path in _EXCEPT)],
        cwd=BASE_DIR, check=True, capture_output=True, text=True,
    )  # fmt: skip
    wrong = [
        f"{path}:{number}: {line}"
        for path in listed.stdout.split()
        for number, line in found((BASE_DIR / path).read_text(), words)
    ]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
