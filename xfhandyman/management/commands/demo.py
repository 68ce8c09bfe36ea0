"""`manage.py demo`: an invented business to look around in, with the month before, and a staff user for it."""

import secrets
from argparse import ArgumentParser

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from bookings import demo, demo_history
from xfhandyman.operations import demo as watched


class Command(BaseCommand):
    help = "Load an invented business with a month behind it, once, and make a staff user whose password is shown once."

    password = ""
    """Of the staff user, after a run that made it."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--empty", action="store_true", help="without the month before: it opens today")

    @transaction.atomic
    def handle(self, *args: object, empty: bool, **options: object) -> None:
        now = timezone.now()
        if demo.load(now=now):
            self.stdout.write("Loaded a demo business: 10 services, 4 handymen, 5 bookings.")
            if not empty:
                visits, messages = demo_history.load(now=now)
                watched.load(now=now)
                self.stdout.write(f"And the month before it: {visits} visits, {messages} messages, vitals, incidents.")
        if not User.objects.filter(is_staff=True).exists():
            self.password = secrets.token_urlsafe(9)
            User.objects.create_superuser("demo", "demo@example.com", self.password)
            self.stdout.write(f"Staff user: demo, password: {self.password} (shown only now)")
