"""Before a server makes a worker: configuration faults end the start, one line each, logged once."""

import sys
from collections.abc import Callable

from telemetry.logger import get_logger
from telemetry.logs import setup


def load(application: Callable[[], object]) -> None:
    """Check the configuration, then call what loads the application. Exits with 1 on a fault."""
    setup.install()
    log = get_logger("telemetry.serve.preflight")
    try:
        import django

        django.setup()
        from django.core import checks

        found = [each for each in checks.run_checks(include_deployment_checks=False) if not each.is_silenced()]
        for message in found:
            say = log.critical if message.level >= checks.ERROR else log.warning
            say("configuration_fault", problem=" ".join(str(message.msg).split()), id=message.id)
        if any(message.level >= checks.ERROR for message in found):
            sys.exit(1)
        application()
    except Exception as error:  # settings that cannot be read at all, an application that cannot be imported
        log.critical("configuration_fault", problem=" ".join(str(error).split()), id=type(error).__name__)
        sys.exit(1)
