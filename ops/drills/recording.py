"""Recordings: every look that the processes of a running site took, and what was done to it meanwhile.

A file has one site's session as JSON lines, compressed: judgements (`at`, `looks`, `killed`, `states`) and truths.
"""

import json
import lzma
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from telemetry.diagnosis.board import Board
from telemetry.diagnosis.engine import Diagnosis
from telemetry.diagnosis.model import Incident, Look

_BLANK = Look(0.0, 0.0, 0).to_json()
"""What a look has where nothing was seen; not written, so that old recordings are read when looks can say more."""
DIGITS = 4
"""Of figures after the point: a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What was done, and what may be said of it. `start` and `end` are Unix seconds."""

    play: str
    group: str
    symptoms: tuple[str, ...]
    kinds: tuple[str, ...]
    """Kinds of cause that name it; `error` stands for `error:` and whatever failed."""
    component: str
    """A regular expression."""
    start: float = 0.0
    end: float = 0.0

    def caused(self, incident: Incident) -> bool:
        """Whether the incident's cause and component are right."""
        kind = incident.cause.kind.partition(":")[0]
        return kind in self.kinds and self.names(f"{incident.cause.component} {incident.cause.route}")

    def names(self, component: str) -> bool:
        """Whether this is the component, or the component and the route."""
        return re.search(self.component, component) is not None

    def matches(self, incident: Incident) -> bool:
        """Whether symptom, cause and component are right."""
        return incident.symptom.name in self.symptoms and self.caused(incident)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the leader had before it at one time."""

    at: float
    looks: list[Look]
    killed: list[Look]
    """What processes saw last that ended without being asked to."""
    states: dict[int, str]


class Recorder(threading.Thread):
    """Leads the host's board from before the site starts, so that all that is judged is recorded as it was."""

    def __init__(self, board: Path, file: Path) -> None:
        super().__init__(name="recorder", daemon=True)
        self._board, self._file = Board(board), file
        self._lines: list[str] = []
        self._over = threading.Event()
        self._states: dict[int, str] = {}
        self.diagnosis = Diagnosis()
        self.incidents: list[Incident] = []
        """Every incident that opened."""
        if not self._board.lead():
            raise RuntimeError("somebody else leads this board")

    def run(self) -> None:
        due = time.time()
        while not self._over.wait(max(due - time.time(), 0.0)):
            self._step(time.time())
            due = max(due + 1.0, time.time())

    def _step(self, at: float) -> None:
        looks, killed = self._board.collect()
        states = self._board.states()
        row: dict[str, Any] = {"at": at, "looks": [_seen(look) for look in looks]}
        if killed:
            row["killed"] = [look.pid for look in killed]
        if states != self._states:
            row["states"] = self._states = states
        self._lines.append(json.dumps(_rounded(row), separators=(",", ":")))
        for look in killed:
            self.diagnosis.exited(at, look)
        for event in self.diagnosis.judge(at, looks, states):
            state = self.diagnosis.state
            self._board.show(sorted([*state.closed, *state.open], key=lambda incident: incident.started_at))
            if event.kind == "opened":
                self.incidents.append(event.incident)

    def note(self, truth: Truth) -> None:
        """Write down what was done, once it is over, and keep what there is so far."""
        self._lines.append(json.dumps({"truth": asdict(truth)}))
        self.keep()

    def keep(self) -> None:
        """Write the file."""
        fresh = self._file.with_suffix(".new")
        with lzma.open(fresh, "wt", preset=9) as file:
            file.write("\n".join(list(self._lines)))
        fresh.rename(self._file)

    def stop(self) -> None:
        self._over.set()
        self.join(5)
        self.keep()


def read(file: Path) -> tuple[list[Judgement], list[Truth]]:
    """Return a session's judgements and truths, in order. Raises OSError, ValueError, KeyError or TypeError."""
    judgements: list[Judgement] = []
    truths = []
    states: dict[int, str] = {}
    last: dict[int, Look] = {}
    with lzma.open(file, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if "truth" in row:
                values = row["truth"]
                truths.append(Truth(**values | {key: tuple(values[key]) for key in ("symptoms", "kinds")}))
                continue
            if "states" in row:
                states = {int(pid): state for pid, state in row["states"].items()}
            looks = [Look.from_json(_BLANK | look) for look in row["looks"]]
            last |= {look.pid: look for look in looks}
            judgements.append(Judgement(row["at"], looks, [last[pid] for pid in row.get("killed", [])], states))
    return judgements, truths


def replay(judgements: Iterable[Judgement]) -> Iterator[Incident]:
    """Judge a session again; return each incident as it opens."""
    diagnosis = Diagnosis()
    for each in judgements:
        for look in each.killed:
            diagnosis.exited(each.at, look)
        for event in diagnosis.judge(each.at, each.looks, each.states):
            if event.kind == "opened":
                yield event.incident


def _seen(look: Look) -> dict[str, Any]:
    return {name: value for name, value in look.to_json().items() if value != _BLANK[name]}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
