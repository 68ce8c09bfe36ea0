"""What a first visit costs in bytes, and whether everybody can use each page (axe-core, light and dark)."""

import re
from collections.abc import Callable
from html import unescape
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page

from harness.stack import BASE_DIR, Stack
from tests.tour import ENVIRONMENT, tour

BUDGET = 14 * 1024  # what fits the first round trip of a TCP connection
AXE = (BASE_DIR / "node_modules/axe-core/axe.min.js").read_text()


def transferred(url: str) -> int:
    """The bytes of a response's body as a browser gets it, compressed."""
    with urlopen(Request(url, headers={"Accept-Encoding": "br, gzip"})) as response:
        return len(response.read())


def css_of(site: Stack, path: str) -> list[str]:
    _, page = site.get(path)
    return re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)


def test_it_fits_the_critical_path_of_a_first_visit_into_one_round_trip(stack: Callable[..., Stack]) -> None:
    site = stack()
    paths = ["/", "/services/", "/services/tap-repair/", "/book/tap-repair/", "/contact/", "/privacy/"]
    paths += ["/my-visits/", "/book/tap-repair/earlier/"]
    _, week = site.get("/book/tap-repair/")
    paths.append(unescape(re.findall(r'href="(/book/[^"]+/details/[^"]+)"', week)[0]))
    sizes = {
        path: transferred(site.url + path) + sum(transferred(site.url + css) for css in css_of(site, path))
        for path in paths
    }
    assert all(css_of(site, path) for path in paths)
    assert max(sizes.values()) <= BUDGET, sizes


def violations(page: Page) -> dict[str, list[str]]:
    """What axe-core objects to on a page in light, its colours in dark too, and whether a phone scrolls sideways."""
    page.evaluate(AXE)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = {"light": judged(page, tags)}
    page.emulate_media(color_scheme="dark")
    found["dark"] = judged(page, ["color-contrast"])
    page.emulate_media(color_scheme="light")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found["light"].append("scrolls sideways")
    return {scheme: objections for scheme, objections in found.items() if objections}


def judged(page: Page, only: list[str]) -> list[str]:
    found = page.evaluate("(only) => axe.run(document, {runOnly: only})", only)
    assert found["passes"], "axe did not look at the page"
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found["violations"]]


@pytest.mark.timeout(300)
def test_it_has_no_accessibility_violation_in_light_or_dark(stack: Callable[..., Stack], page: Page) -> None:
    found = {name: violations(page) for name in tour(stack(env=ENVIRONMENT), page)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
