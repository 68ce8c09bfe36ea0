"""`manage.py purge_rum`: for a site without a task queue, to be run once a day."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from telemetry.conf import conf
from telemetry.diagnosis import records
from telemetry.rum import store


class Command(BaseCommand):
    help = "Forget page views older than RUM_RETENTION_DAYS, and incidents older than INCIDENT_RETENTION_DAYS."

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = store.purge(timezone.now() - timedelta(days=conf.rum_retention_days))
        old = records.purge(timezone.now() - timedelta(days=conf.incident_retention_days))
        self.stdout.write(f"{deleted} rows of page views and {old} incidents deleted.")
