"""The business: catalogue, availability, scheduling, contact, e-mails, admin. Its events are for whoever listens."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class BookingsConfig(AppConfig):
    name = "bookings"
    verbose_name = "Bookings"

    def ready(self) -> None:
        from bookings import checks  # noqa: F401 - its check registers itself
        from bookings.groups import create_groups, remember_permissions

        pre_migrate.connect(remember_permissions, sender=self, dispatch_uid="bookings.groups")
        post_migrate.connect(create_groups, sender=self, dispatch_uid="bookings.groups")
        from bookings.messaging.notifications import create_office_contact

        post_migrate.connect(create_office_contact, sender=self, dispatch_uid="bookings.notifications")
        # procrastinate finds bookings.tasks by itself, not these
        from bookings.payments import tasks  # noqa: F401
        from bookings.scheduling import waitlist_tasks  # noqa: F401
