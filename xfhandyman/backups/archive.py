"""One backup is a directory: `database.dump`, `media.tar` and `manifest.json`, for its owner's eyes alone."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import BackupError, server

FORMAT = 1
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python has it since 3.11.4; Debian 12 brings 3.11.2."""
_NAME = "%Y%m%dT%H%M%SZ"
_A_BACKUP = re.compile(r"(\d{8}T\d{6}Z)(\.partial)?")


def make(url: str, media: Path, into: Path, *, release: str = "", now: datetime | None = None) -> Path:
    """Write a backup of the database at `url` and of the files in `media`; returns its directory.

    Dump and manifest see the same moment (one snapshot), while the site goes on. What was interrupted is left as
    `….partial` and is no backup. Raises BackupError.
    """
    now = now or datetime.now(UTC)
    target = into / now.strftime(_NAME)
    partial = target.with_name(f"{target.name}.partial")
    if target.exists():
        raise BackupError(f"{target} exists already.")
    shutil.rmtree(partial, ignore_errors=True)
    into.mkdir(parents=True, exist_ok=True)
    partial.mkdir(mode=0o700)
    with server.connect(url) as connection:
        pg_dump = server.tool("pg_dump", server.major(connection))
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        flags = ["--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data", "--no-password"]
        flags += [f"--snapshot={row[0] if row else ''}", f"--file={partial / 'database.dump'}"]
        _run([str(pg_dump), *flags], url)
        manifest = {
            "format": FORMAT,
            "made_at": now.isoformat(),
            "release": release,
            "postgresql": server.major(connection),
            "tables": server.contents(connection),
        }
    with tarfile.open(partial / "media.tar", "w") as tar:
        if media.is_dir():
            tar.add(media, arcname=".")
    manifest["files"] = {name: _checksum(partial / name) for name in ("database.dump", "media.tar")}
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=1))
    for path in partial.iterdir():
        path.chmod(0o600)
        _settle(path)
    partial.rename(target)
    _settle(into)
    return target


def restore(backup: Path, url: str, media: Path) -> dict[str, Any]:
    """Put a backup into an empty database and an empty directory, compare, and return its manifest.

    Nothing is ever overwritten. Raises BackupError when a checksum is wrong, the database or the directory is not
    empty, the versions do not fit, or what arrived is not what was saved.
    """
    manifest = read(backup)
    with server.connect(url) as connection:
        taken = server.tables(connection)
        version = server.major(connection)
    if taken:
        raise BackupError(
            f"The database has {len(taken)} tables already, and a restore never overwrites. Make an empty one and name "
            "it in DATABASE_URL; for an embedded one set EMBEDDED_DATA to a directory that does not exist yet."
        )
    if media.is_dir() and any(media.iterdir()):
        raise BackupError(f"{media} is not empty, and a restore never overwrites. Move it away first.")
    if version < manifest["postgresql"]:
        raise BackupError(f"The backup is of PostgreSQL {manifest['postgresql']}; this server is {version}, too old.")
    pg_restore = server.tool("pg_restore", version)
    database = server.environment(url).get("PGDATABASE", "")
    flags = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", "--no-password"]
    _run([str(pg_restore), *flags, f"--dbname={database}", str(backup / "database.dump")], url)
    media.mkdir(parents=True, exist_ok=True)
    with tarfile.open(backup / "media.tar") as tar:
        tar.extractall(media, _own_files(tar, media), **_FILTER)  # noqa: S202 - see _own_files
    with server.connect(url) as connection:
        arrived = server.contents(connection)
    expected = manifest["tables"]
    if wrong := sorted(name for name in expected | arrived if expected.get(name) != arrived.get(name)):
        raise BackupError(f"Restored data differs from the backup in: {', '.join(wrong)}.")
    return manifest


def _own_files(tar: tarfile.TarFile, media: Path) -> list[tarfile.TarInfo]:
    """What a backup holds: files and directories below `media`. Raises BackupError where there is anything else."""
    members = tar.getmembers()
    for member in members:
        is_below = (media / member.name).resolve().is_relative_to(media.resolve())
        if not is_below or not (member.isreg() or member.isdir()):
            raise BackupError(f"media.tar holds {member.name!r}, which no backup does.")
    return members


def read(backup: Path) -> dict[str, Any]:
    """The manifest, once every file is there and has its checksum. Raises BackupError otherwise."""
    try:
        manifest: dict[str, Any] = json.loads((backup / "manifest.json").read_text())
    except (OSError, ValueError):
        raise BackupError(f"{backup} is no backup: manifest.json is missing or cannot be read.") from None
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{backup} is of format {manifest.get('format')}; this release reads {FORMAT}.")
    for name, checksum in manifest["files"].items():
        path = backup / name
        if not path.is_file() or _checksum(path) != checksum:
            raise BackupError(f"{path} is missing or damaged: its checksum is wrong.")
    return manifest


def forget_old(directory: Path, days: int, now: datetime | None = None) -> list[Path]:
    """Delete the backups that are older, and what interruptions left; returns them."""
    oldest = ((now or datetime.now(UTC)) - timedelta(days=days)).strftime(_NAME)
    old = [path for path in sorted(directory.iterdir()) if _A_BACKUP.match(path.name) and path.name < oldest]
    for path in old:
        shutil.rmtree(path)
    return old


def history(directory: Path) -> tuple[list[datetime], list[datetime]]:
    """When the backups in a directory were made, and when those were begun that were not finished; each in order."""
    made, interrupted = list[datetime](), list[datetime]()
    for name in sorted(path.name for path in directory.glob("*")):
        if found := _A_BACKUP.fullmatch(name):
            (interrupted if found[2] else made).append(datetime.strptime(found[1], _NAME).replace(tzinfo=UTC))
    return made, interrupted


def _run(command: list[str], url: str) -> None:
    done = subprocess.run(command, env=server.environment(url), capture_output=True, text=True, check=False)  # noqa: S603  # our own list
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BackupError(f"{Path(command[0]).name} failed: {reason}")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settle(path: Path) -> None:
    """Wait until it is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
