"""Django projects that know nothing of XFHandyman, each with telemetry's wheel in a virtual environment of its own."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.stack import BASE_DIR, free_port, wait_for

UV = str(Path(sys.executable).parent / "uv")
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
TOKEN = "a-token-for-the-scraper"

SETTINGS = """
INSTALLED_APPS += ["telemetry"]
MIDDLEWARE = ["telemetry.middleware.ObservingMiddleware", *MIDDLEWARE]
"""
OWN_LOG = """
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"own": {"class": "logging.FileHandler", "filename": BASE_DIR / "own.log"}},
    "loggers": {"django": {"handlers": ["own"], "level": "INFO"}, "shop": {"handlers": ["own"], "level": "INFO"}},
}
"""
URLS = """
import logging
import threading
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path
from telemetry import background
def orders(request, number):
    logging.getLogger("shop").info("orders are counted", extra={"number": number})
    return HttpResponse(str(User.objects.count()))
async def later(request):
    return HttpResponse(str(await User.objects.acount()))
def broken(request):
    raise RuntimeError("the till is closed")
def ship():
    User.objects.count()
def lose():
    raise RuntimeError("the parcel is lost")
TASKS = {"ship": ship, "lose": lose}
def run(name, headers):
    with background.running(f"shop.{name}", headers, system="threads", job_id=1):
        TASKS[name]()
def send(request, name):
    threading.Thread(target=run, args=(name, background.carrier())).start()
    return HttpResponse("sent")
urlpatterns = [path("orders/<int:number>/", orders), path("later/", later), path("broken/", broken)]
urlpatterns += [path("send/<slug:name>/", send)]
"""


@dataclass
class Host:
    """A project on disk, and the server that serves it."""

    directory: Path
    python: Path
    url: str = ""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.directory / "server.log"

    def manage(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the project. Raises CalledProcessError."""
        return self._run("manage.py", *command, **environment)

    def python_with(self, script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a script in the project's environment, with warnings as errors. Raises CalledProcessError."""
        return self._run("-W", "error", "-c", script, **environment)

    def _run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.python, *command],
            cwd=self.directory,
            env={**ENVIRONMENT, **environment},
            check=True,
            capture_output=True,
            text=True,
        )

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body."""
        try:
            answer: Any = urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, dict(answer.headers), answer.read().decode()

    def metrics(self, port: int) -> str:
        """What the server's metrics port serves."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            return str(answer.read().decode())

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event that the server has written."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    @contextmanager
    def serving(self, *command: str, **environment: str) -> Iterator[None]:
        """The server while it runs; `{port}` in the command is its port."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        env = {**ENVIRONMENT, "LOG_FORMAT": "json", "METRICS_TOKEN": TOKEN, **environment}
        with self.log.open("w") as log:
            server = subprocess.Popen(
                [self.python, *(each.format(port=port) for each in command)],
                cwd=self.directory, env=env, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_for("the server", self._answers, 60)
            yield
        finally:
            server.terminate()
            server.wait(20)

    def _answers(self) -> bool:
        try:
            return bool(self.get("/later/")[0])
        except OSError:
            return False


def build_wheel(into: Path) -> Path:
    """Telemetry's wheel, as `make package` builds it."""
    subprocess.run([UV, "build", "-q", "--wheel", "--out-dir", into, "telemetry"], cwd=BASE_DIR, check=True)
    return next(into.glob("*.whl"))


def start_project(directory: Path, wheel: Path | str, *packages: str, settings: str = "", urls: str = "") -> Host:
    """`startproject` with telemetry's two lines, a few pages, a log handler of its own, and more settings and URLs."""
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, directory / "venv"], check=True)
    python = directory / "venv" / "bin" / "python"
    subprocess.run([UV, "pip", "install", "-q", "--python", python, wheel, *packages], check=True)
    subprocess.run([python, "-m", "django", "startproject", "shop", directory], env=ENVIRONMENT, check=True)
    module = directory / "shop" / "settings.py"
    module.write_text(module.read_text() + SETTINGS + OWN_LOG + settings)
    (directory / "shop" / "urls.py").write_text(URLS + urls)
    host = Host(directory, python)
    host.manage("check", "--fail-level", "WARNING")
    host.manage("migrate", "-v0")
    return host
