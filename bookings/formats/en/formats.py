"""The same clock where the month comes first."""

TIME_FORMAT = "H:i"
DATETIME_FORMAT = "D, M j Y, H:i"
SHORT_DATETIME_FORMAT = "m/d/Y H:i"
