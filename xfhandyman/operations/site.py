"""The site as its visitors, its tasks and its diagnosis see it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import TruncHour
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob

from telemetry import health
from telemetry.diagnosis import incidents
from telemetry.diagnosis.runbook import runbook
from telemetry.models import RumCause, RumDaily, RumSample

DAYS = 7
LATE = timedelta(minutes=10)
"""A task that was due so long ago is stuck, or nobody runs the worker."""
NOTICED = 0.1
"""Change of a percentile from which it is shown: buckets are 5 % wide, and chance moves both weeks."""
_DEVICES = {"mobile": "phone"}

# Good up to the first, poor beyond the second (web.dev/articles/defining-core-web-vitals-thresholds): seconds, but CLS.
THRESHOLDS = {
    "lcp": (2.5, 4.0),
    "inp": (0.2, 0.5),
    "cls": (0.1, 0.25),
    "fcp": (1.8, 3.0),
    "ttfb": (0.8, 1.8),
}


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Vital:
    """The 75th percentile of one vital on one page (seconds, or CLS without unit), from `count` views.

    `before` is that of the seven days before, where there were views.
    """

    name: str
    p75: float
    count: int
    before: float | None = None

    @property
    def rating(self) -> Literal["good", "needs work", "poor"]:
        good, poor = THRESHOLDS[self.name]
        return "good" if self.p75 <= good else "needs work" if self.p75 <= poor else "poor"

    @property
    def text(self) -> str:
        if self.name == "cls":
            return f"{self.p75:.2f}"
        return _seconds(self.p75)

    @property
    def trend(self) -> str:
        """Against the week before, such as "12 % better"; nothing for what chance may do."""
        change = self.p75 / self.before - 1 if self.before else 0.0
        if abs(change) < NOTICED:
            return ""
        return f"{abs(change):.0%} {'worse' if change > 0 else 'better'}".replace("%", " %")


@dataclass(frozen=True, slots=True)
class Page:
    """The vitals of a route on one kind of device, in the order of THRESHOLDS; None where no browser reported."""

    route: str
    device: str
    vitals: list[Vital | None]

    @property
    def views(self) -> int:
        return max(vital.count for vital in self.vitals if vital)


def pages(now: datetime) -> list[Page]:
    """Vitals of every page and device over the last seven days, the slowest (by LCP, then TTFB) first. One query."""
    tomorrow = now.date() + timedelta(days=1)
    first = tomorrow - timedelta(days=DAYS)
    found: dict[tuple[str, str], dict[str, Vital]] = {}
    before: dict[tuple[str, str, str], float] = {}
    for row in RumDaily.objects.percentiles(first - timedelta(days=DAYS), tomorrow, days=DAYS):
        if row.day < first:
            before[row.route, row.device, row.vital] = row.value
        elif row.vital in THRESHOLDS:
            vital = Vital(row.vital, row.value, row.count, before.get((row.route, row.device, row.vital)))
            found.setdefault((row.route, row.device), {})[row.vital] = vital
    of_pages = [
        Page(route, _DEVICES.get(device, device), [vitals.get(name) for name in THRESHOLDS])
        for (route, device), vitals in found.items()
    ]
    return sorted(of_pages, key=lambda page: [-(each.p75 if each else 0) for each in (page.vitals[0], page.vitals[4])])


_PARTS = {
    "ttfb": "waiting for the first byte",
    "load_delay": "before it began to load",
    "load": "loading it",
    "render_delay": "until it was drawn",
    "input_delay": "before a script took it",
    "processing": "in scripts",
    "presentation": "until it was drawn",
}


@dataclass(frozen=True, slots=True)
class Mend:
    """The element or script that cost a page's visitors most: what it is, in what share of the views, and why."""

    route: str
    device: str
    vital: str
    target: str
    share: str
    why: str


def to_mend(of_pages: list[Page], now: datetime) -> list[Mend]:
    """For each vital that is not good what it hung on most, and scripts that held up frames. One query."""
    bad = {
        (page.route, page.device, vital.name)
        for page in of_pages
        for vital in page.vitals
        if vital and vital.rating != "good"
    }
    tomorrow = now.date() + timedelta(days=1)
    found = []
    for each in RumCause.objects.worst(tomorrow - timedelta(days=DAYS), tomorrow):
        device = _DEVICES.get(each.device, each.device)
        if (each.route, device, each.vital) not in bad and each.vital != "script":
            continue
        if each.vital == "script":
            why = f"held up a frame for {_seconds(each.value)} ({each.event})"
        elif each.parts:
            part, seconds = max(each.parts.items(), key=lambda found: found[1])
            what = f"{each.event}: " if each.event else ""
            why = f"{what}{_seconds(seconds)} of {_seconds(each.value)} {_PARTS[part]}"
        else:
            why = f"moved, {each.value:.2f} in all"
        found.append(Mend(each.route, device, each.vital, each.target, f"{each.share:.0%}".replace("%", " %"), why))
    return found


def views_by_hour(now: datetime) -> list[tuple[datetime, str, str, int]]:
    """Hour (UTC), route, kind of device and number of the sampled page views of the last seven days, in that order."""
    since = now - timedelta(days=DAYS)
    rows = RumSample.objects.filter(received_at__gte=since, part=0).annotate(hour=TruncHour("received_at", tzinfo=UTC))
    counted = rows.order_by("hour", "route", "device").values_list("hour", "route", "device").annotate(Count("pk"))
    return [(hour, route, _DEVICES.get(device, device), number) for hour, route, device, number in counted]


def js_errors(now: datetime) -> list[Any]:
    """Pages of the last day on which scripts failed: `route`, `errors` and `views` with any, in the sampled views."""
    rows = RumSample.objects.filter(received_at__gte=now - timedelta(days=1), js_errors__gt=0)
    return list(rows.values("route").annotate(errors=Sum("js_errors"), views=Count("pk")).order_by("-errors")[:10])


@dataclass(frozen=True, slots=True)
class Tasks:
    """Background tasks: due and not begun, since when the oldest is due, and failed permanently in the last week."""

    due: int
    oldest: datetime | None
    failed: int


def tasks(now: datetime) -> Tasks:
    todo = ProcrastinateJob.objects.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=now), status="todo")
    deferred = Min("procrastinateevent__at", filter=Q(scheduled_at=None, procrastinateevent__type="deferred"))
    due = todo.aggregate(number=Count("pk", distinct=True), oldest=Min("scheduled_at"), deferred=deferred)
    oldest = [at for at in (due["oldest"], due["deferred"]) if at]
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
