"""The check on duplicates finds what is repeated, and no less."""

import pytest

from tests.duplicates import lines, repeated

SIX = [f"work({number})" for number in range(6)]


def _found(first: list[str], second: list[str]) -> list[tuple[str, int, str, int, int]]:
    modules = {"a.py": lines("\n".join(first)), "b.py": lines("\n".join(second))}
    return list(repeated(modules, 5))


@pytest.mark.parametrize(
    ("second", "place"),
    [
        ([*SIX, "other()"], 1),
        (["def f():", *(f"    {line}" for line in SIX)], 2),
        (["other()", *SIX[:3], "", "# a comment", *SIX[3:]], 2),
    ],
)
def test_it_finds_six_lines_wherever_they_stand(second: list[str], place: int) -> None:
    assert _found(["first()", *SIX], second) == [("a.py", 2, "b.py", place, 6)]


def test_it_reports_a_longer_repetition_once() -> None:
    assert _found([*SIX, "more()"], [*SIX, "more()"]) == [("a.py", 1, "b.py", 1, 7)]


def test_it_leaves_five_lines_and_imports_alone() -> None:
    imports = [f"import {name}" for name in ("ast", "re", "sys", "time", "os", "json", "math")]
    assert not _found([*SIX[:5], *imports], [*imports, *SIX[:5]])
