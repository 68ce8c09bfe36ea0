"""The Chromium that tests look through: one that is installed (Debian's package, or Chrome), else Playwright's own."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserType

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def installed() -> str | None:
    """Its path; None where only Playwright's own can be had, which is what Playwright makes of None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def undriven(kind: BrowserType, profile: Path, *arguments: str) -> Iterator[None]:
    """A Chromium that Playwright does not drive, with a profile in that directory and a debugging port of its choice.

    It writes the port into `profile / "DevToolsActivePort"`.
    """
    browser = subprocess.Popen(
        [
            installed() or kind.executable_path,
            *ARGUMENTS,
            "--headless",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            *arguments,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        browser.terminate()
        browser.wait(30)
