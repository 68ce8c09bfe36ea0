"""Page views as browsers saw them: a row for each sampled one, and their daily distribution."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import connection, models

GROWTH = 1.05
"""Each bucket of a distribution reaches 5 % further than the one before, so a percentile is right within 2.5 %."""
ZERO = -1000
"""The bucket of what is below a ten-thousandth."""


def bucket(value: float) -> int:
    """The bucket of a value (seconds, or CLS without unit)."""
    return ZERO if value < 0.0001 else math.ceil(math.log(value, GROWTH))


class TimeIndex(BrinIndex):
    """A BRIN index on PostgreSQL, a plain one elsewhere."""

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **options: Any) -> Any:
        if schema_editor.connection.vendor == "postgresql":
            return super().create_sql(model, schema_editor, using=using, **options)
        return models.Index.create_sql(self, model, schema_editor, using=using, **options)


class RumSample(models.Model):
    """One sampled send of a page view. Times are in seconds; null where the browser did not report.

    `part` is 0 for the view itself, more for what was reported after the customer had come back to the tab.
    """

    received_at = models.DateTimeField()
    route = models.CharField(max_length=200)
    device = models.CharField(max_length=7)
    navigation = models.CharField(max_length=20)
    release = models.CharField(max_length=100)
    trace_id = models.CharField(max_length=32)
    part = models.SmallIntegerField()
    lcp = models.FloatField(null=True)
    cls = models.FloatField(null=True)
    inp = models.FloatField(null=True)
    fcp = models.FloatField(null=True)
    ttfb = models.FloatField(null=True)
    load = models.FloatField(null=True)
    js_errors = models.SmallIntegerField()

    class Meta:
        # Rows arrive in the order of their time, so a few kilobytes of BRIN find a period among millions.
        indexes = (
            TimeIndex(fields=["received_at"], name="rumsample_received"),
            # The few with script errors, for the Operations page: a BRIN knows nothing of rows newer than a VACUUM.
            models.Index(fields=["received_at"], name="rumsample_js_errors", condition=models.Q(js_errors__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.route} {self.received_at:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile of one vital ("lcp", "cls" …) over the views of a route from a day on; seconds, or CLS."""

    day: date
    route: str
    device: str
    vital: str
    value: float
    count: int


_PERCENTILES = """
SELECT period, route, device, vital, min(bucket) FILTER (WHERE reached >= %(quantile)s * total), max(total)
FROM (
    SELECT period, route, device, vital, bucket,
           sum(count) OVER (distribution ORDER BY bucket) AS reached,
           sum(count) OVER distribution AS total
    FROM (
        SELECT %(since)s::date + (day - %(since)s::date) / %(days)s * %(days)s AS period,
               route, device, vital, bucket, sum(count) AS count
        FROM telemetry_rumdaily
        WHERE day >= %(since)s AND day < %(until)s
        GROUP BY period, route, device, vital, bucket
    ) AS counts
    WINDOW distribution AS (PARTITION BY period, route, device, vital)
) AS distributions
GROUP BY period, route, device, vital
ORDER BY period, route, device, vital
"""


class RumDailyManager(models.Manager["RumDaily"]):
    def percentiles(self, since: date, until: date, quantile: float = 0.75, days: int = 1) -> list[Percentile]:
        """The percentile of every vital by route, device and period, from `since` to the day before `until`.

        A period is this many days (UTC), and named by its first. Reads the daily distributions, whose number does not
        depend on the traffic.
        """
        with connection.cursor() as cursor:
            cursor.execute(_PERCENTILES, {"since": since, "until": until, "quantile": quantile, "days": days})
            rows = cursor.fetchall()
        return [
            Percentile(day, route, device, vital, 0.0 if edge == ZERO else GROWTH ** (edge - 0.5), int(total))
            for day, route, device, vital, edge, total in rows
        ]


class RumDaily(models.Model):
    """How many values of a vital fell into one bucket on one day (UTC). Written together with the samples."""

    pk = models.CompositePrimaryKey("day", "route", "device", "vital", "bucket")
    day = models.DateField()
    route = models.CharField(max_length=200)
    device = models.CharField(max_length=7)
    vital = models.CharField(max_length=4)
    bucket = models.SmallIntegerField()
    count = models.BigIntegerField()

    objects = RumDailyManager()

    def __str__(self) -> str:
        return f"{self.day} {self.route} {self.device} {self.vital} {self.bucket}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a vital hung on over some days: `share` is its part of all views that named something, 0 to 1.

    `value` is the mean of the vital where it hung on this (s, or CLS; of a script s), `parts` the mean times in s.
    """

    route: str
    device: str
    vital: str
    target: str
    event: str
    share: float
    value: float
    parts: dict[str, float]


class RumCauseManager(models.Manager["RumCause"]):
    def worst(self, since: date, until: date) -> list[Target]:
        """Of each route, device and vital the target that cost most in all, from `since` to the day before `until`."""
        rows = (
            self.filter(day__gte=since, day__lt=until)
            .values_list("route", "device", "vital", "target", "event", "part")
            .annotate(models.Sum("count"), models.Sum("total"))
        )
        views = dict[tuple[str, ...], int]()
        found = dict[tuple[str, ...], dict[tuple[str, ...], dict[str, tuple[int, float]]]]()
        for route, device, vital, target, event, part, count, total in rows:
            of_page = found.setdefault((route, device, vital), {})
            of_page.setdefault((target, event), {})[part] = (count, total)
            views[route, device, vital] = views.get((route, device, vital), 0) + (0 if part else count)
        return [
            self._worst(page, max(targets.items(), key=lambda each: each[1].get("", (0, 0.0))[1]), views[page])
            for page, targets in sorted(found.items())
            if views[page]
        ]

    @staticmethod
    def _worst(
        page: tuple[str, ...], worst: tuple[tuple[str, ...], dict[str, tuple[int, float]]], views: int
    ) -> Target:
        (target, event), sums = worst
        means = {part: total / count for part, (count, total) in sums.items() if count}
        value = means.pop("", 0.0)
        route, device, vital = page
        return Target(route, device, vital, target, event, sums.get("", (0, 0.0))[0] / views, value, means)


class RumCause(models.Model):
    """What a vital hung on on one day (UTC), and how its time was divided. Written together with the samples.

    `part` is "" for the vital's own value, else the name of a part of its time; `total` is the sum over `count` views.
    """

    pk = models.CompositePrimaryKey("day", "route", "device", "vital", "target", "event", "part")
    day = models.DateField()
    route = models.CharField(max_length=200)
    device = models.CharField(max_length=7)
    vital = models.CharField(max_length=6)
    target = models.CharField(max_length=100)
    event = models.CharField(max_length=20)
    part = models.CharField(max_length=20)
    count = models.BigIntegerField()
    total = models.FloatField()

    objects = RumCauseManager()

    def __str__(self) -> str:
        return f"{self.day} {self.route} {self.vital} {self.target} {self.part}"
