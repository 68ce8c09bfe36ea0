"""How the records of gunicorn are logged."""

import logging

from structlog.typing import EventDict

from telemetry.logs import libraries

_QUOTES_THE_CLIENT = ("Error handling request", "Invalid request")


def register() -> None:
    """From now on, in this process."""
    libraries.register(libraries.Library("gunicorn", _speaks_of_processes, _is_the_clients, _translate))
    logging.getLogger("gunicorn.http.wsgi").setLevel(logging.ERROR)  # it warns of each HEAD, whose body it is to drop


def _speaks_of_processes(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_QUOTES_THE_CLIENT)


def _is_the_clients(record: logging.LogRecord) -> bool:
    """A client that does not read: nobody's error."""
    return bool(record.name == "gunicorn.error" and record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def _translate(_record: logging.LogRecord, _event: EventDict) -> None:
    """Nothing but the message: what comes with it may quote the client."""
