"""`manage.py backup [DIRECTORY]`: see docs/backups.md."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from xfhandyman.backups import BackupError, archive


class Command(BaseCommand):
    help = "Write a backup of the database and the media files into DIRECTORY, and delete the old ones there."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", nargs="?", type=Path, default=settings.DATA_DIR / "backups")

    def handle(self, *args: object, directory: Path, **options: object) -> None:
        try:
            made = archive.make(
                settings.DATABASE_SERVER_URL, Path(settings.MEDIA_ROOT), directory, release=settings.RELEASE
            )
            tables = archive.read(made)["tables"].values()
        except BackupError as error:
            raise CommandError(str(error)) from error
        size = sum(path.stat().st_size for path in made.iterdir()) / 1e6
        rows = sum(int(table["rows"]) for table in tables)
        self.stdout.write(f"{made}: {len(tables)} tables, {rows} rows, {size:.1f} MB.")
        for old in archive.forget_old(directory, settings.KEEP_BACKUPS_DAYS):
            self.stdout.write(f"{old} is deleted: older than {settings.KEEP_BACKUPS_DAYS} days.")
