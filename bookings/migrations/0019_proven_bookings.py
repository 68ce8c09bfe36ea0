"""Whether a booking's e-mail address is proved, and whose client it came from while it is not."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    atomic = False  # for the index that is made while others write
    dependencies = [("bookings", "0018_corrections")]

    operations = [
        migrations.AddField(
            "booking",
            "proven_at",
            models.DateTimeField(
                db_default=Now(),
                default=None,
                editable=False,
                help_text="When its e-mail address was last proved.",
                null=True,
            ),
        ),
        migrations.AddField(
            "booking",
            "client",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="A keyed hash, while it counts.",
                max_length=40,
            ),
        ),
        AddIndexConcurrently(
            "booking",
            models.Index(condition=models.Q(("client", ""), _negated=True), fields=["client"], name="booking_client"),
        ),
    ]
