"""Refuses the same six lines in two places: `python -m tests.duplicates` prints where they stand.

Indentation, blank lines, comments, imports and lines without a word do not count. Tests may repeat seven.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
MOST, MOST_IN_TESTS = 5, 7

JUSTIFIED: dict[frozenset[str], str] = {
    frozenset({"telemetry/observe/queries.py"}): "around each query, where a context manager would cost a microsecond",
    frozenset({"benchmarks/peers/appointment_site.py", "xfhandyman/settings.py"}): "what Django asks of any project",
}
"""Pairs of files (or a file with itself) that may repeat each other, and why."""

_Line = tuple[int, str]


def lines(source: str) -> list[_Line]:
    """The lines of a module that count, by their numbers."""
    imports = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    stripped = enumerate((line.strip() for line in source.splitlines()), start=1)
    return [(at, line) for at, line in stripped if at not in imports and re.search(r"^[^#]*\w", line)]


def repeated(modules: dict[str, list[_Line]], most: int) -> Iterator[tuple[str, int, str, int, int]]:
    """What stands in two places: a file and a line, another file and line, and how many lines (more than `most`)."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, counted in modules.items():
        for at in range(len(counted) - most):
            places[tuple(line for _, line in counted[at : at + most + 1])].append((name, at))
    starts = {(*a, *b) for found in places.values() for i, a in enumerate(found) for b in found[i + 1 :]}
    for a, i, b, j in sorted(starts):
        if (a, i - 1, b, j - 1) in starts:
            continue
        length = 0
        while (a, i + length, b, j + length) in starts:
            length += 1
        yield a, modules[a][i][0], b, modules[b][j][0], length + most


def main() -> int:
    """Print what is repeated, and each justification that nothing needs any more."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in listed.stdout.split() if "/migrations/" not in name and (BASE_DIR / name).exists()]
    modules = {name: lines((BASE_DIR / name).read_text()) for name in names}
    site = {name: counted for name, counted in modules.items() if not name.startswith("tests/")}
    found = {*repeated(site, MOST), *repeated(modules, MOST_IN_TESTS)}
    pairs = {frozenset((a, b)) for a, _, b, _, _ in found}
    wrong = [each for each in sorted(found) if frozenset((each[0], each[2])) not in JUSTIFIED]
    for a, i, b, j, length in wrong:
        print(f"{a}:{i} and {b}:{j} have the same {length} lines")
    for pair in JUSTIFIED.keys() - pairs:
        print(f"{' and '.join(sorted(pair))} need no justification any more")
    return bool(wrong or JUSTIFIED.keys() - pairs)


if __name__ == "__main__":
    sys.exit(main())
