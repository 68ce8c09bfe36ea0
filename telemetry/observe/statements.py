"""Which statements a process sends often: their texts without values, for the plans that are asked for once an hour."""

import re
from typing import Any

MOST, LONGEST = 500, 4000
"""Texts that are counted at once, and characters of one."""
SHARED = 100
"""Of them, the most frequent, that the other processes of a host see."""
WINDOW = 300.0
"""Seconds between two calls of `hourly`."""
_DECAY = 0.5 ** (WINDOW / 3600)
"""What remains of a count after WINDOW: half after an hour."""
_VERBS = ("SELECT", "WITH", "UPDATE", "DELETE")

_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<kept>"(?:[^"]|"")*"|\b(?:LIMIT|BY)\s+\d+(?:\s*,\s*\d+)*\b)
    |(?P<value>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|%\(\w+\)[sbt]|%[sbt]|\d[\w.]*)
    |(?P<word>[^\W\d]\w*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_UNREADABLE = ("'", ";", "*/", "/*", "$")
"""What is left over where a text is of several statements, or its values cannot be told from the rest."""


class Statements:
    """How often each text was sent in about the last hour. Threads may lose a count, never more."""

    def __init__(self) -> None:
        self._calls: dict[str, float] = {}

    def count(self, sql: Any) -> None:
        """Count a statement as it is sent: a dictionary's look-up for one that is known."""
        try:
            self._calls[sql] += 1
        except (KeyError, TypeError):  # TypeError: of a type that no dictionary takes
            self._first(sql)

    def _first(self, sql: Any) -> None:
        if not isinstance(sql, str) or len(sql) > LONGEST or not sql.lstrip("( \n").startswith(_VERBS):
            return
        if len(self._calls) >= MOST:  # a text with values in it is sent once and makes room for the next
            self._calls = {text: calls for text, calls in self._calls.copy().items() if calls > 1}
        if len(self._calls) < MOST:
            self._calls[sql] = 1.0

    def hourly(self) -> dict[str, float]:
        """Return calls in an hour by text, without values, the most frequent first. Call it every WINDOW seconds."""
        self._calls = {text: calls * _DECAY for text, calls in self._calls.copy().items() if calls >= 0.1}
        found = dict[str, float]()
        for sql, calls in self._calls.copy().items():
            if text := parametrised(sql):
                found[text] = found.get(text, 0.0) + calls / _DECAY * (1 - _DECAY) * 3600 / WINDOW
        return dict(sorted(found.items(), key=lambda each: -each[1])[:SHARED])


def parametrised(sql: str) -> str:
    """Return a text with a numbered placeholder for each value, "" where that is not certain.

    Page sizes and the numbers of columns remain: a plan depends on them, and no customer has typed them.
    """
    pieces, values = list[str](), 0
    for match in _TOKEN.finditer(sql):
        kind, piece = match.lastgroup, match.group()
        if kind == "skip":
            pieces.append(" ")
        elif kind == "tag" or kind == "value":
            values += 1
            pieces.append(f"${values}")
        elif kind == "other" and piece in _UNREADABLE:
            return ""
        else:
            pieces.append(piece)
    text = "".join(pieces).strip()
    return "" if "/*" in text or "*/" in text else text
