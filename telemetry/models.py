"""The tables of the watching."""

from telemetry.diagnosis.records import IncidentRecord
from telemetry.rum.models import RumDaily, RumSample

__all__ = ["IncidentRecord", "RumDaily", "RumSample"]
