"""Last week, for rules that compare with it: written into Prometheus' storage before it starts."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

WEEK = 7 * 24 * 3600
STEP = 15
"""Seconds between two samples."""

LAST_WEEK: Mapping[str, float] = {
    # The same hours of last week: somebody booked every two seconds.
    "job:bookings_created:increase30s": 15,
}
"""Recorded series, by what the rules of `recording.yml` call them, and their value of a week ago."""


def write(storage: Path, now: float, hours: float = 4) -> None:
    """Put LAST_WEEK into the storage directory, from a quarter of an hour before `now` (Unix seconds) on.

    Raises subprocess.CalledProcessError.
    """
    start, end = int(now) - WEEK - 900, int(now) - WEEK + int(hours * 3600)
    lines = []
    for series, value in LAST_WEEK.items():
        lines.append(f"# TYPE {series.partition('{')[0]} gauge")
        lines += [f"{series} {value} {at}" for at in range(start, end, STEP)]
    text = storage.parent / "last-week.om"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(storage)]
    subprocess.run(command, check=True, capture_output=True)
