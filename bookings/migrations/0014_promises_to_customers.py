"""What a customer was promised: their handyman, minutes to mend a mistake, a reminder."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # for the index that is made while others write
    dependencies = [("bookings", "0013_any_country")]

    operations = [
        migrations.AddField(
            "booking",
            "asked_for_handyman",
            models.BooleanField(
                db_default=False, default=False, editable=False, help_text="The customer chose this handyman."
            ),
        ),
        migrations.AddField(
            "booking",
            "grace_until",
            models.DateTimeField(
                editable=False,
                help_text="Until then it may be changed online, however close the visit is.",
                null=True,
            ),
        ),
        migrations.AddField(
            "booking",
            "reminder_at",
            models.DateTimeField(
                editable=False,
                help_text="When a reminder is due. Empty once it is handed over, or without one.",
                null=True,
            ),
        ),
        AddIndexConcurrently(
            "booking",
            models.Index(
                condition=models.Q(("reminder_at__isnull", False)),
                fields=["reminder_at"],
                name="booking_reminder_at",
            ),
        ),
    ]
