"""Visits that staff put outside of working hours, and an index of what is still open."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # for the index that is made while others write
    dependencies = [("bookings", "0019_proven_bookings")]

    operations = [
        migrations.AddField(
            "booking",
            "overtime",
            models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Staff chose a time outside of working hours.",
            ),
        ),
        AddIndexConcurrently(
            "booking",
            models.Index(
                condition=models.Q(("status__in", ("held", "confirmed"))),
                fields=["ends_at"],
                name="booking_open_ends_at",
            ),
        ),
    ]
