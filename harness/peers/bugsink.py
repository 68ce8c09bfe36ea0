"""Bugsink: a real server of Sentry's protocol, in a virtual environment of its own (`make .tools/bugsink.stamp`)."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.stack import BASE_DIR, free_port, wait_for

BIN = BASE_DIR / ".tools" / "bugsink" / "bin"
_PORT = 58700  # stands in the template's configuration for the port that is free


@dataclass(frozen=True)
class Project:
    """One project of the server; `dsn` is what SENTRY_DSN is set to."""

    server: "Bugsink"
    id: int
    dsn: str

    def issues(self) -> list[dict[str, Any]]:
        """The issues so far; each has calculated_type, calculated_value, transaction and event counts."""
        found: list[dict[str, Any]] = self.server.api(f"issues/?project={self.id}")["results"]
        return found

    def events(self) -> list[dict[str, Any]]:
        """Every event so far as it was received (Sentry's event JSON)."""
        return [
            self.server.api(f"events/{event['id']}/")["data"]
            for issue in self.issues()
            for event in self.server.api(f"events/?issue={issue['id']}")["results"]
        ]

    def wait_for_events(self, count: int = 1, timeout: float = 15.0) -> list[dict[str, Any]]:
        """Wait until at least that many events have arrived, and return all."""
        return wait_for(f"{count} events", lambda: events if len(events := self.events()) >= count else [], timeout)


@dataclass(frozen=True)
class Bugsink:
    """A running server."""

    url: str
    token: str

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET (or POST `body` to) the API and return its JSON."""
        request = urllib.request.Request(
            f"{self.url}/api/canonical/0/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def project(self, name: str) -> Project:
        """A new, empty project."""
        team = self.api("teams/", {"name": f"team {name}"})["id"]
        number = self.api("projects/", {"team": team, "name": name})["id"]
        return Project(self, number, self.api(f"projects/{number}/")["dsn"])


@contextmanager
def running_bugsink(directory: Path) -> Iterator[Bugsink]:
    """Run a server with its data in `directory` on a free port until the block ends."""
    port = free_port()
    shutil.copytree(_template(), directory, dirs_exist_ok=True)
    configuration = directory / "bugsink_conf.py"
    configuration.write_text(configuration.read_text().replace(str(_PORT), str(port)))
    with (directory / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [BIN / "bugsink-manage", "runserver", f"127.0.0.1:{port}", "--noreload"],
            cwd=directory, env=_environment(directory), stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        bugsink = Bugsink(f"http://127.0.0.1:{port}", (directory / "token").read_text())
        wait_for("Bugsink to answer", lambda: _ready(bugsink), 60)
        yield bugsink
    finally:
        server.terminate()
        server.wait(10)


def _template() -> Path:
    """A server that is set up and has never run, made once (ten seconds of migrations) and copied from then on."""
    if not BIN.exists():
        pytest.fail("Bugsink is not installed: make .tools/bugsink.stamp")
    template = BIN.parent / "site"
    if template.exists():
        return template
    directory = Path(tempfile.mkdtemp(dir=BIN.parent))

    def run(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / command, *arguments], cwd=directory, env=_environment(directory), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("bugsink-create-conf", "--template", "local", "--host", "127.0.0.1", "--port", str(_PORT),
        "--output-file", "bugsink_conf.py")  # fmt: skip
    configuration = directory / "bugsink_conf.py"
    text = configuration.read_text().replace(str(directory), ".")
    assert '"SINGLE_USER": True,' in text
    configuration.write_text(text.replace('"SINGLE_USER": True,', '"PHONEHOME": False, "SINGLE_USER": True,'))
    run("bugsink-manage", "migrate")
    run("bugsink-manage", "migrate", "snappea", "--database=snappea")
    (directory / "token").write_text(run("bugsink-manage", "create_auth_token").split()[-1])
    directory.rename(template)
    return template


def _environment(directory: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": "."}


def _ready(bugsink: Bugsink) -> bool:
    try:
        with urllib.request.urlopen(f"{bugsink.url}/health/ready", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
