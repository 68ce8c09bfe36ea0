"""The task worker's life: it works until it is told to stop, through any outage of the database.

Procrastinate's worker ends when it loses the database; who started it would have to start it again. Here it begins
again by itself. What a killed worker was doing is handed on once its heartbeat is missed, instead of staying "doing".
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

PAUSE = 2.0
"""Seconds before the next attempt."""
LOOK = 5.0
"""Seconds between two looks for the jobs of dead workers."""
MISSED = 20.0
"""Seconds without a heartbeat (there is one every 5 s) after which a worker counts as dead."""

log = structlog.get_logger("xfhandyman.worker")


async def work_until_told(app: App, work: Callable[[App], Awaitable[None]], *, once: bool = False) -> None:
    """Run `work` on a connector of its own, again and again until SIGINT or SIGTERM; `once` ends with the first."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    while not told.is_set():
        working = asyncio.create_task(_connected(app, work))
        await _first(working, told)
        if told.is_set():
            working.cancel()  # procrastinate's way to be asked to finish what runs and end
        try:
            await working
        except asyncio.CancelledError:
            return
        except Exception as error:
            log.warning(
                "task_worker_interrupted", error_type=type(error).__name__, reason=str(error.__cause__ or error)
            )
        if once:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), PAUSE)


async def _connected(app: App, work: Callable[[App], Awaitable[None]]) -> None:
    djangos = app.connector
    own = djangos.get_worker_connector()  # type: ignore[attr-defined] # Django's has it
    # The worker itself asks asynchronously. What a task defers goes through the task's own connection: with its
    # transaction, as everywhere, or the job could run, and an e-mail leave, before what it tells of is committed.
    own.get_sync_connector = lambda: djangos
    with app.replace_connector(own) as connected:
        async with connected.open_async():
            handing_on = asyncio.create_task(_hand_on(connected))
            try:
                await work(connected)
            finally:
                handing_on.cancel()


async def _first(working: "asyncio.Task[None]", told: asyncio.Event) -> None:
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _hand_on(app: App) -> None:
    """Give the jobs of dead workers back to the queue. Several workers may do it at once; one of them gets each."""
    while True:
        with suppress(ConnectorException):
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=MISSED):
                with suppress(ConnectorException):  # another worker was first
                    await app.job_manager.retry_job(job)
                    log.warning("task_requeued", task=job.task_name, job_id=job.id)
        await asyncio.sleep(LOOK)
