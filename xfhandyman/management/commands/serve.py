"""`make run`: the whole site on one machine, web and worker under one supervisor."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from argparse import ArgumentParser
from contextlib import suppress
from types import FrameType

import psycopg
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection

from telemetry.conf import conf
from xfhandyman import embedded

GRACE = 1.2  # seconds that web and worker get to finish what they hold before they are killed
YOUNG = 5.0
"""Seconds: a process that ends sooner than that has a fault of its own, and starting it again would not help."""
_COMMANDS = {
    "web": ("gunicorn",),
    "worker": ("manage", "procrastinate", "worker", "--shutdown-graceful-timeout", "1"),
}


class Command(BaseCommand):
    """Migrate, load the demo business into an empty database, and serve until told to stop."""

    help = __doc__
    requires_system_checks = ()  # gunicorn runs them, and would print each fault a second time

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *args: object, no_demo: bool, **options: object) -> None:
        _own_the_terminal()
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        self._require_free_port("PORT", settings.PORT)
        if conf.enabled:
            self._require_free_port("METRICS_PORT", conf.metrics_port)
        self._require_database()
        call_command("migrate", interactive=False, verbosity=0)
        if not no_demo and not settings.PRODUCTION:
            call_command("demo", stdout=self.stdout)
        connection.close()
        self._supervise()

    def _require_free_port(self, variable: str, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} is taken ({error.strerror}); choose another: {variable}=… make run"
                ) from error

    def _require_database(self) -> None:
        # Not through the pool, which retries in the background and tells only of its own time-out.
        parameters = {**connection.get_connection_params(), "connect_timeout": 3}
        try:
            psycopg.connect(**parameters).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(f"DATABASE_URL leads to no usable database: {reason}") from error

    def _supervise(self) -> None:
        children = {name: _spawn(*command) for name, command in _COMMANDS.items()}
        born = dict.fromkeys(children, time.monotonic())
        try:
            self._announce(children["web"])
            while True:
                for name, child in children.items():
                    with suppress(subprocess.TimeoutExpired):
                        code = child.wait(0.25)
                        if time.monotonic() - born[name] < YOUNG:
                            raise CommandError(f"The {name} process ended by itself with code {code}.")
                        self.stderr.write(f"The {name} process ended with code {code}; starting it again.")
                        _end([child])
                        children[name], born[name] = _spawn(*_COMMANDS[name]), time.monotonic()
                if embedded.revive():
                    self.stderr.write("The embedded PostgreSQL had died; it was started again.")
        finally:
            _end(list(children.values()))

    def _announce(self, web: subprocess.Popen[bytes]) -> None:
        address = f"http://127.0.0.1:{settings.PORT}"
        while web.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/", timeout=5).close()  # noqa: S310 - our own loopback address
                self.stdout.write(
                    self.style.SUCCESS(f"{settings.BUSINESS_NAME} is ready at {address} (Ctrl-C stops it)")
                )
                return
            time.sleep(0.1)


def _own_the_terminal() -> None:
    """Become the terminal's foreground process group, as a shell's job is.

    A Ctrl-C then reaches this process and not the `make` above it, which would end with the signal it caught
    instead of with our exit code 0. Without a terminal nothing changes.
    """
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        return
    given = os.getpgrp()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # sent to a background group that asks for the terminal
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # make would not notice that we stopped, and the terminal would hang
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    atexit.register(os.tcsetpgrp, sys.stdin.fileno(), given)


def _stop(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _spawn(*command: str) -> subprocess.Popen[bytes]:
    # A session of its own: a Ctrl-C in the terminal reaches the supervisor alone, which then stops all in order.
    return subprocess.Popen(  # noqa: S603 - a fixed command of our own
        [sys.executable, "-m", *command], cwd=settings.BASE_DIR, start_new_session=True
    )


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.05, deadline - time.monotonic()))
    for child in children:
        with suppress(ProcessLookupError):  # the group, so that no gunicorn worker outlives its arbiter
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
