"""What gunicorn.conf.py imports: `from telemetry.gunicorn import *`. How gunicorn's processes begin and end.

The arbiter serves the metrics from a thread, so they are there when every thread of every worker is stuck.
What goes wrong here is logged and ends nothing: an exception in a hook would stop the arbiter, and the site.

Where only the workers load the host (without `preload_app`), the first of them tells the arbiter what the host's
settings say, and the metrics are served and the incidents judged from then on.
"""

import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import settings
from gunicorn import glogging
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.workers.base import Worker

from telemetry import metrics, shared_table  # noqa: F401 - its memory must be there before the first fork
from telemetry.conf import conf
from telemetry.contrib.gunicorn import records
from telemetry.diagnosis import incidents
from telemetry.logs import setup
from telemetry.metrics import multiprocess
from telemetry.serve import exposition

_server: exposition.MetricsServer | None = None
_leader: incidents.LeaderThread | None = None
_told: tuple[int, int] | None = None
"""The pipe, its ends to read and to write, through which the first worker tells its settings, until it has."""
_unshared = ""
"""Why the workers share no metrics."""

log = logging.getLogger("telemetry.gunicorn")


class Logger(glogging.Logger):
    """gunicorn's records through our formatter. The canonical line is the access log."""

    access_log_enabled = False

    def setup(self, cfg: Config) -> None:
        _share_metrics(cfg)  # here, because `preload_app` loads the application before any hook
        _keep_hooks(cfg)
        self.cfg = cfg
        records.register()
        setup.install()
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True


def on_starting(arbiter: Arbiter) -> None:
    """Before any worker: where the workers share their metrics, if this server has another class of logger."""
    _share_metrics(arbiter.cfg)


def when_ready(arbiter: Arbiter) -> None:
    global _told
    if _server is not None or _told is not None:
        return  # the host's own hook calls this one too
    exposition.prepare()
    multiprocess.withdraw()
    if settings.configured:
        _begin(arbiter.cfg.uid)
        return
    _told = os.pipe()
    os.set_blocking(_told[1], False)
    threading.Thread(target=_begin_when_told, args=(_told[0], arbiter.cfg.uid), daemon=True).start()


def _begin_when_told(pipe: int, uid: int) -> None:
    global _told
    conf.adopt(json.loads(os.read(pipe, 1 << 16)))
    _told = None  # open in this process, so that no worker's word ends it
    if conf.enabled:
        setup.install()
    _begin(uid)


def _begin(uid: int) -> None:
    """`uid`: of the workers."""
    global _server, _leader
    if not conf.enabled:  # which the host's settings say
        return
    if uid == os.geteuid():  # else the board is the workers' own, and they judge
        _leader = incidents.LeaderThread()
        _leader.start()
    if multiprocess.made() is None:  # the arbiter's own metrics are all 0
        log.warning("telemetry_part_off", extra={"part": "metrics of the server", "reason": _unshared})
        return
    _server = exposition.MetricsServer(conf.metrics_host, conf.metrics_port)
    _server.start()


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    conf.forget()  # what another worker has told: this one reads the host's settings itself
    if _server is not None:
        _server.forget()
    try:
        multiprocess.keep()
    except OSError as error:
        _tell(error)


def post_worker_init(worker: Worker) -> None:
    """After the fork and with the application loaded: threads and connections of telemetry are each worker's own."""
    from telemetry.serve import lifecycle

    if _told is not None:
        with suppress(OSError):  # others have told it before
            values = conf.told() | {"incidents_dir": str(incidents.directory() or "")}
            os.write(_told[1], json.dumps(values).encode())
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


def _keep_hooks(cfg: Config) -> None:
    """A hook that the host defines below the import takes the place of ours: run both, ours first."""
    hooks: list[Callable[..., None]] = [on_starting, when_ready, post_fork, post_worker_init]
    hooks += [worker_exit, child_exit, on_exit]
    for ours in hooks:
        theirs = cfg.settings[ours.__name__].get()
        if getattr(theirs, "__wrapped__", theirs) is not ours:
            cfg.set(ours.__name__, _both(ours, theirs))


def _both(ours: Callable[..., None], theirs: Callable[..., Any]) -> Callable[..., None]:
    @wraps(ours)
    def both(*args: Any) -> None:
        ours(*args)
        theirs(*args)

    return both


def _share_metrics(cfg: Config) -> None:
    global _unshared
    if multiprocess.made() is not None:
        return
    if cfg.uid != os.geteuid():
        _unshared = "The workers run as another user than the server's parent, so that they share no files."
    elif metrics.registered():
        _unshared = "The application was loaded (preload_app) before the hooks: logger_class is not telemetry's."
    else:
        try:
            multiprocess.create()
        except OSError as error:
            _unshared = f"The temporary directory takes no files: {error.strerror}."


def _tell(error: Exception) -> None:
    log.warning("metrics_files_failed", exc_info=error)
