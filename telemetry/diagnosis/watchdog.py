"""Tells a saturated pool from a database that is down, and writes one event when it begins and one when it is over."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from prometheus_client import Gauge

from telemetry import errors
from telemetry.diagnosis import incidents, locks
from telemetry.diagnosis.incidents import Incident, Kind
from telemetry.diagnosis.pool_exhaustion import Blame, blame, clock
from telemetry.metrics import catalogue
from telemetry.observe.probe import Reachability, database
from telemetry.observe.queries import label_of
from telemetry.observe.snapshot import LONG, Snapshot

QUIET = 3
"""Looks without pressure before an incident counts as over."""
EVERY = 5.0
"""Seconds after which the database is asked without any sign of trouble."""
PATIENCE = 2.0
"""Seconds the watchdog waits for the database; longer than health does, so that a busy machine is not called down."""

log = structlog.get_logger(__name__)

_REASONS = {
    "refused": "it refuses connections",
    "timeout": "it does not answer",
    "full": "it takes no more connections",
}


class Watchdog:
    """Looks at one snapshot after another (about a second apart), in one thread."""

    def __init__(
        self,
        board: incidents.Board | None = None,
        probe: Callable[[], Reachability] = lambda: database.check(PATIENCE),
    ) -> None:
        self._board = board or incidents.board()
        self._probe = probe
        self._joined: dict[Kind, Incident] = {}
        self._pressed = 0
        self._silent = 0
        self._quiet: dict[Kind, int] = {"pool_exhausted": 0, "database_down": 0}
        self._troubled_since: float | None = None
        self._last_trouble = self._probed_at = 0.0

    def look(self, pool: Snapshot) -> None:
        """Take in a snapshot; report what begins or ends with it."""
        for incident in self._board.bury():
            _over(incident, pool.at)
        pressed = saturated(pool)
        trouble = pressed or pool.timeouts > 0 or pool.lost > 0
        self._pressed = self._pressed + 1 if pressed else 0
        if trouble:
            self._troubled_since = self._troubled_since or pool.troubled_since
        elif "database_down" not in self._joined:
            self._troubled_since = None
        reachable = None
        # Health may have found it gone before any customer did; and a quiet site has nobody to notice.
        known_bad = database.last is not None and not database.last.ok
        if trouble or known_bad or "database_down" in self._joined or pool.at - self._probed_at >= EVERY:
            reachable, self._probed_at = self._probe(), pool.at
        if self._watch_database(pool, reachable):
            return
        self._watch_pool(pool, pressed)

    def _watch_database(self, pool: Snapshot, reachable: Reachability | None) -> bool:
        """Whether the database is down, so that nothing is said about the pool."""
        down = reachable is not None and not reachable.ok
        # A silence may be a busy machine: it takes two in a row. A refusal is a refusal.
        self._silent = self._silent + 1 if down else 0
        if down and reachable is not None and (reachable.reason != "timeout" or self._silent >= 2):
            self._quiet["database_down"] = 0
            self._last_trouble = pool.at
            if "database_down" not in self._joined:
                started = self._troubled_since or pool.at
                sentence = f"The database is down: {_REASONS[reachable.reason]}, since {clock(started, pool.at)}."
                incident = Incident("database_down", reachable.reason, sentence, started, pool.at)
                self._open(incident, "database_down")
        elif "database_down" in self._joined and not down and not pool.lost and not pool.timeouts:
            self._close("database_down", pool.at)
        return down or "database_down" in self._joined

    def _watch_pool(self, pool: Snapshot, pressed: bool) -> None:
        if "pool_exhausted" in self._joined:
            if pressed or _stuck(pool):
                self._quiet["pool_exhausted"], self._last_trouble = 0, pool.at
                return
            self._quiet["pool_exhausted"] += 1
            if self._quiet["pool_exhausted"] >= QUIET:
                self._close("pool_exhausted", self._last_trouble)
        elif pressed and (pool.timeouts or (self._pressed >= 2 and pool.oldest_wait >= LONG) or self._pressed >= 3):
            self._quiet["pool_exhausted"], self._last_trouble = 0, pool.at
            self._exhausted(pool, blame(pool, self._troubled_since))

    def _exhausted(self, pool: Snapshot, why: Blame) -> None:
        sentence = why.sentence
        if why.cause == "slow_query":
            sentence += locks.explain(why.backend_pids, pool.held, pool.at, query=why.query)
        self._open(
            Incident("pool_exhausted", why.cause, sentence, why.started_at, pool.at, why.query, why.route),
            "db_pool_exhausted",
            in_use=pool.in_use,
            max_size=pool.max_size,
            waiting=pool.waiting,
            timeouts=pool.timeouts,
            holders=why.holders,
            oldest_seconds=round(why.oldest, 1),
            request_ids=list(why.request_ids),
        )

    def _open(self, incident: Incident, event: str, **details: object) -> None:
        shared, first = self._board.join(incident)
        self._joined[incident.kind] = shared
        _gauge(shared).set(shared.started_at)
        if not first:
            return
        # Sentry hears of it as an incident, grouped by culprit; the line itself is not for it.
        log.error(
            event,
            message=incident.sentence,
            cause=incident.cause,
            query=incident.query,
            route=incident.route,
            started_at=_iso(incident.started_at),
            sentry=False,
            **details,
        )
        errors.incident(incident.sentence, kind=event, culprit=incident.query or incident.route or incident.cause)

    def _close(self, kind: Kind, ended_at: float) -> None:
        incident = self._joined.pop(kind)
        _gauge(incident).set(0)
        if self._board.leave(kind):
            _over(incident, ended_at)


def _over(incident: Incident, ended_at: float) -> None:
    log.warning(
        "db_pool_recovered" if incident.kind == "pool_exhausted" else "database_recovered",
        duration_seconds=round(max(ended_at - incident.started_at, 0.0), 1),
        cause=incident.cause,
        query=incident.query,
        route=incident.route,
        started_at=_iso(incident.started_at),
    )


def saturated(pool: Snapshot) -> bool:
    """Every connection in use, and somebody gave up, waits long, or most of the finished checkouts had to queue."""
    if not pool.max_size:
        return False
    if pool.queued >= 5 and pool.queued * 2 >= pool.returned:
        return True  # a queue there was, whatever this one instant shows
    return pool.in_use >= pool.max_size and (pool.timeouts > 0 or pool.oldest_wait >= LONG)


def _stuck(pool: Snapshot) -> bool:
    """Nobody may be asking just now, but the next one would wait."""
    return len(pool.held) >= pool.max_size and all(holder.held >= LONG for holder in pool.held)


def _gauge(incident: Incident) -> Gauge:
    return catalogue.db_incident_started.labels(
        incident.kind, incident.cause, label_of(incident.query) if incident.query else "", incident.route
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
