"""What Google Lighthouse says of the customer's pages on a telephone. `make lighthouse` prints the table."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from harness.chromium import undriven
from harness.peers.tls_proxy import tls_proxy
from harness.stack import BASE_DIR, Stack, wait_for

PAGES = {
    "home": "/",
    "services": "/services/",
    "service": "/services/tap-repair/",
    "booking": "/book/tap-repair/",
    "contact": "/contact/",
    "confirmation": "",
}
ENOUGH = 98
CONFIRMATION = "from bookings.models import Booking; print(Booking.objects.first().get_absolute_url() + 'confirmed/')"


@pytest.fixture
def debugging_port(chromium: Browser, tmp_path: Path) -> Iterator[int]:
    """Where a Chromium of its own takes orders from Lighthouse."""
    profile = tmp_path / "chromium"
    chosen = profile / "DevToolsActivePort"
    with undriven(chromium.browser_type, profile, "--disable-dev-shm-usage"):
        wait_for("Chromium", lambda: chosen.exists() and chosen.read_text(), 30)
        yield int(chosen.read_text().split()[0])


# As production runs, but for the certificate: the proxy says that TLS was ended, and Chromium counts a loopback
# address as secure.
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "lighthouse-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "ALLOWED_HOSTS": "127.0.0.1",
    "SITE_URL": "https://127.0.0.1",
    "RELEASE": "lighthouse",
    "TRUSTED_PROXIES": "127.0.0.1",
    "HOST": "127.0.0.1",
}


@pytest.mark.timing
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_it_satisfies_lighthouse(
    stack: Callable[..., Stack], debugging_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    site = stack(env=PRODUCTION)
    confirmation = site.manage("shell", "-v0", "-c", CONFIRMATION).strip()
    with tls_proxy(site.url) as url:
        pages = [
            {
                "name": name,
                "url": url + (path or confirmation),
                "tries": 5,
                "enough": ENOUGH,
                # A confirmation opens a booking to whoever has its address, so no search engine may list it.
                "skip": [] if path else ["is-crawlable"],
            }
            for name, path in PAGES.items()
        ]
        done = subprocess.run(
            [str(BASE_DIR / ".venv/bin/node"), "tests/lighthouse.mjs", str(debugging_port), json.dumps(pages)],
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    with capsys.disabled():
        print(f"\n{'page':14}" + "".join(f"{category:>16}" for category in found[0]["scores"]))
        for page in found:
            print(f"{page['name']:14}" + "".join(f"{score:16}" for score in page["scores"].values()))
    for page in found:
        assert page["scores"].pop("performance") >= ENOUGH, page
        assert set(page["scores"].values()) == {100}, page
    assert len(found) == len(PAGES)
