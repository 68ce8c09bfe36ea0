"""The site as its visitors, its tasks and its diagnosis see it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from django.db.models import Count, Min, Q, Sum
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob

from telemetry import health
from telemetry.diagnosis import incidents
from telemetry.diagnosis.runbook import runbook
from telemetry.models import RumDaily, RumSample
from telemetry.rum.models import GROWTH, ZERO

DAYS = 7
LATE = timedelta(minutes=10)
"""A task that was due so long ago is stuck, or nobody runs the worker."""

# Good up to the first, poor beyond the second (web.dev/articles/defining-core-web-vitals-thresholds): seconds, but CLS.
THRESHOLDS = {
    "lcp": (2.5, 4.0),
    "inp": (0.2, 0.5),
    "cls": (0.1, 0.25),
    "fcp": (1.8, 3.0),
    "ttfb": (0.8, 1.8),
}


@dataclass(frozen=True, slots=True)
class Vital:
    """The 75th percentile of one vital on one page (seconds, or CLS without unit), from `count` views."""

    name: str
    p75: float
    count: int

    @property
    def rating(self) -> Literal["good", "needs work", "poor"]:
        good, poor = THRESHOLDS[self.name]
        return "good" if self.p75 <= good else "needs work" if self.p75 <= poor else "poor"

    @property
    def text(self) -> str:
        if self.name == "cls":
            return f"{self.p75:.2f}"
        return f"{self.p75:.1f} s" if self.p75 >= 1 else f"{self.p75 * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Page:
    """The vitals of a route in the order of THRESHOLDS; None where no browser reported."""

    route: str
    vitals: list[Vital | None]

    @property
    def views(self) -> int:
        return max(vital.count for vital in self.vitals if vital)


def pages(now: datetime) -> list[Page]:
    """Vitals of every page over the last seven days, the slowest (by LCP, then TTFB) first. One query."""
    counts = (
        RumDaily.objects.filter(day__gt=now.date() - timedelta(days=DAYS))
        .order_by("route", "vital", "bucket")
        .values_list("route", "vital", "bucket")
        .annotate(number=Sum("count"))
    )
    found = []
    for route, of_route in groupby(counts, key=lambda row: row[0]):
        vitals = {}
        for name, of_vital in groupby(of_route, key=lambda row: row[1]):
            buckets = [(bucket, int(number)) for _, _, bucket, number in of_vital]
            vitals[name] = Vital(name, p75(buckets), sum(number for _, number in buckets))
        if any(name in vitals for name in THRESHOLDS):
            found.append(Page(route, [vitals.get(name) for name in THRESHOLDS]))
    return sorted(found, key=lambda page: [-(vital.p75 if vital else 0) for vital in (page.vitals[0], page.vitals[4])])


def p75(buckets: list[tuple[int, int]]) -> float:
    """The 75th percentile of a distribution: ascending buckets with their numbers."""
    rank, reached = 0.75 * sum(number for _, number in buckets), 0
    for bucket, number in buckets:
        reached += number
        if reached >= rank:
            return 0.0 if bucket == ZERO else GROWTH ** (bucket - 0.5)
    raise ValueError("an empty distribution has no percentile")


def js_errors(now: datetime) -> list[Any]:
    """Pages of the last day on which scripts failed: `route`, `errors` and `views` with any, in the sampled views."""
    rows = RumSample.objects.filter(received_at__gte=now - timedelta(days=1), js_errors__gt=0)
    return list(rows.values("route").annotate(errors=Sum("js_errors"), views=Count("pk")).order_by("-errors")[:10])


@dataclass(frozen=True, slots=True)
class Tasks:
    """Background tasks: due and not begun, since when the oldest is due, and failed for good in the last week."""

    due: int
    oldest: datetime | None
    failed: int


def tasks(now: datetime) -> Tasks:
    todo = ProcrastinateJob.objects.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=now), status="todo")
    unscheduled = ProcrastinateEvent.objects.filter(job__in=todo.filter(scheduled_at=None), type="deferred")
    due = todo.aggregate(number=Count("pk"), oldest=Min("scheduled_at"))
    oldest = [at for at in (due["oldest"], unscheduled.aggregate(at=Min("at"))["at"]) if at]
    failed = ProcrastinateEvent.objects.filter(type="failed", at__gte=now - timedelta(days=DAYS))
    return Tasks(due["number"], min(oldest, default=None), failed.count())


@dataclass(frozen=True, slots=True)
class Care:
    """Something to look after in the next days, and since when that is known."""

    says: str
    since: datetime


def tickets_open() -> list[Care]:
    """What wears out slowly, as this host's hourly round found it."""
    rows = incidents.board().tickets().get("open", [])
    return [Care(says, datetime.fromtimestamp(since, UTC)) for _, _, says, since, _ in rows]


def wrong_now(found: Tasks, now: datetime) -> list[str]:
    """What is wrong at this moment, a sentence each: the incidents first."""
    sentences = [f"{each.sentence} What to do: docs/runbooks/{runbook(each)}.md" for each in incidents.current()]
    sentences += [
        f"The check of {check.name} fails: ask what its log line `dependency_degraded` says."
        for check in health.checks()
        if check.state == "degraded"
    ]
    if found.oldest and now - found.oldest > LATE:
        minutes = round((now - found.oldest) / timedelta(minutes=1))
        sentences.append(f"E-mails and other tasks wait: {found.due} due, the oldest for {minutes} minutes.")
    return sentences
