"""The tables of the watching."""

from telemetry.rum.models import RumDaily, RumSample

__all__ = ["RumDaily", "RumSample"]
