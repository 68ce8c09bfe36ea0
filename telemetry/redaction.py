"""What an error may say about itself once it leaves the business: only what the source code wrote.

An exception's text is where names, addresses and tokens leak, and no pattern recognises a name. So the text is not
cleaned but rebuilt: of `raise ValueError(f"no slot for {name}")` the words that stand in the raising function's own
source are kept ("no slot for …") and everything that was put in at run time is left out. Where nothing of a text can
be found in the source, none of it is kept. A browser's errors come without our source, so they are cleaned by pattern.
"""

import os
import re
from collections.abc import Mapping
from types import CodeType
from typing import Any

WITHHELD = "(message withheld)"
GAP = "…"
LONGEST = 300
_READ = 1000
_SENTENCE = 9
"""Letters of the source in a text from which it counts as written there, and not by Python itself."""

_PLACEHOLDER = re.compile(r"%\(\w+\)[#0\- +]*[\d.]*\w|%[#0\- +]*[\d.]*[a-zA-Z]|\{[^{}]*\}")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]{0,99}", re.ASCII)
_MESSAGES = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"invalid literal for int\(\) with base \d+: (.*)",
        r"could not convert string to float: (.*)",
        r"(?:integer |float )?(?:division|modulo)(?: or modulo)? by zero|(?:float )?modulo",
        r"(?:list|tuple|string|range object|pop|deque|array|bytearray) (?:assignment )?index out of range",
        r"pop from (?:an )?empty (?:list|set|deque)|pop from an empty deque",
        r"'[\w.]+' object (?:is not|does not support|cannot be) [a-z\- ]+",
        r"[\w. ]+ (?:indices|index) must be [a-z ]+(?:, not '?[\w.]+'?)?",
        r"unsupported operand type\(s\) for [^:' ]+(?: or \w+\(\))?: '[\w.]+' and '[\w.]+'",
        r"'[^']{1,2}' not supported between instances of '[\w.]+' and '[\w.]+'",
        r"can only concatenate \w+ \(not \"[\w.]+\"\) to \w+",
        r"(?:not enough|too many) values to unpack \(expected (?:at least )?\d+(?:, got \d+)?\)",
        r"cannot unpack non-iterable [\w.]+ object",
        r"[\w.<>]+\(\) (?:missing|takes) [a-z0-9 \-]+(?:: '\w+'(?:,? (?:and )?'\w+')*)?",
        r"[\w.<>]+\(\) got (?:an unexpected keyword|multiple values for(?: keyword)?) argument (.*)",
        r"object of type '[\w.]+' has no len\(\)",
        r"maximum recursion depth exceeded[a-z ]*",
        r"dictionary (?:changed size|keys changed) during iteration",
        r"[Ss]et changed size during iteration",
        r"'[\w-]+' codec can't (?:de|en)code [a-z]+ (.*?) in position [\d-]+: [a-z() 0-9]+",
        r"cannot access local variable '\w+' where it is not associated with a value",
        r"(?:day|month|hour|minute|second|year) (?:\d+ )?(?:is|must be) [a-z0-9. ]+",
        r"Invalid isoformat string: (.*)",
        r"generator (?:already executing|raised StopIteration)",
        r"timed out|The read operation timed out",
    )
]
"""What Python says of itself, from C; where a group stands is a value."""
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
    known = reason_of_database(error) or _structured(error)
    if known:
        return known
    code = _raising_code(error)
    try:
        text = str(error)
    except Exception:  # an exception class of somebody else, in the middle of a failure
        return WITHHELD
    if not text:
        return ""
    constants = [const for const in code.co_consts if isinstance(const, str)] if code is not None else []
    written = _from_source(text, constants)
    if len(written.replace(GAP, "").strip()) >= _SENTENCE:
        return written[:LONGEST]
    return (_of_standard_library(error, text) or written or WITHHELD)[:LONGEST]


def reason_of_database(error: BaseException) -> str:
    """Of an error of PostgreSQL, or what Django made of it: the driver's class, SQLSTATE, constraint and table."""
    for each in (error, error.__cause__):
        diagnostics: Any = getattr(each, "diag", None)
        if diagnostics is not None:
            parts = [getattr(each, "sqlstate", None), diagnostics.constraint_name, diagnostics.table_name]
            said = [part for part in parts if part]
            return " ".join([type(each).__name__, *said] if said or each is not error else [])
    return ""


def _of_standard_library(error: BaseException, text: str) -> str:
    """A message that Python itself made, without the value in it: those of C have no source to look them up in."""
    if isinstance(error, OSError) and error.errno:
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    if type(error).__module__ != "builtins":
        return ""
    for pattern in _MESSAGES:
        if found := pattern.fullmatch(text):
            said = text
            for number in range(len(found.groups()), 0, -1):  # from behind, so that what is before keeps its place
                start, end = found.span(number)
                said = said[:start] + GAP + said[end:]
            return said
    return ""


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
    """Errors that carry a safe name beside their text: a missing attribute, name or module."""
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
