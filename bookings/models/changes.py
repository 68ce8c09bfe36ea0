"""That what the public pages show of the business has changed. Triggers write the rows, in the change's transaction."""

from django.contrib.postgres.functions import RandomUUID
from django.db import connections, models, router, transaction
from django.db.models.functions import Now

_VERSION = "SELECT md5(string_agg(id::text, ',' ORDER BY id)) FROM bookings_cataloguechange"


class CatalogueChangeQuerySet(models.QuerySet["CatalogueChange"]):
    def version(self) -> str:
        """What is another text after every committed change, and in the transaction that makes one. One short query.

        Ids are random, so that no version comes again: not after a rollback, a restore or a fail-over.
        """
        with connections[router.db_for_read(self.model)].cursor() as cursor:
            cursor.execute(_VERSION)
            return str(cursor.fetchone()[0])

    def gather(self) -> None:
        """Let one new row stand for all that are there. One that is about to be committed stays."""
        with transaction.atomic():
            seen = list(self.values_list("pk", flat=True))
            if len(seen) > 1:
                self.create()
                self.filter(pk__in=seen).delete()


class CatalogueChange(models.Model):
    """A row for each statement that changed services, areas, people, their hours or what customers read of them.

    Rows are inserted and never updated, so that changes made at once do not wait for each other.
    """

    id = models.UUIDField(primary_key=True, db_default=RandomUUID())
    at = models.DateTimeField(db_default=Now())

    objects = CatalogueChangeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Change at {self.at:%d %b %Y %H:%M}"
