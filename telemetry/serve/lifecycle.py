"""What begins and ends with a process that serves or works: traces, error reports, the sampler."""

import atexit
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from django.core import mail

from telemetry import errors, traces
from telemetry.conf import conf
from telemetry.context import pid
from telemetry.logger import get_logger
from telemetry.logs import lines, otlp
from telemetry.metrics import catalogue
from telemetry.metrics.containment import failsafe
from telemetry.observe import drivers
from telemetry.rum import store
from telemetry.serve import sampler
from telemetry.serve.exposition import MetricsServer

STOP_TIMEOUT = 1.6
"""Seconds for all of them together; a server's own stop may take one more."""


class Part(Protocol):
    """What a task worker runs beside its tasks, e.g. a thread that measures the queue."""

    def start(self) -> Any: ...
    def stop(self) -> None: ...


log = get_logger(__name__)
_of_worker: list[Part] = []
_serves = False
_started_in = 0
"""The process this was started in: a fork inherits the number, but no thread."""


def start(service: str = "", *parts: Part, threads: int = 0) -> None:
    """Begin to trace, report and sample in this process, once, after it was forked.

    `service` is the traces' service name, SERVICE_NAME by default. One that ends with "-worker" is a task worker's: it
    serves its own metrics, and `parts` begin and end with it. `threads`: those of a web worker, where they are known.
    Nothing in here raises: what cannot begin is logged and stays off.
    """
    global _started_in
    if not conf.enabled or _started_in == pid():
        return
    _started_in = pid()
    atexit.register(stop)  # where no server's hook calls it
    _start(service or conf.service_name, parts, threads)


def serves_requests() -> None:
    """Note that this process, or what it forks, is a web server's."""
    global _serves
    _serves = True


def begin() -> None:
    """`start` with the first request or task, where no server's hook has: as the web, else as a task worker.

    Not in tests: Django's test runner sets `mail.outbox`.
    """
    if _started_in != pid() and not hasattr(mail, "outbox"):
        start("" if _serves else f"{conf.service_name}-worker")


@failsafe("start")
def _start(service: str, parts: tuple[Part, ...], threads: int) -> None:
    if threads and not conf.web_threads:
        conf.web_threads = threads  # found out, where nobody has set it
    catalogue.app_info.labels(conf.release, conf.environment).set(1)
    lines.introduce(service)
    _tell_what_is_off()
    _start_logs(service)
    _start_traces(service)
    _start_errors()
    worker = service.endswith("-worker")
    sampler.start("worker" if worker else "web")
    if worker:  # the web workers' metrics are served by their server's parent process
        _of_worker[:] = [MetricsServer(conf.metrics_host, conf.worker_metrics_port), *parts]
        for each in _of_worker:
            each.start()


def _tell_what_is_off() -> None:
    for problem in conf.problems():
        log.warning("configuration_fault", problem=str(problem))
    for package, what in drivers.missing():
        log.info("telemetry_part_off", part=what, reason=f"{package} is not installed.")


@failsafe("logs")
def _start_logs(service: str) -> None:
    """The export of log lines where it is configured; its packages are imported only then."""
    if otlp.wanted() and _sound("logs", otlp.faults()):
        from telemetry.logs import opentelemetry

        opentelemetry.start(service)


@failsafe("traces")
def _start_traces(service: str) -> None:
    """Tracing where it is configured; its packages are imported only then."""
    if traces.wanted() and _sound("traces", traces.faults()):
        from telemetry.traces import opentelemetry

        opentelemetry.start(service)


@failsafe("sentry")
def _start_errors() -> None:
    """Error reports likewise."""
    if errors.wanted() and _sound("errors", errors.faults()):
        from telemetry.errors import sentry

        sentry.start(conf.release, conf.environment)


def _sound(part: str, faults: Iterator[str]) -> bool:
    """Whether nothing is wrong with a part's configuration; what is, is logged, and the part stays off."""
    found = list(faults)
    for fault in found:
        log.warning("telemetry_part_off", part=part, reason=fault)
    return not found


def stop() -> None:
    """Let what is queued leave, side by side, for `STOP_TIMEOUT` at most."""
    for each in _of_worker:
        each.stop()
    stopping = [threading.Thread(target=each.stop, daemon=True) for each in (sampler, traces, errors, store, otlp)]
    for thread in stopping:
        thread.start()
    deadline = time.monotonic() + STOP_TIMEOUT
    for thread in stopping:
        thread.join(max(0.0, deadline - time.monotonic()))
