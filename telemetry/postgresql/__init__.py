"""ENGINE = "telemetry.postgresql": what Django imports is `base`."""
