"""A worker of procrastinate is watched from its start, whatever command runs it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from procrastinate import App
from procrastinate.testing import InMemoryConnector

from telemetry.contrib.procrastinate import jobs
from telemetry.contrib.procrastinate.queue_depth import QueueDepthMeter
from telemetry.serve import lifecycle


def test_a_worker_is_watched_before_its_first_job(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[tuple[Any, ...]]()
    monkeypatch.setattr(lifecycle, "start", lambda *given: begun.append(given))
    app = App(connector=InMemoryConnector())
    jobs.install(app)
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever loop a browser's tests have left running here
        thread.submit(lambda: asyncio.run(app.run_worker_async(wait=False, install_signal_handlers=False))).result()
    [(service, part)] = begun
    assert service.endswith("-worker")
    assert isinstance(part, QueueDepthMeter)
