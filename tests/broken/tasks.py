"""Tasks that work or break, once."""

import os

from procrastinate.contrib.django import app

from bookings.models import Service
from tests.broken import CANARY, faults


@app.task(name="broken_task")
def broken(*, service_id: int) -> None:
    raise RuntimeError(f"no parts for {CANARY[0]}")


@app.task(name="working_task")
def working(*, service_id: int) -> None:
    Service.objects.filter(pk=service_id).exists()
    if "PAGE_FAULTS" in os.environ:
        faults.go_wrong("working_task")
