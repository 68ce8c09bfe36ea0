"""The tables of the watching."""

from telemetry.diagnosis.records import IncidentRecord
from telemetry.rum.models import RumCause, RumDaily, RumSample

__all__ = ["IncidentRecord", "RumCause", "RumDaily", "RumSample"]
