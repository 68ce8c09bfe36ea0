"""What an error may say about itself once it leaves the business: only what the source code wrote.

An exception's text is where names, addresses and tokens leak, and no pattern recognises a name. So the text is not
cleaned but rebuilt: of `raise ValueError(f"no slot for {name}")` the words that stand in the raising function's own
source are kept ("no slot for …") and everything that was put in at run time is left out. Where nothing of a text can
be found in the source, none of it is kept. A browser's errors come without our source, so they are cleaned by pattern.
"""

import re
from collections.abc import Mapping
from types import CodeType
from typing import Any

WITHHELD = "(message withheld)"
GAP = "…"
LONGEST = 300
_READ = 1000

_PLACEHOLDER = re.compile(r"%\(\w+\)[#0\- +]*[\d.]*\w|%[#0\- +]*[\d.]*[a-zA-Z]|\{[^{}]*\}")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]{0,99}", re.ASCII)
_patterns = [
    (re.compile(r"[^\s@<>\"'()]+@[^\s@<>\"'()]+"), "[e-mail]"),
    (re.compile(r"((?:https?:/)?/[^\s?#\"'<>]*)[?#][^\s\"'<>]*"), r"\1"),
    (re.compile(r"(?<![\w.])\+?\(?\d[\d\s()/.-]{7,}\d"), "[number]"),
    (re.compile(r"(?<![/\w-])(?=[\w-]*\d)[\w-]{20,}"), "[token]"),
]


def register(pattern: str | re.Pattern[str], replacement: str) -> None:
    """Replace what matches in every text that leaves, before the built-in patterns look for numbers and tokens.

    Write a pattern that takes linear time on hostile input: a browser's words go through it.
    """
    _patterns.insert(0, (re.compile(pattern), replacement))


def message(error: BaseException) -> str:
    """The part of an exception's text that stands in the source of the function that raised it, or `WITHHELD`."""
    known = _structured(error)
    if known:
        return known
    code = _raising_code(error)
    try:
        text = str(error)
    except Exception:  # an exception class of somebody else, in the middle of a failure
        return WITHHELD
    if not text or code is None:
        return WITHHELD if text else ""
    return (_from_source(text, [const for const in code.co_consts if isinstance(const, str)]) or WITHHELD)[:LONGEST]


def text(value: str) -> str:
    """A browser's words without e-mail addresses, numbers like phones', tokens and query strings."""
    if len(value) > _READ:  # the patterns take a time that grows with the square of the length
        value = value[:_READ].rpartition(" ")[0]
    for pattern, replacement in _patterns:
        value = pattern.sub(replacement, value)
    return value[:LONGEST]


def filled(template: str, arguments: Any) -> str:
    """A library's log message with those of its arguments that name nobody: numbers, classes, errors in safe words."""
    if isinstance(arguments, Mapping):
        known: Any = {name: _nameless(value) for name, value in arguments.items()}
    else:
        known = tuple(_nameless(value) for value in arguments)
    try:
        whole = template % known if known else template
    except (TypeError, ValueError, KeyError):  # a number was wanted where a text is left out
        whole = _PLACEHOLDER.sub(GAP, template)
    return text(whole)


class _Bare(str):
    """Words that `%r` shows without quotation marks."""

    __repr__ = str.__str__


def _nameless(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, type):
        return _Bare(value.__qualname__)
    if isinstance(value, BaseException):
        said = message(value)
        return _Bare(type(value).__qualname__ + (f": {said}" if said not in ("", WITHHELD) else ""))
    return _Bare(GAP)


def _structured(error: BaseException) -> str:
    """Errors that carry safe names beside their text: a SQLSTATE, a constraint, a missing attribute."""
    diagnostics: Any = getattr(error, "diag", None)
    if diagnostics is not None:
        parts = [getattr(error, "sqlstate", None), diagnostics.constraint_name, diagnostics.table_name]
        return " ".join(part for part in parts if part)
    name = getattr(error, "name", None) if isinstance(error, (AttributeError, NameError, ImportError)) else None
    return f"{name!r}" if isinstance(name, str) and _IDENTIFIER.fullmatch(name) else ""


def _raising_code(error: BaseException) -> CodeType | None:
    traceback = error.__traceback__
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code


def _fits(text: str, pieces: list[str]) -> bool:
    """Whether `text` is the pieces with anything between them; in linear time, for what is between may be hostile."""
    first, *middle, last = pieces
    position, end = len(first), len(text) - len(last)
    if position > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def _from_source(text: str, constants: list[str]) -> str:
    """`text` with everything replaced by a gap that is in none of the function's string constants; "" if all is."""
    if text in constants:
        return text
    for constant in constants:
        pieces = _PLACEHOLDER.split(constant)
        if len(pieces) > 1 and any(len(piece.strip()) > 2 for piece in pieces) and _fits(text, pieces):
            return GAP.join(pieces)
    kept, position = "", 0
    for constant in constants:
        found = text.find(constant, position) if len(constant.strip()) > 3 else -1
        if found >= 0:
            kept += ("" if found == position else GAP) + constant
            position = found + len(constant)
    return kept + (GAP if kept and position < len(text) else "")
