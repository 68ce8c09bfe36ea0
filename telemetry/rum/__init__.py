"""Real user monitoring: what the beacon of static/rum tells, taken in and turned into metrics, logs, spans and rows."""
