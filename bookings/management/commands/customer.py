"""`manage.py customer export|erase EMAIL`: what a customer may ask of us (docs/security.md)."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bookings.personal_data import archive, erasure


class Command(BaseCommand):
    help = "Give out, or erase, everything that is kept about a customer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        export = actions.add_parser("export", help="write a zip with JSON and photos")
        export.add_argument("email", help="an e-mail address, or the reference of a booking that has none")
        export.add_argument("--output", type=Path, help="the file to write; by default customer-DATE.zip here")
        erase = actions.add_parser("erase", help="erase permanently; the numbers stay for the books")
        erase.add_argument("email", help="the same")
        erase.add_argument("--cancel", action="store_true", help="cancel the visits that are still ahead")

    def handle(self, *args: object, action: str, email: str, **options: object) -> None:
        try:
            if action == "export":
                self._export(email, options["output"] or Path(f"customer-{timezone.localdate()}.zip"))
            else:
                self._erase(email, cancel=bool(options["cancel"]))
        except ValueError as error:
            raise CommandError(str(error)) from error

    def _export(self, email: str, output: object) -> None:
        path = Path(str(output))
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                count = archive.write(email, file)
        except FileExistsError:
            raise CommandError(f"{path} exists. Name another file with --output.") from None
        except ValueError:
            path.unlink()
            raise
        self.stdout.write(f"{count} record{'s' * (count != 1)} written to {path}.")

    def _erase(self, email: str, *, cancel: bool) -> None:
        try:
            erased = asdict(erasure.erase(email, cancel=cancel))
        except erasure.UpcomingVisits as visits:
            raise CommandError(
                f"Visits are still ahead ({visits}). Make or cancel them first, or add --cancel: "
                "nobody is written to then, so tell the customer."
            ) from None
        found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in erased.items() if count)
        self.stdout.write(f"Erased: {found}." if found else "Nothing is kept under that address.")
        if erased["cancelled"]:
            self.stdout.write("No e-mail was sent about the cancelled visits: tell the customer.")
