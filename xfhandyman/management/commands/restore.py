"""`manage.py restore BACKUP`: see docs/backups.md."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from xfhandyman.backups import BackupError, archive


class Command(BaseCommand):
    help = "Put a backup into the empty database of DATABASE_URL and compare every table."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", type=Path)

    def handle(self, *args: object, backup: Path, **options: object) -> None:
        try:
            manifest = archive.restore(backup, settings.DATABASE_SERVER_URL, Path(settings.MEDIA_ROOT))
        except BackupError as error:
            raise CommandError(str(error)) from error
        rows = sum(int(table["rows"]) for table in manifest["tables"].values())
        self.stdout.write(
            f"Restored {len(manifest['tables'])} tables, {rows} rows, as they were at {manifest['made_at']}. "
            "Erase again whoever has asked for it since then (manage.py customer erase EMAIL)."
        )
