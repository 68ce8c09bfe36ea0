"""The 24-hour clock: an office cannot afford "8" to mean two things."""

TIME_FORMAT = "H:i"
DATETIME_FORMAT = "D j M Y, H:i"
SHORT_DATETIME_FORMAT = "d/m/Y H:i"
