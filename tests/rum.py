"""What the tests of real user monitoring share: a site's metrics and rows, read as an operator would."""

import time
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families
from psycopg.rows import dict_row

from harness.stack import Stack, wait_for


class Watched:
    """What has happened on a site since this object was made."""

    def __init__(self, site: Stack) -> None:
        self.site, self.url = site, site.url
        self._metrics = self._scrape()
        self._last = max((row["id"] for row in self._rows(0)), default=0)

    def _scrape(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        status, text = self.site.get(self.site.metrics_url)
        assert status == 200
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def _rows(self, after: int) -> list[dict[str, Any]]:
        with psycopg.connect(self.site.env["DATABASE_URL"]) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return cursor.execute("SELECT * FROM telemetry_rumsample WHERE id > %s ORDER BY id", (after,)).fetchall()

    def metric(self, name: str, **labels: str) -> float:
        """How much the samples with these labels have grown, summed up."""
        return sum(
            value - self._metrics.get((found, label_set), 0.0)
            for (found, label_set), value in self._scrape().items()
            if found == name and labels.items() <= label_set
        )

    def series(self, prefix: str) -> int:
        """How many series there are whose names begin so."""
        return sum(name.startswith(prefix) for name, _ in self._scrape())

    def rows(self) -> list[dict[str, Any]]:
        """The new rows of RumSample, oldest first."""
        return self._rows(self._last)

    def settled(self, count: int) -> list[dict[str, Any]]:
        """The new rows once there are `count`; fails when a moment later there are more."""
        wait_for(f"{count} rows", lambda: len(self.rows()) >= count)
        time.sleep(1.2)  # that nothing more comes is only seen by waiting: one interval of the writer
        rows = self.rows()
        assert len(rows) == count, rows
        return rows
