"""The task worker, traced and with its errors reported."""

import logging
from typing import Any

from procrastinate import cli
from procrastinate.contrib.django.management.commands import procrastinate

from telemetry import lifecycle


class Command(procrastinate.Command):
    """Procrastinate's own command; `worker` begins and ends as a watched process."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("command") != "worker":
            return super().handle(*args, **options)
        cli.print_stderr = _log  # what it prints would be the one line that is no log record
        lifecycle.start("xfhandyman-worker")
        try:
            return super().handle(*args, **options)
        finally:
            lifecycle.stop()


def _log(*words: Any) -> None:
    logging.getLogger("procrastinate.cli").info(" ".join(map(str, words)))
