"""The business: catalogue, availability, scheduling, contact, e-mails, admin. Knows no telemetry."""

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"
    verbose_name = "Bookings"

    def ready(self) -> None:
        from bookings.payments import tasks  # noqa: F401 - procrastinate finds bookings.tasks by itself, not these
