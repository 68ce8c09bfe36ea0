"""What visitors' browsers report, compared with what they usually do; counted by clients. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from telemetry.diagnosis.model import Cause, Look, Symptom
from telemetry.diagnosis.signals import Finding

WITHIN = 300.0
"""Seconds of reports that are judged together."""
FAILED, SHARE, TIMES = 3, 0.05, 3.0
"""Clients in whose browsers scripts fail, their share, and times the usual share, from which that is wrong."""
ENOUGH = 8
"""Clients whose median is believed, and TRUSTED those after which the usual is."""
TRUSTED, MOST = 30, 1000
WORSE, SPREADS = 1.5, 3.0
"""Times the usual, and of the usual spread, that a median may be."""
LEAST = {"LCP": 0.5, "FCP": 0.5, "TTFB": 0.3, "INP": 0.1, "CLS": 0.05}
"""What a vital must have grown by to be noticed (s; CLS bare)."""
QUIET = 120.0
"""Seconds without another failing client after which scripts work again."""


@dataclass(slots=True)
class _Usual:
    number: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    def learn(self, value: float) -> None:
        self.number = min(self.number + 1, MOST)
        self.mean += (value - self.mean) / self.number
        self.spread += (abs(value - self.mean) - self.spread) / self.number


class Browsers:
    """What is usual for each page: the share of clients with errors, and each vital."""

    def __init__(self) -> None:
        self._usual: dict[tuple[str, str], _Usual] = {}

    def learn(self, look: Look) -> None:
        """Take in a look that is old enough not to be an incident's beginning."""
        for route, page in look.browsers.items():
            for _ in range(page.clients):
                self._of(route, "failed").learn(0.0)
            for _ in range(page.failed):
                self._of(route, "failed").learn(1.0)
            for vital, values in page.vitals.items():
                for value in values:
                    self._of(route, vital).learn(value)

    def _of(self, route: str, what: str) -> _Usual:
        if (route, what) not in self._usual and len(self._usual) >= MOST:
            return _Usual()
        return self._usual.setdefault((route, what), _Usual())

    def findings(self, at: float, looks: Sequence[Look]) -> list[Finding]:
        """Pages on which scripts fail, and pages that became slow or jumpy."""
        recent = [look for look in looks if look.browsers and look.at > at - WITHIN]
        found = []
        for route in {route for look in recent for route in look.browsers}:
            of_page = [(look.at, look.browsers[route]) for look in recent if route in look.browsers]
            failing = _latest([(moment, page.failed) for moment, page in of_page if page.failed])
            number = sum(failed for _, failed in failing)
            if number >= FAILED and failing[-1][0] > at - QUIET:
                share = number / max(sum(page.clients for _, page in of_page), number)
                usual = self._usual.get((route, "failed"), _Usual())
                if share >= max(SHARE, TIMES * usual.mean):
                    symptom = Symptom("browser_errors", route, share, usual.mean, affected=number)
                    found.append(Finding(symptom, Cause("script", route, "state", route, 1.0), failing[0][0]))
            found += self._worse(route, of_page)
        return found

    def _worse(self, route: str, of_page: Sequence[tuple[float, Any]]) -> list[Finding]:
        """The vital of a page that grew most; a late first byte is the server's, the rest the page's own."""
        grown: dict[str, Finding] = {}
        for vital, least in LEAST.items():
            usual = self._usual.get((route, vital), _Usual())
            values = [(at, value) for at, page in of_page for value in page.vitals.get(vital, ())]
            allowed = max(WORSE * usual.mean, usual.mean + least, usual.mean + SPREADS * usual.spread)
            median = sorted(value for _, value in values)[len(values) // 2] if values else 0.0
            if len(values) < ENOUGH or usual.number < TRUSTED or median <= allowed:
                continue
            began = next(at for at, value in values if value > allowed)
            detail = "a slow first byte" if "TTFB" in grown or vital == "TTFB" else "what the page loads and runs"
            symptom = Symptom("vitals", route, median, usual.mean, affected=len(values), says=vital)
            cause = Cause("browser", route, "state", route, median / max(usual.mean, 0.01), detail=detail)
            grown[vital] = Finding(symptom, cause, began)
        first = grown.get("TTFB") or max(grown.values(), key=lambda finding: finding.cause.weight, default=None)
        return [first] if first is not None else []

    def to_json(self) -> list[Any]:
        return [[*key, asdict(usual)] for key, usual in self._usual.items()]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Browsers":
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError when it is of another shape."""
        browsers = cls()
        browsers._usual = {(route, what): _Usual(**usual) for route, what, usual in values}
        return browsers


def _latest(failing: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Those since scripts last worked again: what is over is not counted again."""
    since = next((later for (one, _), (later, _) in reversed([*pairwise(failing)]) if later - one > QUIET), 0.0)
    return [each for each in failing if each[0] >= since]
