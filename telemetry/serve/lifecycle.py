"""What begins and ends with a process that serves or works: traces, error reports, the sampler."""

import threading
import time

from django.conf import settings

from telemetry import errors, traces
from telemetry.contrib.procrastinate.queue_depth import BacklogMeter
from telemetry.metrics import catalogue
from telemetry.rum import store
from telemetry.serve import sampler
from telemetry.serve.exposition import MetricsServer

STOP_TIMEOUT = 1.6
"""Seconds for all of them together; gunicorn's own stop takes up to one more."""

_of_worker: list[MetricsServer | BacklogMeter] = []


def start(service: str) -> None:
    """Begin to trace and report in this process. Call it after fork; `service` is the traces' service name."""
    if settings.TELEMETRY:
        catalogue.app_info.labels(settings.RELEASE, settings.ENVIRONMENT).set(1)
        traces.start(service, settings.RELEASE, settings.ENVIRONMENT)
        errors.start(settings.RELEASE, settings.ENVIRONMENT)
        worker = service.endswith("-worker")
        sampler.start("worker" if worker else "web")
        if worker:  # the web workers' metrics are served by gunicorn's arbiter
            _of_worker[:] = [MetricsServer(settings.METRICS_HOST, settings.WORKER_METRICS_PORT), BacklogMeter()]
            for each in _of_worker:
                each.start()


def stop() -> None:
    """Let what is queued leave, side by side, for `STOP_TIMEOUT` at most."""
    for each in _of_worker:
        each.stop()
    stopping = [threading.Thread(target=each.stop, daemon=True) for each in (sampler, traces, errors, store)]
    for thread in stopping:
        thread.start()
    deadline = time.monotonic() + STOP_TIMEOUT
    for thread in stopping:
        thread.join(max(0.0, deadline - time.monotonic()))
