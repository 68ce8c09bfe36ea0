"""Introduces the business and telemetry to each other, through the public registries of both."""
