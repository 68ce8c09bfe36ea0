"""`make screenshots`: every page and state at each width, light and dark, and on paper; and the README's pictures."""

import io
import time
from collections.abc import Callable

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Page

from harness.stack import BASE_DIR, Stack, wait_for
from tests.test_admin_browser import MAKE_STAFF
from tests.test_pool_failures import traffic
from tests.tour import ENVIRONMENT, tour

SHOTS = BASE_DIR / "screenshots"
WIDTHS = (390, 768, 1280)
PRINTED = ("confirmation", "manage")
PICTURES = BASE_DIR / "docs" / "pictures"
USUAL = 60
"""Seconds of ordinary traffic, from which the site learns what is usual."""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_fits_every_width(stack: Callable[..., Stack], page: Page) -> None:
    SHOTS.mkdir(exist_ok=True)
    for old in SHOTS.glob("*.png"):
        old.unlink()
    page.emulate_media(reduced_motion="reduce")
    wider = []
    for name in tour(stack(env=ENVIRONMENT), page):
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wider.append(f"{name} at {width} px")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=SHOTS / f"{name}, {width} {scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": WIDTHS[0], "height": 844})
        if name in PRINTED:
            page.emulate_media(media="print")
            page.set_viewport_size({"width": 760, "height": 1075})  # A4 less its margins
            page.screenshot(path=SHOTS / f"{name}, printed.png")
            page.emulate_media(media="screen")
            page.set_viewport_size({"width": WIDTHS[0], "height": 844})
    assert not wider, f"scrolls sideways: {wider}"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_it_takes_the_pictures_of_the_readme(stack: Callable[..., Stack], demo_database: str, page: Page) -> None:
    """The home page, and what staff read while a session that was forgotten holds the lock of the bookings."""
    site = stack(workers=2)
    site.manage("shell", "-v0", "-c", MAKE_STAFF)
    page.emulate_media(reduced_motion="reduce", color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(site.url)
    _keep(page.screenshot(), "site.webp")
    page.goto(f"{site.url}/admin/login/?next=/admin/operations/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill("a-pass-1")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Operations").wait_for()
    with traffic(site) as customers, psycopg.connect(demo_database) as forgotten:
        for path in ("/", "/services/", "/book/tap-repair/", "/book/shelves/", "/contact/"):
            customers.keep(path, pause=0.7, clients=2)
        time.sleep(USUAL)
        forgotten.execute("LOCK TABLE bookings_booking IN ACCESS EXCLUSIVE MODE")
        opened = wait_for("the incident", lambda: site.log_events("incident_opened"), 40)[0]
        assert "SELECT bookings_booking" in opened["message"]
        time.sleep(15)  # for the chart to show it
        page.set_viewport_size({"width": 1280, "height": 1100})
        page.goto(f"{site.url}/admin/operations/now/")
        _keep(page.screenshot(), "incident.webp")


def _keep(picture: bytes, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    Image.open(io.BytesIO(picture)).convert("RGB").save(PICTURES / name, quality=70, method=6)
    assert (PICTURES / name).stat().st_size < 60_000
