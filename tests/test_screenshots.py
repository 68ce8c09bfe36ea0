"""`make screenshots`: every page and state at each width, in light and dark, and on paper; to be looked at."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from harness.stack import BASE_DIR, Stack
from tests.tour import ENVIRONMENT, tour

SHOTS = BASE_DIR / "screenshots"
WIDTHS = (390, 768, 1280)
PRINTED = ("confirmation", "manage")


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
