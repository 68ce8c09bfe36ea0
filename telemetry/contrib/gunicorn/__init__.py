"""How gunicorn's processes begin and end, for gunicorn.conf.py to import: logs, metrics, what each worker starts.

The arbiter serves the metrics from a thread, so they are there when every thread of every worker is stuck.
What goes wrong here is told and ends nothing: an exception in one of these hooks would stop the arbiter, and the site.
"""

import logging

from gunicorn import glogging
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.workers.base import Worker

from telemetry import shared_table  # noqa: F401 - its memory must be there before the first fork
from telemetry.conf import conf
from telemetry.diagnosis import incidents
from telemetry.logs.setup import configure, from_environment
from telemetry.metrics import multiprocess
from telemetry.serve.exposition import MetricsServer

_server: MetricsServer | None = None
_leader: incidents.LeaderThread | None = None


class Logger(glogging.Logger):
    """gunicorn's records through our formatter. The canonical line is the access log."""

    def setup(self, cfg: Config) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        configure(from_environment())
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True


def when_ready(arbiter: Arbiter) -> None:
    global _server, _leader
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


def child_exit(arbiter: Arbiter, worker: Worker) -> None:
    try:
        multiprocess.keep()
        multiprocess.bury(worker.pid)
    except Exception as error:  # a full disk, a damaged file: the dead worker's counts are lost
        _tell(error)


def on_exit(arbiter: Arbiter) -> None:
    if _leader is not None:
        _leader.stop()
    if _server is not None:
        _server.stop()
    multiprocess.remove()


def _tell(error: Exception) -> None:
    logging.getLogger("telemetry.contrib.gunicorn").warning("metrics_files_failed", exc_info=error)
