"""An exception as Sentry takes it: with what it came from, its children, and what makes it the same as another.

Two events are of one issue when the same line of the source raised the same class for the same reason, whoever called:
neither the text nor the line's number counts, so that neither what a client sent nor the next release splits an issue.
"""

import sys
from collections.abc import Iterator
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any

from sentry_sdk.utils import single_exception_from_error_tuple

from telemetry import redaction

MOST = 20
"""Exceptions of one event: causes, and children of groups."""
_INSTALLED = (f"{sys.prefix}/", f"{sys.base_prefix}/")


def values(error: BaseException, handled: bool, options: dict[str, Any]) -> list[dict[str, Any]]:
    """What goes into `exception.values`, oldest first: each with its frames and the safe part of its text."""
    found = []
    for number, (each, parent, source) in enumerate(_all(error)):
        entry = single_exception_from_error_tuple(
            type(each),
            each,
            each.__traceback__,
            options,
            {"type": "generic", "handled": handled},
            exception_id=number,
            parent_id=parent,
            source=source,
        )
        entry["value"] = redaction.message(each)
        if isinstance(each, BaseExceptionGroup):
            entry["mechanism"]["is_exception_group"] = True
        found.append(entry)
    return found[::-1]


def fingerprint(error: BaseException) -> list[str]:
    """What the events of one issue have in common: class, place and reason, of all that belong to the error."""
    said: list[str] = []
    for each, _parent, _source in _all(error):
        said += [_class(each), *_places(each), redaction.reason_of_database(each)]
    return list(dict.fromkeys(filter(None, said)))


def _all(error: BaseException) -> Iterator[tuple[BaseException, int | None, str | None]]:
    """The error, what it came from and the children of groups, each with the number of the one it belongs to."""
    waiting: list[tuple[BaseException, int | None, str | None]] = [(error, None, None)]
    seen: set[int] = set()
    number = 0
    while waiting and number < MOST:
        each, parent, source = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each, parent, source
        if each.__cause__ is not None:
            waiting.append((each.__cause__, number, "__cause__"))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, number, "__context__"))
        if isinstance(each, BaseExceptionGroup):
            waiting += [(child, number, f"exceptions[{index}]") for index, child in enumerate(each.exceptions)]
        number += 1


def _class(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _places(error: BaseException) -> list[str]:
    """Where it was raised, and where the project's own code was at that time."""
    traceback, own, last = error.__traceback__, "", ""
    while traceback is not None:
        last = _place(traceback.tb_frame, traceback.tb_lineno)
        if not _is_installed(traceback.tb_frame.f_code.co_filename):
            own = last
        traceback = traceback.tb_next
    return [last, own]


def _place(frame: FrameType, line: int) -> str:
    code = frame.f_code
    module = frame.f_globals.get("__name__") or Path(code.co_filename).stem
    words = getline(code.co_filename, line).strip()
    before = sum(getline(code.co_filename, each).strip() == words for each in range(code.co_firstlineno, line))
    return f"{module}.{code.co_qualname}: {words}" + (f" ({before + 1})" if before else "")


def _is_installed(path: str) -> bool:
    return "/site-packages/" in path or path.startswith((*_INSTALLED, "<"))
