"""Before a server makes a worker: configuration faults end the start, one line each, logged once."""

import gc
import os
import sys

from telemetry.logger import get_logger
from telemetry.logs import setup
from telemetry.metrics import multiprocess


def require_sound_configuration() -> None:
    """Check in a child, so that the arbiter stays free of the application. Exits with 1 on a fault."""
    child = os.fork()
    if child == 0:
        try:
            gc.disable()  # It is over before there is any garbage.
            multiprocess.leave()
            os._exit(_faults())
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(1)


def _faults() -> int:
    setup.install()
    log = get_logger("telemetry.serve.preflight")
    try:
        import django

        django.setup()
        from django.core import checks

        found = [each for each in checks.run_checks(include_deployment_checks=False) if not each.is_silenced()]
    except Exception as error:  # settings that cannot be read at all
        log.critical("configuration_fault", problem=" ".join(str(error).split()), id=type(error).__name__)
        return 1
    for message in found:
        say = log.critical if message.level >= checks.ERROR else log.warning
        say("configuration_fault", problem=" ".join(str(message.msg).split()), id=message.id)
    return int(any(message.level >= checks.ERROR for message in found))
