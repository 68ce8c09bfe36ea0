"""The business: catalogue, availability, scheduling, contact, e-mails, admin. Knows no telemetry."""

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"
    verbose_name = "Bookings"
