"""Incidents as the database keeps them: for people, and for longer than a host's board."""

from datetime import datetime

from django.db import models


class IncidentRecord(models.Model):
    """An incident as it was last known; one that goes on has no `ended_at`."""

    id = models.CharField(primary_key=True, max_length=32)
    symptom = models.CharField(max_length=100)
    cause = models.CharField(max_length=100)
    component = models.CharField(max_length=300)
    route = models.CharField(max_length=300)
    sentence = models.TextField()
    consequences = models.TextField(help_text="What it caused, a line each.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "incident"
        ordering = ("-started_at",)
        indexes = (models.Index(fields=["started_at"], name="incident_started"),)

    def __str__(self) -> str:
        return self.sentence

    @property
    def lasted(self) -> str:
        """Its length in minutes and seconds; of one that goes on, that it does."""
        if self.ended_at is None:
            return "goes on"
        seconds = round((self.ended_at - self.started_at).total_seconds())
        return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def purge(before: datetime) -> int:
    """Delete the incidents that began before a moment, and return how many."""
    return IncidentRecord.objects.filter(started_at__lt=before).delete()[0]
