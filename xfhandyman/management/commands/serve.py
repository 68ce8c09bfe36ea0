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
from pathlib import Path
from types import FrameType

import psycopg
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection

from telemetry.conf import conf
from xfhandyman import embedded, process_tree
from xfhandyman.management.commands import demo

GRACE = 1.2  # seconds that web and worker get to finish what they hold before they are killed
YOUNG = 5.0
"""Seconds: a process that ends sooner than that has a fault of its own, and starting it again would not help."""
_PYTHON = (sys.executable, "-m")
_WORKER = (*_PYTHON, "manage", "procrastinate", "worker", "--shutdown-graceful-timeout", "1")
_COMMANDS = {"web": (*_PYTHON, "gunicorn"), "worker": _WORKER}


class Command(BaseCommand):
    """Migrate, load the demo business into an empty database, and serve until told to stop."""

    help = __doc__
    _demo: demo.Command | None = None
    requires_system_checks = ()  # gunicorn runs them, and would print each fault a second time

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
        parser.add_argument("--reload", action="store_true", help="take on changes of code, templates and scripts")

    def handle(self, *args: object, no_demo: bool, reload: bool, **options: object) -> None:
        self._commands = _reloading() if reload else _COMMANDS
        _own_the_terminal()
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, _stop)
        self._require_free_port("PORT", settings.PORT)
        if conf.enabled:
            self._require_free_port("METRICS_PORT", conf.metrics_port)
        self._require_database()
        call_command("migrate", interactive=False, verbosity=0)
        if not no_demo and not settings.PRODUCTION:
            self._demo = demo.Command()
            call_command(self._demo, stdout=self.stdout)
        places = self._places()
        connection.close()
        self._supervise(places)

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

    def _places(self) -> str:
        """Where everything is, a line each, for the terminal."""
        site = f"http://127.0.0.1:{settings.PORT}"
        places = [("Site", f"{site}/"), ("Admin", f"{site}/admin/   {self._login()}")]
        if conf.enabled:
            ports = (conf.metrics_port, conf.worker_metrics_port)
            web, worker = (f"http://127.0.0.1:{port}/metrics" for port in ports)
            places.append(("Metrics", f"{web}   (the worker's: {worker})"))
        if directory := settings.EMAIL_FILE_PATH:
            places.append(("E-mails", f"{_short(directory)}/   (as files: EMAIL_URL names no mail server)"))
        return "\n".join(f"  {name:<8} {place}" for name, place in places)

    def _login(self) -> str:
        """Who may log in, and how they get a password when the one from the first start is lost."""
        manage = f"{_short(sys.executable)} manage.py"
        staff = User.objects.filter(is_staff=True, is_active=True).order_by("-is_superuser", "pk").first()
        if staff is None:
            return f"(no staff user yet: {manage} createsuperuser)"
        if self._demo is not None and self._demo.password:
            return f"as {staff.get_username()}, password: {self._demo.password} (shown only now)"
        return f"as {staff.get_username()}   (a new password: {manage} changepassword {staff.get_username()})"

    def _supervise(self, places: str) -> None:
        children = {name: _spawn(*command) for name, command in self._commands.items()}
        born = dict.fromkeys(children, time.monotonic())
        try:
            self._announce(children["web"], places)
            while True:
                for name, child in children.items():
                    with suppress(subprocess.TimeoutExpired):
                        code = child.wait(0.25)
                        if time.monotonic() - born[name] < YOUNG:
                            raise CommandError(f"The {name} process ended by itself with code {code}.")
                        self.stderr.write(f"The {name} process ended with code {code}; starting it again.")
                        _end([child])
                        children[name], born[name] = _spawn(*self._commands[name]), time.monotonic()
                if embedded.revive():
                    self.stderr.write("The embedded PostgreSQL had died; it was started again.")
        finally:
            _end(list(children.values()))

    def _announce(self, web: subprocess.Popen[bytes], places: str) -> None:
        address = f"http://127.0.0.1:{settings.PORT}"
        while web.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/", timeout=5).close()  # noqa: S310 - our own loopback address
                ready = self.style.SUCCESS(f"{settings.BUSINESS_NAME} is ready at {address} (Ctrl-C stops it)")
                self.stdout.write(f"\n{ready}\n{places}\n")
                self.stdout.flush()  # into a pipe, too
                return
            time.sleep(0.1)


def _reloading() -> dict[str, tuple[str, ...]]:
    """Django's development server, which reloads changed Python, and esbuild, which watches the scripts."""
    node = str(Path(sys.executable).with_name("node"))
    web = (*_PYTHON, "manage", "runserver", str(settings.PORT), "--skip-checks")
    return {"web": web, "worker": _WORKER, "scripts": (node, "build.mjs", "--watch")}


def _short(path: str | Path) -> str:
    """The path from here, where it is below here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _own_the_terminal() -> None:
    """Become the terminal's foreground process group, as a shell's job is.

    A Ctrl-C then reaches this process and not the `make` above it, which would end with the signal it caught
    instead of with our exit code 0. Without a terminal nothing changes, nor where this process leads its group: as a
    shell's job, or as what `script` and `docker run -it` start.
    """
    terminal = _terminal()
    given = os.getpgrp()
    if terminal is None or given == os.getpid():
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # sent to a background group that asks for the terminal
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # make would not notice that we stopped, and the terminal would hang
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())

    def give_back() -> None:
        with suppress(OSError):  # the terminal was closed
            os.tcsetpgrp(terminal, given)

    atexit.register(give_back)


def _terminal() -> int | None:
    """The descriptor of the terminal, if it controls this process and its group is in the foreground."""
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (AttributeError, ValueError, OSError):  # closed; not a terminal, or one of another session
        return None


def _stop(signum: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(0)


def _spawn(*command: str) -> subprocess.Popen[bytes]:
    # A session of its own: a Ctrl-C in the terminal reaches the supervisor alone, which then stops all in order.
    return subprocess.Popen(  # noqa: S603 - a fixed command of our own
        command,
        cwd=settings.BASE_DIR,
        start_new_session=True,
        preexec_fn=process_tree.with_parent(),
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
