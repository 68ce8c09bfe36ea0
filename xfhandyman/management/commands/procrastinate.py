"""The task worker, traced and with its errors reported."""

import asyncio
from typing import Any

from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.contrib.django.management.commands import procrastinate

from telemetry.conf import conf
from telemetry.contrib.procrastinate.queue_depth import QueueDepthMeter
from telemetry.serve import lifecycle
from xfhandyman import worker


class Command(procrastinate.Command):
    """Procrastinate's own command; `worker` begins and ends as a watched process that outlives database outages."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("command") != "worker":
            super().handle(*args, **options)
            return
        known = self._django_options | {"command", "func"}
        given = {name: value for name, value in options.items() if name not in known}

        async def work(connected: App) -> None:
            await connected.run_worker_async(**given, install_signal_handlers=False)

        lifecycle.start(f"{conf.service_name}-worker", QueueDepthMeter(app.tasks))
        try:
            asyncio.run(worker.work_until_told(app, work, once=given.get("wait") is False))
        finally:
            lifecycle.stop()
