"""How the web process runs: threads in a few long-lived workers, the pool opened after the fork."""

import gc
import os
import resource
import sys
from contextlib import suppress

from gunicorn.arbiter import Arbiter

gc.disable()  # a tenth of a start, and what is imported below stays: xfhandyman/wsgi.py freezes it and enables it again

from telemetry.gunicorn import *  # noqa: E402, F403 - see above
from xfhandyman import embedded  # noqa: E402 - see above

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
os.environ["PROCESS_TYPE"] = "web"  # for the settings: only the web goes through a pooler
wsgi_app = "xfhandyman.wsgi"
# A production host reaches the site through its proxy; a development machine keeps it to itself.
_host = os.environ.get("HOST") or ("0.0.0.0" if os.environ.get("ENVIRONMENT") == "production" else "127.0.0.1")  # noqa: S104 - see above
bind = f"{_host}:{os.environ.get('PORT', '8000')}"
worker_class = "xfhandyman.security.worker.SiteWorker"  # gthread, with threads apart for the health paths
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
_threads = os.environ.get("WEB_THREADS", "4")
threads = int(_threads) if _threads.isdigit() else 4  # the preflight reports any other value and exits
timeout = 30
graceful_timeout = 20
keepalive = 5
accesslog = None
forwarder_headers = ""  # no header of a request says what path it is for
secure_scheme_headers: dict[
    str, str
] = {}  # nor, to gunicorn, that it came by TLS: it would believe whoever is on loopback
sendfile = False  # it would wait for ever for a client that does not read
control_socket_disable = True


def on_starting(arbiter: Arbiter) -> None:
    from telemetry.serve import preflight

    try:
        embedded.stand_in()
    except embedded.EmbeddedPostgresError as error:
        sys.exit(f"XFHandyman: {error}")
    preflight.load(arbiter.app.wsgi)  # once: workers share its memory, and crashed ones are replaced quickly
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a thousand connections need more descriptors than shells often give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
