"""`manage.py demo`: an invented business to look around in, and a staff user for it."""

import secrets

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.utils import timezone

from bookings import demo


class Command(BaseCommand):
    help = "Load an invented business, once, and make a staff user whose password is shown once."

    password = ""
    """Of the staff user, after a run that made it."""

    def handle(self, *args: object, **options: object) -> None:
        if demo.load(now=timezone.now()):
            self.stdout.write("Loaded a demo business: 10 services, 4 handymen, 5 bookings.")
        if not User.objects.filter(is_staff=True).exists():
            self.password = secrets.token_urlsafe(9)
            User.objects.create_superuser("demo", "demo@example.com", self.password)
            self.stdout.write(f"Staff user: demo, password: {self.password} (shown only now)")
