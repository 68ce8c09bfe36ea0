"""An arrival may be planned later than its window opens; every row that is there satisfies that.

Not in one transaction: the table is locked for an instant only, and its rows are looked at while others write.
"""

import django.contrib.postgres.operations
from django.db import migrations, models


def _in_order(**when: models.F) -> models.CheckConstraint:
    return models.CheckConstraint(
        name="booking_times_in_order",
        condition=models.Q(
            **when,
            during__endswith__gte=models.F("ends_at"),
            arrival_until__gte=models.F("starts_at"),
            ends_at__gt=models.F("starts_at"),
        ),
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("bookings", "0011_handyman_sees_own_visits")]

    operations = [
        migrations.RemoveConstraint("booking", "booking_times_in_order"),
        django.contrib.postgres.operations.AddConstraintNotValid(
            "booking",
            _in_order(
                during__startswith__gte=models.F("starts_at"), during__startswith__lte=models.F("arrival_until")
            ),
        ),
        django.contrib.postgres.operations.ValidateConstraint("booking", "booking_times_in_order"),
        migrations.AlterField(
            "booking", "ends_at", models.DateTimeField(help_text="The job is done if it begins as planned.")
        ),
        migrations.AddField(
            "handyman",
            "given_at",
            models.DateTimeField(editable=False, help_text="When a visit was last given to them.", null=True),
        ),
    ]
