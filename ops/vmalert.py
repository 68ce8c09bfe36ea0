"""`make vmalert TO=directory`: the alert and recording rules for VictoriaMetrics' vmalert, also for old ones."""

import re
import sys
from pathlib import Path

from ops.watch import OPS

RULES = ("alerts.yml", "recording.yml", "slo.yml")
_KEEPS_FIRING = re.compile(r"^ *keep_firing_for:.*\n", re.MULTILINE)
_CLOCK = re.compile(r'\| toTime\)\.Format "15:04:05"')


def understood(rules: str) -> str:
    """The text of a rule file in what vmalert before 1.92 knows, e.g. Debian 12's 1.79.

    An alert ends as soon as its expression has no result, and a start is said with its date.
    """
    return _CLOCK.sub("| humanizeTimestamp)", _KEEPS_FIRING.sub("", rules))


def write(directory: Path) -> None:
    """Write the rule files into `directory`, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in RULES:
        (directory / name).write_text(understood((OPS / "prometheus" / name).read_text()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make vmalert TO=directory")
    write(Path(sys.argv[1]))
