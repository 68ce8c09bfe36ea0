"""A backup is worth what its restore gives back."""

import hashlib
import json
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from harness.stack import manage
from tests.conftest import copied_database
from xfhandyman.backups import BackupError, archive, server

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    directory = tmp_path / "media"
    (directory / "photos").mkdir(parents=True)
    (directory / "photos" / "door.jpg").write_bytes(os.urandom(5000))
    return directory


@pytest.fixture
def empty() -> Iterator[str]:
    with copied_database("template0") as url:
        yield url


@pytest.fixture(scope="module")
def sound(demo_template: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup, to be copied and spoilt."""
    directory = tmp_path_factory.mktemp("sound")
    with copied_database(demo_template) as url:
        return archive.make(url, directory / "media", directory / "backups")


def counted(url: str) -> dict[str, tuple[int, str]]:
    """Rows and their text in order, of every table: another way than the backup's own."""
    with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
        names = [f'"{schema}"."{name}"' for schema, name in server.tables(connection)]
        found = {}
        for name in names:
            rows = [row[0] for row in connection.execute(f"SELECT t::text FROM {name} t ORDER BY 1")]
            found[name] = (len(rows), "\n".join(rows))
        sequences = connection.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1").fetchall()
        # By name: PostgreSQL writes a condition in other words once it has read it back.
        rules = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint ORDER BY 1, 2"
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return found | {"sequences": (0, str(sequences)), "rules": (0, str(rules)), "indexes": (0, str(indexes))}


def test_it_gives_back_every_row_rule_and_file(demo_database: str, empty: str, media: Path, tmp_path: Path) -> None:
    with psycopg.connect(demo_database) as connection:
        connection.execute("INSERT INTO bookings_allowance VALUES ('contact:everybody', now())")
        photo = "INSERT INTO bookings_messagephoto (message_id, jpeg) SELECT id, '\\x00ff' FROM bookings_contactmessage"
        connection.execute(photo)
    before = counted(demo_database)
    made = archive.make(demo_database, media, tmp_path / "backups", release="r1", now=NOW)
    assert made.name == "20261123T120000Z"
    for path in (made, *made.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} is for its owner's eyes"
    manifest = archive.restore(made, empty, tmp_path / "restored")
    assert counted(empty) == before
    assert int(manifest["tables"]["public.bookings_booking"]["rows"]) == before['"public"."bookings_booking"'][0] > 0
    door = Path("photos/door.jpg")
    assert (tmp_path / "restored" / door).read_bytes() == (media / door).read_bytes()
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM bookings_allowance").fetchone() == (0,), "no hash of an address"
        connection.execute("INSERT INTO bookings_holiday (date, name) VALUES ('2099-01-01', 'The sequences go on')")
        connection.execute(
            "CREATE TEMP TABLE twin AS SELECT * FROM bookings_booking WHERE status = 'confirmed' LIMIT 1"
        )
        connection.execute("UPDATE twin SET id = 999999, reference = 'TWIN', idempotency_key = 'twin'")
        with pytest.raises(psycopg.errors.ExclusionViolation, match="booking_no_overlap"):
            connection.execute("INSERT INTO bookings_booking SELECT * FROM twin")


def test_it_restores_a_site_that_works(demo_database: str, empty: str, tmp_path: Path) -> None:
    """By the commands that operators use."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"}
    told = manage("backup", str(tmp_path), env={**environment, "DATABASE_URL": demo_database})
    (made,) = tmp_path.iterdir()
    assert f"{made}: " in told
    told = manage("restore", str(made), env={**environment, "DATABASE_URL": empty})
    assert "Erase again whoever has asked" in told
    assert "No migrations to apply" in manage("migrate", env={**environment, "DATABASE_URL": empty})


def test_it_holds_one_moment_while_the_site_goes_on(demo_database: str, empty: str, tmp_path: Path) -> None:
    stop = threading.Event()

    def book() -> None:
        with psycopg.connect(demo_database, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(
                    "INSERT INTO bookings_sentemail (key, sent_at) VALUES (gen_random_uuid()::text, now())"
                )

    writer = threading.Thread(target=book)
    writer.start()
    try:
        made = archive.make(demo_database, tmp_path / "none", tmp_path / "backups")
    finally:
        stop.set()
        writer.join()
    archive.restore(made, empty, tmp_path / "media")  # compares dump and manifest


def test_it_overwrites_nothing(demo_database: str, empty: str, media: Path, tmp_path: Path) -> None:
    made = archive.make(demo_database, media, tmp_path / "backups", now=NOW)
    before = counted(demo_database)
    with pytest.raises(BackupError, match=r"has \d+ tables already"):
        archive.restore(made, demo_database, tmp_path / "restored")
    with pytest.raises(BackupError, match="not empty"):
        archive.restore(made, empty, media)
    with pytest.raises(BackupError, match="exists already"):
        archive.make(demo_database, media, tmp_path / "backups", now=NOW)
    assert counted(demo_database) == before


def _spoil(name: str) -> Callable[[Path], None]:
    def spoil(backup: Path) -> None:
        path = backup / name
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoil("database.dump"), "damaged"),
        (_spoil("media.tar"), "damaged"),
        (lambda backup: (backup / "media.tar").unlink(), "missing"),
        (lambda backup: (backup / "manifest.json").write_text("{"), "no backup"),
        (lambda backup: (backup / "manifest.json").write_text('{"format": 99}'), "format 99"),
    ],
)
def test_it_restores_nothing_that_is_damaged(
    sound: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    made = shutil.copytree(sound, tmp_path / "made")
    assert archive.read(made)
    spoil(made)
    with pytest.raises(BackupError, match=said):  # before the database is even looked for
        archive.restore(made, "postgresql://nobody@127.0.0.1:9/none", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_it_says_which_tables_did_not_arrive_whole(sound: Path, empty: str, tmp_path: Path) -> None:
    made = shutil.copytree(sound, tmp_path / "made")
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["tables"]["public.bookings_service"]["rows"] = "9999"
    (made / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match=r"differs .* in: public.bookings_service\.$"):
        archive.restore(made, empty, tmp_path / "restored")


def test_it_refuses_tools_of_another_version() -> None:
    assert server.tool("pg_dump", 18).name == "pg_dump"
    with pytest.raises(BackupError, match=r"PostgreSQL 7 and needs a pg_dump of version 7\. Found: .*18\.\d+"):
        server.tool("pg_dump", 7)


def test_it_leaves_no_backup_behind_when_the_database_is_away(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="does not answer"):
        archive.make("postgresql://nobody@127.0.0.1:9/none", tmp_path / "media", tmp_path / "backups", now=NOW)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["20261123T120000Z.partial"]
    with pytest.raises(BackupError, match="no backup"):
        archive.read(tmp_path / "backups" / "20261123T120000Z.partial")


def test_it_forgets_old_backups_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "20261001T120000Z",
        "20261002T120000Z.partial",
        "20261123T120000Z",
        "holiday photos",
        "20261122T120000Z",
    ):
        (tmp_path / name).mkdir()
    gone = archive.forget_old(tmp_path, 30, NOW + timedelta(days=1))
    assert [path.name for path in gone] == ["20261001T120000Z", "20261002T120000Z.partial"]
    assert {path.name for path in tmp_path.iterdir()} == {"20261123T120000Z", "20261122T120000Z", "holiday photos"}


def test_it_keeps_the_password_off_the_command_line() -> None:
    told = server.environment("postgresql://robin:hammer%40nail@db.example:6543/shop?sslmode=require")
    assert {name: told[name] for name in told if name.startswith("PG")} == {
        "PGCONNECT_TIMEOUT": "5",
        "PGHOST": "db.example",
        "PGPORT": "6543",
        "PGUSER": "robin",
        "PGPASSWORD": "hammer@nail",
        "PGDATABASE": "shop",
        "PGSSLMODE": "require",
    }


@pytest.mark.parametrize("name", ["../outside.jpg", "/tmp/outside.jpg", "link.jpg"])
def test_it_unpacks_nothing_beside_the_media(sound: Path, empty: str, tmp_path: Path, name: str) -> None:
    backup = shutil.copytree(sound, tmp_path / "backup")
    with tarfile.open(backup / "media.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link.jpg":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"]["media.tar"] = hashlib.sha256((backup / "media.tar").read_bytes()).hexdigest()
    (backup / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="holds"):
        archive.restore(backup, empty, tmp_path / "media")
    assert not any((tmp_path / "media").iterdir())
