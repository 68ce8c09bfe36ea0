"""What the tests of real user monitoring share: what a page goes through, and a site's metrics and rows, read as an
operator would."""

import time
from io import BytesIO
from typing import Any

import psycopg
from PIL import Image
from playwright.sync_api import Page, Route
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


def present(page: Page) -> None:
    """Have a frame presented, without which a headless browser reports no interaction, and its entry delivered."""
    page.screenshot(clip={"x": 0, "y": 0, "width": 1, "height": 1})
    page.evaluate("new Promise((done) => setTimeout(() => requestIdleCallback(done), 150))")


def picture() -> bytes:
    """Noise of 380 by 500 px: an enlarged or an empty picture is no largest contentful paint."""
    made = BytesIO()
    Image.effect_noise((380, 500), 60).save(made, "PNG")
    return made.getvalue()


def slow_hero(page: Page, path: str) -> None:
    """Give a page a picture that fills most of the screen and takes 300 ms to come, and a script that takes 120 ms."""
    busy = "const until = performance.now() + 120; while (performance.now() < until);"

    def document(route: Route) -> None:
        answer = route.fetch()
        nonce = answer.text().partition('nonce="')[2].partition('"')[0]
        tag = f'''<img src="/hero.png" width="380" height="500" alt="" id="hero">
            <script nonce="{nonce}" src="/static/js/trusted.js" defer></script>'''
        route.fulfill(response=answer, body=answer.text().replace("<main", tag + "<main", 1))

    def hero(route: Route) -> None:
        time.sleep(0.3)
        route.fulfill(body=picture(), content_type="image/png")

    page.route(f"**{path}", document)
    page.route("**/hero.png", hero)
    page.route("**/static/js/trusted.js", lambda route: route.fulfill(body=busy, content_type="text/javascript"))


def shift(page: Page) -> float:
    """Move a box of 400 px by 100 px down the screen and return the score that has by definition."""
    page.evaluate(
        """() => new Promise((done) => {
            const box = document.createElement("div");
            box.style.cssText = "position:fixed;top:0;left:0;width:300px;height:400px;background:#ccc;z-index:9";
            document.body.append(box);
            const frames = (n, then) => requestAnimationFrame(() => n ? frames(n - 1, then) : then());
            frames(3, () => { box.style.top = "100px"; frames(3, () => { box.remove(); done(); }); });
        })"""
    )
    width, height = page.evaluate("[innerWidth, innerHeight]")
    return float(300 * 500 / (width * height) * 100 / max(width, height))


def slow_click(page: Page) -> None:
    """Click on something whose handler takes 120 ms."""
    page.evaluate(
        """() => {
            const button = document.createElement("button");
            button.id = "slow";
            button.style.cssText = "position:fixed;bottom:0;left:0;z-index:9";
            button.textContent = "slow";
            button.onclick = () => { const end = performance.now() + 120; while (performance.now() < end); };
            document.body.append(button);
        }"""
    )
    page.click("#slow")
    present(page)
