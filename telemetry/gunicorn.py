"""For a configuration file of the server: import everything from here. With TELEMETRY=off it sets nothing."""

from telemetry.conf import conf

if conf.enabled:
    from telemetry.contrib.gunicorn import Logger as logger_class
    from telemetry.contrib.gunicorn import (
        child_exit,
        on_exit,
        on_starting,
        post_fork,
        post_worker_init,
        when_ready,
        worker_exit,
    )

    worker_class = "telemetry.contrib.gunicorn.worker.LanedWorker"

    __all__ = [
        "child_exit",
        "logger_class",
        "on_exit",
        "on_starting",
        "post_fork",
        "post_worker_init",
        "when_ready",
        "worker_class",
        "worker_exit",
    ]
else:
    __all__ = []
