"""Real user monitoring: what the beacon of static/telemetry sends, made into metrics, logs, spans and rows."""
