"""One drill: wait for calm, inject the fault, wait for its notification and its end, and judge."""

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ops.drills.scene import Scene
from ops.watch import Message

WITHIN = 60
"""Seconds from the fault to the notification."""
START = 15
"""Seconds by which the start named may be off."""
RESOLVED = 300
"""Seconds from the end of the fault to the resolved notification: keep_firing_for holds it back on purpose."""
CALM = 300
"""Seconds within which nothing may be firing any more, so that no drill hears of another one's end."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault, and what must be said of it: the alert (or one of several, parted by |), and words that name cause and
    component. `alert` is "" where nothing may be said at all."""

    fault: Callable[[Scene], AbstractContextManager[None]]
    alert: str
    words: tuple[str, ...]

    @property
    def what(self) -> str:
        """The fault in words."""
        return (self.fault.__doc__ or "").partition("\n")[0]


@dataclass
class Result:
    """What a drill showed. Seconds; None where it did not happen. `faults`: what was wrong, empty when it passed."""

    name: str
    what: str
    sentence: str = "(no notification)"
    after: float | None = None
    start_off: float | None = None
    resolved: float | None = None
    faults: list[str] = field(default_factory=list)


def play(scene: Scene, name: str, drill: Drill) -> Result:
    """Inject the fault and judge what is notified of it."""
    result = Result(name, drill.what)
    if not settle(scene):
        result.faults.append(f"no calm before it; firing: {sorted(scene.watch.firing())}")
    messages = scene.watch.messages
    before = len(messages)
    with drill.fault(scene):
        injected = time.time()
        first = _await(scene, before, drill.alert, resolved=False, seconds=WITHIN) if drill.alert else None
        if drill.alert and first is None:
            result.faults.append(f"no {drill.alert} within {WITHIN} s; firing: {sorted(scene.watch.firing())}")
    ended = time.time()
    if first is not None:
        result.sentence, result.after = first.sentence, first.received_at - injected
        result.faults += [f"the sentence lacks {word!r}" for word in drill.words if word not in first.sentence]
        result.start_off = start_off(first.sentence, injected)
        if result.start_off is None:
            result.faults.append("the sentence names no start")
        elif abs(result.start_off) > START:
            result.faults.append(f"the start is {result.start_off:+.0f} s off")
        if last := _await(scene, before, first.alert, resolved=True, seconds=RESOLVED):
            result.resolved = last.received_at - ended
        else:
            result.faults.append(f"not resolved within {RESOLVED} s")
    settle(scene)  # a symptom that speaks after its cause is one too many
    others = {f"{one.alert}: {one.sentence}" for one in messages[before:] if first is None or one.alert != first.alert}
    result.faults += [f"also notified: {other}" for other in sorted(others)]
    return result


def settle(scene: Scene, seconds: float = CALM) -> bool:
    """Wait until nothing fires or is about to, and whatever was notified is resolved. Whether that came about."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not scene.watch.query("ALERTS") and not _open(scene.watch.messages):
            return True
        time.sleep(1)
    return False


def _open(messages: list[Message]) -> list[str]:
    """The alerts that were notified more often than resolved."""
    count: Counter[str] = Counter()
    for message in messages:
        count[message.alert] += -1 if message.resolved else 1
    return [alert for alert, number in count.items() if number > 0]


def _await(scene: Scene, before: int, alert: str, *, resolved: bool, seconds: float) -> Message | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in scene.watch.messages[before:]:
            if message.alert in alert.split("|") and message.resolved == resolved:
                return message
        time.sleep(0.2)
    return None


def start_off(sentence: str, injected: float) -> float | None:
    """Seconds by which the start a sentence names differs from the injection (Unix seconds); None without one."""
    found = re.search(r"starting at (\d\d):(\d\d):(\d\d) UTC", sentence)
    if not found:
        return None
    day = datetime.fromtimestamp(injected, UTC)
    hour, minute, second = map(int, found.groups())
    off = (day.replace(hour=hour, minute=minute, second=second) - day) / timedelta(seconds=1)
    return (off + 43200) % 86400 - 43200  # around midnight
