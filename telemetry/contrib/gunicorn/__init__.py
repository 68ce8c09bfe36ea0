"""What gunicorn.conf.py imports: `from telemetry.gunicorn import *`. How gunicorn's processes begin and end.

The arbiter serves the metrics from a thread, so they are there when every thread of every worker is stuck.
What goes wrong here is logged and ends nothing: an exception in a hook would stop the arbiter, and the site.
"""

import logging

from gunicorn import glogging
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.workers.base import Worker

from telemetry import shared_table  # noqa: F401 - its memory must be there before the first fork
from telemetry.conf import conf
from telemetry.contrib.gunicorn import records
from telemetry.diagnosis import incidents
from telemetry.logs import setup
from telemetry.metrics import multiprocess
from telemetry.serve.exposition import MetricsServer

_server: MetricsServer | None = None
_leader: incidents.LeaderThread | None = None


class Logger(glogging.Logger):
    """gunicorn's records through our formatter. The canonical line is the access log."""

    access_log_enabled = False

    def setup(self, cfg: Config) -> None:
        _share_metrics()  # here, because `preload_app` loads the application before any hook
        self.cfg = cfg
        records.register()
        setup.install()
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True


def on_starting(arbiter: Arbiter) -> None:
    """Before any worker: where the workers share their metrics, if this server has another class of logger."""
    _share_metrics()


def when_ready(arbiter: Arbiter) -> None:
    global _server, _leader
    multiprocess.withdraw()
    _leader = incidents.LeaderThread()
    _leader.start()
    _server = MetricsServer(conf.metrics_host, conf.metrics_port).start()


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    if _server is not None:
        _server.forget()
    try:
        multiprocess.keep()
    except OSError as error:
        _tell(error)


def post_worker_init(worker: Worker) -> None:
    """After the fork and with the application loaded: threads and connections of telemetry are each worker's own."""
    from telemetry.serve import lifecycle

    lifecycle.start(threads=worker.cfg.threads)


def worker_exit(arbiter: Arbiter, worker: Worker) -> None:
    from telemetry.serve import lifecycle

    lifecycle.stop()


def child_exit(arbiter: Arbiter, worker: Worker) -> None:
    try:
        multiprocess.keep()
        multiprocess.reap(worker.pid)
    except Exception as error:  # a full disk, a damaged file: the dead worker's counts are lost
        _tell(error)


def on_exit(arbiter: Arbiter) -> None:
    if _leader is not None:
        _leader.stop()
    if _server is not None:
        _server.stop()
    multiprocess.remove()


def _share_metrics() -> None:
    if multiprocess.directory() is None:
        try:
            multiprocess.create()
        except OSError as error:
            _tell(error)


def _tell(error: Exception) -> None:
    logging.getLogger("telemetry.gunicorn").warning("metrics_files_failed", exc_info=error)
