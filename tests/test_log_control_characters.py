"""What a client sends must not reach the terminal that shows the log as a command, nor as another line."""

import json
import os
import re
import subprocess
import sys

import pytest

from harness.stack import BASE_DIR

EVIL = "a\x1b[2Jb\x00c\x07d\x7fe\x9b31mf\u202eg\u2066h\u2028i\rj\nevent='forged'\tk"
SCRIPT = f"""
import logging, warnings
import structlog
from telemetry.contrib.gunicorn import records
from telemetry.logs.setup import install
records.register()
install()
evil = {EVIL!r}
structlog.get_logger("ours").warning("line_one", said=evil, **{{"field": [evil, {{"deep": evil}}]}})
structlog.get_logger("ours").info(evil)
logging.getLogger("gunicorn.error").warning("told %s", evil)
logging.getLogger("anybody").warning("told " + evil)
try:
    raise ValueError(evil)
except ValueError:
    structlog.get_logger("ours").exception("line_five")
"""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("kind", ["console", "json"])
def test_it_writes_no_control_character_as_it_is(kind: str) -> None:
    environment = {**os.environ, "LOG_FORMAT": kind, "LOG_LEVEL": "INFO", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=BASE_DIR, env=environment, capture_output=True, timeout=60
    )
    written = done.stderr.decode()
    assert done.returncode == 0, written
    assert "line_one" in written
    assert not CONTROL.search(written), CONTROL.findall(written)
    assert "x1b" in written or "u001b" in written, "it is there to be seen"
    assert not [line for line in written.splitlines() if line.startswith("event='forged'")]
    if kind == "json":
        lines = [json.loads(line) for line in written.splitlines()]
        assert len(lines) == 5
        assert lines[0]["said"] == EVIL, "a reader of JSON gets what was sent"
    else:
        first = written.splitlines()[0]
        assert "line_one" in first
        assert "forged" in first
