"""`make tools`: installs the programs that the tests run beside the site, where that is possible.

As root on Debian, its packages; elsewhere Playwright's own Chromium, and a line says which of the rest to install.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from harness.chromium import installed

SERVERS = {
    "prometheus": ["prometheus", "promtool"],
    "prometheus-alertmanager": ["prometheus-alertmanager", "amtool"],
    "nginx": ["nginx"],
    "pgbouncer": ["pgbouncer"],
    "iproute2": ["ip"],
    "openssl": ["openssl"],
    "victoria-metrics": ["vmalert"],
}
"""Debian package → the commands it brings. Where one is missing the tests that need it are skipped."""


def has_browser() -> bool:
    """Whether there is a Chromium: no page is tested without."""
    if installed():
        return True
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def missing_servers() -> list[str]:
    """The packages of SERVERS whose commands are not on PATH."""
    return [package for package, commands in SERVERS.items() if not all(map(shutil.which, commands))]


def main() -> int:
    """Install what is missing. 1 where there is no browser at last."""
    wanted = ([] if has_browser() else ["chromium"]) + missing_servers()
    if wanted and _can_install():
        print(f"Installing {' '.join(wanted)} ...", flush=True)
        quiet: dict[str, Any] = {
            "check": True,
            "stdout": subprocess.DEVNULL,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted], **quiet)
    elif "chromium" in wanted:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    if servers := missing_servers():
        print(f"Not installed: {', '.join(servers)}. The tests that need them will be skipped.")
    return 0 if has_browser() else 1


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


if __name__ == "__main__":
    sys.exit(main())
