"""Rows that say the catalogue has changed, written by triggers: whoever changes it, by whatever program."""

import django.contrib.postgres.functions
import django.db.models.functions.datetime
from django.db import migrations, models

# A booking writes `given_at` of a handyman, a notification `notified_at`: no page shows those.
_HANDYMAN = "OF slug, name, bio, checked_for, active, start_postcode, end_postcode"
TABLES = {
    "service": "",
    "servicearea": "",
    "review": "",
    "assurance": "",
    "handyman": _HANDYMAN,
    "handyman_skills": "",
    "workinghours": "",
    "portrait": "",
    "holiday": "",
    "postcode": "",
}
_FUNCTION = """
CREATE FUNCTION bookings_catalogue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bookings_cataloguechange DEFAULT VALUES;
    RETURN NULL;
END $$"""


def _trigger(table: str, columns: str) -> migrations.RunSQL:
    made = (
        f"CREATE TRIGGER catalogue_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE {columns} ON bookings_{table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION bookings_catalogue_changed()"
    )
    return migrations.RunSQL(made, f"DROP TRIGGER catalogue_changed ON bookings_{table}")


class Migration(migrations.Migration):
    dependencies = [("bookings", "0032_message_answers")]

    operations = [
        migrations.CreateModel(
            name="CatalogueChange",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(), primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RunSQL(_FUNCTION, "DROP FUNCTION bookings_catalogue_changed()"),
        *(_trigger(table, columns) for table, columns in TABLES.items()),
    ]
