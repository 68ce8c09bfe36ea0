"""Where queries, the pool, outgoing calls and work in flight are observed; requests are in `telemetry.middleware`."""
