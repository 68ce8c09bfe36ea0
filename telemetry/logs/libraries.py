"""What is known of a library's log records: which to leave out, and how to log the others."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from structlog.typing import EventDict


def _never(_record: logging.LogRecord) -> bool:
    return False


def _always(_record: logging.LogRecord) -> bool:
    return True


class Library(NamedTuple):
    """The records of the loggers below `prefix`.

    `speaks_of_processes`: whether a message names no person, so that it is kept with what was put into it.
    `drop`: what another line says. `translate` renames the event and its fields.
    """

    prefix: str
    speaks_of_processes: Callable[[logging.LogRecord], bool] = _never
    drop: Callable[[logging.LogRecord], bool] | None = None
    translate: Callable[[logging.LogRecord, EventDict], None] | None = None


_known = {
    prefix: Library(prefix, speaks_of_processes=_always)
    for prefix in ("telemetry", "py.warnings", "django.utils.autoreload", "psycopg.pool")
}


def register(library: Library) -> None:
    """Tell the records of a library so; the latest registration of a prefix counts."""
    _known[library.prefix] = library


def of(name: str) -> Library | None:
    """What is known of a logger."""
    for prefix, library in _known.items():
        if name.startswith(prefix):
            return library
    return None
