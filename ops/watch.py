"""Real Prometheus and Alertmanager beside a running site, and a receiver for the sentences they send."""

import json
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import yaml

OPS = Path(__file__).resolve().parent


class NotInstalledError(RuntimeError):
    """Prometheus or Alertmanager is not on PATH; the text is fit for a terminal."""


@dataclass(frozen=True, slots=True)
class Message:
    """A notification as people get it. `received_at`: Unix seconds."""

    received_at: float
    alert: str
    sentence: str
    runbook: str
    resolved: bool


@dataclass
class Watch:
    """The running pair. `messages` grows as notifications arrive."""

    prometheus_url: str
    alertmanager_url: str
    config: Path
    process: subprocess.Popen[bytes] | None = None
    """Prometheus itself."""
    messages: list[Message] = field(default_factory=list)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now: a list of {"metric": labels, "value": [time, text]}. Raises OSError."""
        address = f"{self.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own loopback address
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def scrape(self, component: str, address: str) -> None:
        """Watch one more process (host:port) from now on, as one edits the configuration and reloads."""
        config = yaml.safe_load(self.config.read_text())
        more = {"targets": [address], "labels": {"component": component}}
        config["scrape_configs"][0]["static_configs"].append(more)
        self._reload(config)

    def forget(self, address: str) -> None:
        """Watch that process no more."""
        config = yaml.safe_load(self.config.read_text())
        groups = config["scrape_configs"][0]["static_configs"]
        config["scrape_configs"][0]["static_configs"] = [one for one in groups if one["targets"] != [address]]
        self._reload(config)

    def _reload(self, config: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(config))
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def firing(self) -> set[str]:
        """The names of the alerts that fire, silenced ones included."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}


@contextmanager
def watching(
    directory: Path,
    targets: Mapping[str, str],
    *,
    interval: str = "",
    on_message: Callable[[Message], None] | None = None,
) -> Iterator[Watch]:
    """Scrape `targets` (component → host:port) with the rules of this directory until the block ends.

    `interval` ("1s") replaces the intervals of scraping and evaluating, and nothing else.
    Raises NotInstalledError.
    """
    prometheus, alertmanager = _binary("prometheus"), _binary("alertmanager", "prometheus-alertmanager")
    ports = [_free_port(), _free_port()]
    watch = Watch(
        f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", directory / "prometheus" / "prometheus.yml"
    )
    receiver = _receiver(watch.messages, on_message)
    _configure(directory, targets, interval, ports[1], receiver.server_address[1])
    commands = {
        "prometheus": [
            prometheus,
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
        ],
        "alertmanager": [
            alertmanager,
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{ports[1]}",
            "--cluster.listen-address=",
        ],
    }
    processes = []
    try:
        for name, command in commands.items():
            with (directory / f"{name}.out").open("wb") as log:
                processes.append(subprocess.Popen(command, cwd=directory / name, stdout=log, stderr=subprocess.STDOUT))
        watch.process = processes[0]
        for url in (watch.prometheus_url, watch.alertmanager_url):
            _await_ready(url, directory)
        yield watch
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        receiver.shutdown()
        receiver.server_close()


def _binary(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise NotInstalledError(f"{names[0]} is not on PATH. On Debian: apt-get install prometheus prometheus-alertmanager")


def _configure(directory: Path, targets: Mapping[str, str], interval: str, alertmanager: int, receiver: int) -> None:
    """Copy the product's own configuration; only addresses (and the interval, if asked) differ."""
    for part in ("prometheus", "alertmanager"):
        shutil.copytree(OPS / part, directory / part, ignore=shutil.ignore_patterns("tests"), dirs_exist_ok=True)
    path = directory / "prometheus" / "prometheus.yml"
    config = yaml.safe_load(path.read_text())
    config["scrape_configs"][0]["static_configs"] = [
        {"targets": [address], "labels": {"component": component}} for component, address in targets.items()
    ]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
    if interval:
        config["global"] |= dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), interval)
    path.write_text(yaml.safe_dump(config))
    (directory / "alertmanager" / "slack_url").write_text(f"http://127.0.0.1:{receiver}/")


def _receiver(messages: list[Message], on_message: Callable[[Message], None] | None) -> ThreadingHTTPServer:
    """Takes what Alertmanager would post to Slack."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))["attachments"][0]
            alert, _, resolved = posted["title"].partition(" ")
            message = Message(time.time(), alert, posted["text"], posted.get("footer", ""), bool(resolved))
            messages.append(message)
            if on_message is not None:
                on_message(message)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def _await_ready(url: str, directory: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=2).close()  # noqa: S310 - our own loopback address
            return
        except OSError:
            time.sleep(0.1)
    output = "".join(path.read_text() for path in directory.glob("*.out"))
    raise RuntimeError(f"{url} did not become ready:\n{output[-2000:]}")


def _free_port() -> int:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
