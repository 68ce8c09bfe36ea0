"""`make drill` runs every drill on one stage; `make drill NAME=lock` only those named."""

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.drills.faults import DRILLS, Drill
from ops.drills.scene import Scene, staged
from ops.watch import Message

WARM_UP = 95
"""Seconds that Prometheus watches a healthy site first: rules that compare with a minute ago have nothing before."""
WITHIN = 60
"""Seconds from the fault to the notification."""
START = 15
"""Seconds by which the start named may be off."""
RESOLVED = 300
"""Seconds from the end of the fault to the resolved notification: keep_firing_for holds it back on purpose."""


@dataclass
class Result:
    """What a drill showed. `faults`: what was wrong with it, empty when it passed."""

    name: str
    sentence: str
    seconds: float
    faults: list[str]


def main(names: list[str]) -> int:
    """Run the drills, print the table; 1 when one failed."""
    unknown = set(names) - set(DRILLS)
    if unknown:
        print(f"No drill named {', '.join(sorted(unknown))}; there are {', '.join(DRILLS)}.", file=sys.stderr)
        return 2
    results = []
    with tempfile.TemporaryDirectory(prefix="xfd") as directory, staged(Path(directory)) as scene:
        print(f"Warming up for {WARM_UP} s ...", flush=True)
        time.sleep(WARM_UP)
        for name in names or DRILLS:
            result = run(scene, name, DRILLS[name])
            results.append(result)
            print(f"{'ok' if not result.faults else 'FAILED':>7}  {name}: {result.sentence}", flush=True)
            for fault in result.faults:
                print(f"         - {fault}", flush=True)
    print(table(results))
    return int(any(result.faults for result in results))


def run(scene: Scene, name: str, drill: Drill) -> Result:
    """Inject the fault, wait for its notification and its end, and judge them."""
    messages = scene.watch.messages
    before = len(messages)
    faults: list[str] = []
    with drill.fault(scene):
        injected = time.time()
        first = _await(scene, before, drill.alert, resolved=False, seconds=WITHIN) if drill.alert else None
    if drill.alert and first is None:
        faults.append(f"no {drill.alert} within {WITHIN} s; firing: {sorted(scene.watch.firing())}")
    if first is not None:
        faults += [f"the sentence lacks {word!r}" for word in drill.words if word not in first.sentence]
        faults += _start(first, injected)
        if drill.resolves and _await(scene, before, drill.alert, resolved=True, seconds=RESOLVED) is None:
            faults.append(f"not resolved within {RESOLVED} s")
    others = {f"{one.alert}: {one.sentence}" for one in messages[before:] if not _is(one, drill.alert)}
    faults += [f"also notified: {other}" for other in sorted(others)]
    return Result(
        name,
        first.sentence if first else "(no notification)",
        first.received_at - injected if first else 0.0,
        faults,
    )


def _is(message: Message, alert: str) -> bool:
    return bool(alert) and message.alert in alert.split("|")


def _await(scene: Scene, before: int, alert: str, *, resolved: bool, seconds: float) -> Message | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in scene.watch.messages[before:]:
            if _is(message, alert) and message.resolved == resolved:
                return message
        time.sleep(0.2)
    return None


def _start(message: Message, injected: float) -> list[str]:
    found = re.search(r"starting at (\d\d):(\d\d):(\d\d) UTC", message.sentence)
    if not found:
        return ["the sentence names no start"]
    day = datetime.fromtimestamp(injected, UTC)
    hour, minute, second = map(int, found.groups())
    off = (day.replace(hour=hour, minute=minute, second=second) - day) / timedelta(seconds=1)
    off = (off + 43200) % 86400 - 43200
    return [f"the start is {off:+.0f} s off"] if abs(off) > START else []


def table(results: list[Result]) -> str:
    """The results as a table in Markdown."""
    rows = [
        f"| {one.name} | {'passed' if not one.faults else 'FAILED'} | {one.seconds:.0f} s | {one.sentence} |"
        for one in results
    ]
    return "\n".join(["", "| drill | result | notified after | sentence |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
