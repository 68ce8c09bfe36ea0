"""What is left of a rate limit."""

from django.db import models


class Allowance(models.Model):
    """How far a client, or everybody, has used up one limit. Written by limits.py alone.

    The table is UNLOGGED: no write waits for a disk, and a crash of PostgreSQL forgets it, as it may.
    """

    key = models.CharField(max_length=60, primary_key=True)
    whole_at = models.DateTimeField(help_text="When all of it is there again; from then on the row says nothing.")

    def __str__(self) -> str:
        return self.key
