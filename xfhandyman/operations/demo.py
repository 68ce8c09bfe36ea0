"""The month before, as the watching would have seen it: vitals and incidents of the invented business."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from telemetry.models import IncidentRecord, RumCause, RumDaily
from telemetry.rum.models import bucket

DAYS = 30

_VITALS = {"lcp": 1.0, "inp": 0.09, "cls": 0.02, "fcp": 0.7, "ttfb": 0.25}
"""The median on a page of ordinary weight, on a desktop: seconds, and CLS."""
_PAGES = {
    "/": (1.1, 42),
    "/services/": (0.9, 24),
    "/services/<slug>/": (1.0, 33),
    "/book/<slug>/": (1.4, 21),
    "/book/<slug>/details/": (1.0, 12),
    "/contact/": (0.8, 8),
}
"""How heavy a page is beside others, and its views a day."""
_DEVICES = {"mobile": (1.7, 0.6), "desktop": (1.0, 0.4)}
"""How slow a device is beside a desktop, and its share of the views."""
_MENDED, _BEFORE = 9, 1.5
"""That many days ago a release made the booking page faster on phones, by this factor."""

_CAUSES: tuple[tuple[str, str, str, str, str, int, float, dict[str, float]], ...] = (
    ("/book/<slug>/", "mobile", "lcp", "main>div.choice>section.windows", "", 90, 2.7,
     {"ttfb": 0.4, "load_delay": 0.0, "load": 0.0, "render_delay": 2.3}),
    ("/book/<slug>/", "mobile", "inp", "main>form>button.button", "click", 60, 0.31,
     {"input_delay": 0.04, "processing": 0.22, "presentation": 0.05}),
    ("/book/<slug>/", "mobile", "script", "picker.js", "event-listener", 25, 0.22, {}),
)  # fmt: skip
"""What a vital hung on: page, device, vital, element or script, event, views, seconds, and their parts."""

# days ago, time of day in UTC, seconds, symptom, cause, component, route, what it read like
_INCIDENTS = (
    (27, (9, 12), 190, "slow", "query", "SELECT bookings_booking", "/book/<slug>/",
     "Requests are slow (6 affected, most on /book/<slug>/) because of high latency in the `SELECT bookings_booking` "
     "query (2.1 s each, usually 3 ms, 4 running, oldest 3.4 s, from /book/<slug>/)"),
    (19, (14, 2), 260, "pool_exhausted", "query", "SELECT bookings_booking", "/book/<slug>/",
     "The database pool is exhausted (4/4 in use, 3 waiting) because of high latency in the `SELECT bookings_booking` "
     "query (3.1 s each, usually 3 ms, 4 running, oldest 5.2 s, from /book/<slug>/)"),
    (13, (18, 40), 1510, "dependency", "dependency", "email", "",
     "The dependency email is down because of refused connections (6 e-mails wait)"),
    (6, (20, 5), 95, "slow", "requests", "requests", "/services/",
     "Requests are slow (11 affected, most on /services/) because of more requests (24 per second, usually 2)"),
    (0, (0, 0), 140, "errors", "error", "TimeoutError", "/contact/",
     "Requests to /contact/ fail (3 of them, 30%) because of TimeoutError on /contact/"),
)  # fmt: skip


def load(*, now: datetime) -> None:
    """Add a month of vitals and five incidents, each marked as one of the demo. The same ones every time."""
    chance = random.Random(21)  # noqa: S311  # a seed, and nothing secret
    RumDaily.objects.bulk_create(_vitals(now, chance), batch_size=4000)
    RumCause.objects.bulk_create(_causes(now))
    IncidentRecord.objects.bulk_create(_incidents(now))


def _vitals(now: datetime, chance: random.Random) -> Iterator[RumDaily]:
    for ago in range(DAYS):
        day = now.date() - timedelta(days=ago)
        for route, (weight, views) in _PAGES.items():
            for device, (slowness, share) in _DEVICES.items():
                number = max(3, round(views * share * chance.uniform(0.7, 1.3)))
                for vital, median in _VITALS.items():
                    usual = median * (1.0 if vital == "cls" else weight * slowness)
                    if route == "/book/<slug>/" and device == "mobile" and vital == "lcp" and ago > _MENDED:
                        usual *= _BEFORE
                    counts = Counter(bucket(usual * chance.lognormvariate(0, 0.45)) for _ in range(number))
                    for edge, count in counts.items():
                        yield RumDaily(day=day, route=route, device=device, vital=vital, bucket=edge, count=count)


def _causes(now: datetime) -> Iterator[RumCause]:
    for route, device, vital, target, event, count, seconds, parts in _CAUSES:
        key = {"route": route, "device": device, "vital": vital, "target": target, "event": event}
        for part, each in {"": seconds, **parts}.items():
            yield RumCause(day=now.date() - timedelta(days=1), part=part, count=count, total=each * count, **key)


def _incidents(now: datetime) -> Iterator[IncidentRecord]:
    for number, (ago, (hour, minute), seconds, symptom, cause, component, route, says) in enumerate(_INCIDENTS):
        day = now - timedelta(days=ago)
        began = day.replace(hour=hour, minute=minute, second=0, microsecond=0) if ago else now - timedelta(hours=9)
        yield IncidentRecord(
            id=f"demo-{number}",
            symptom=symptom,
            cause=cause,
            component=component,
            route=route,
            sentence=f"Demo: {says} starting at {began:%H:%M:%S} UTC.",
            consequences="",
            started_at=began,
            ended_at=began + timedelta(seconds=seconds),
        )
