"""A server forks its workers: what the parent holds on the board of the host is not theirs."""

import os
from pathlib import Path

import pytest

from telemetry.conf import conf
from telemetry.diagnosis import incidents


@pytest.mark.parametrize("duty", ["leader", "writer"])
def test_one_process_alone_has_a_duty_also_when_it_forks(
    duty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCIDENTS_DIR", str(tmp_path / "board"))
    conf.forget()
    monkeypatch.setattr(incidents, "_board", None)
    assert incidents.board().hold(duty)
    child = os.fork()
    if child == 0:
        os._exit(incidents.board().hold(duty))
    _, status = os.waitpid(child, 0)
    conf.forget()
    assert os.waitstatus_to_exitcode(status) == 0, "the child believes that it has its parent's duty"
