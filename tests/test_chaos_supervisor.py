"""`make run` puts right what was killed."""

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.stack import BASE_DIR, free_port, wait_for
from xfhandyman.management.commands.serve import YOUNG


@pytest.mark.waits
def test_it_starts_again_what_was_killed(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "xfhandyman.settings",
        "EMBEDDED_DATA": str(tmp_path / "postgres"),
        "EMAIL_URL": f"file:///{tmp_path / 'emails'}",
        "METRICS_PORT": str(free_port()),
        "PORT": str(port),
    }
    del environment["DATABASE_URL"]
    with (tmp_path / "output").open("wb") as output:
        served = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=BASE_DIR, env=environment, stdout=output, stderr=output
        )

    def answers() -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200)
        return False

    def said() -> str:
        return (tmp_path / "output").read_text()

    try:
        wait_for("the home page", answers, 90)
        children = psutil.Process(served.pid).children()
        wait_for(
            "them to be grown up", lambda: all(time.time() - each.create_time() > YOUNG + 1 for each in children), 60
        )
        postmaster = psutil.Process(int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0]))
        killed = [*postmaster.children(), postmaster, *psutil.Process(served.pid).children(recursive=True)]
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_for("PostgreSQL", lambda: "PostgreSQL had died" in said(), 60)
        wait_for("the home page again", answers, 90)
        for name in ("web", "worker"):
            assert f"The {name} process ended with code -9; starting it again." in said()
    finally:
        print(said())  # for who reads why it failed
        served.terminate()
        assert served.wait(30) == 0, said()
