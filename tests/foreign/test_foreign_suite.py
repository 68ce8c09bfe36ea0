"""The test suite of an application of others (django-axes) ends alike with telemetry's five lines and without."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from harness.stack import BASE_DIR
from tests.foreign.hosts import ENVIRONMENT, UV

pytestmark = pytest.mark.timeout(600)
SOURCE = BASE_DIR / ".tools" / "axes"
BARE = """
import json, os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from django.test.runner import DiscoverRunner
from tests.settings import *
_url = urlsplit({url!r})
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres",
    "TEST": {{"NAME": "foreign_" + os.environ["RESULT"]}},
    "USER": unquote(_url.username or ""), "PASSWORD": unquote(_url.password or ""),
    "HOST": unquote(_url.hostname or "") or dict(parse_qsl(_url.query)).get("host", ""), "PORT": _url.port or "",
}}}}
class Runner(DiscoverRunner):
    def suite_result(self, suite, result, **options):
        kinds = ("failures", "errors", "skipped")
        bad = {{kind: sorted(str(test) for test, *_ in getattr(result, kind)) for kind in kinds}}
        Path(os.environ["RESULT"] + ".json").write_text(json.dumps({{"run": result.testsRun, **bad}}))
        return super().suite_result(suite, result, **options)
TEST_RUNNER = "bare.Runner"
"""
WATCHED = """
from bare import *
INSTALLED_APPS += ["telemetry"]
MIDDLEWARE = ["telemetry.middleware.ObservingMiddleware", *MIDDLEWARE]
DATABASES["default"]["ENGINE"] = "telemetry.postgresql"
ROOT_URLCONF = "watched_urls"
"""
WATCHED_URLS = """
from django.urls import include, path
from tests.urls import *
urlpatterns += [path("", include("telemetry.urls"))]
"""


def test_their_tests_end_alike(wheel: Path, database: str, tmp_path: Path) -> None:
    if not (SOURCE / "tests").exists():
        pytest.skip("The source of django-axes is not there: make .tools/axes.stamp")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    needed = (f"{wheel}[postgresql]", f"django-axes=={version('django-axes')}", "pytest")
    subprocess.run([UV, "pip", "install", "-q", "--python", python, *needed], check=True)
    (tmp_path / "tests").symlink_to(SOURCE / "tests")
    (tmp_path / "bare.py").write_text(BARE.format(url=database))
    (tmp_path / "watched.py").write_text(WATCHED)
    (tmp_path / "watched_urls.py").write_text(WATCHED_URLS)
    suites = {name: _start(tmp_path, python, name) for name in ("bare", "watched")}  # side by side
    for suite in suites.values():
        suite.wait()
    results = {name: _result(tmp_path, name) for name in suites}
    assert results["bare"]["run"] > 200
    assert results["watched"] == results["bare"]


def _start(directory: Path, python: Path, settings: str) -> subprocess.Popen[bytes]:
    command = [str(python), "-m", "django", "test", "tests", "--noinput", "--settings", settings]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(directory), "RESULT": settings, "PYTHONWARNINGS": "ignore"}
    with open(os.devnull, "wb") as quiet:
        return subprocess.Popen(command, cwd=directory, env=environment, stdout=quiet, stderr=quiet)


def _result(directory: Path, name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((directory / f"{name}.json").read_text())
    return result
