"""What sent a customer to Stripe, so that what Stripe reports later can be followed back to it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bookings", "0030_plain_words")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="origin",
            field=models.CharField(
                db_default="",
                default="",
                editable=False,
                help_text="What sent the customer to Stripe.",
                max_length=100,
            ),
        ),
    ]
