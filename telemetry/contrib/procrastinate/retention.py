"""Page views and incidents are forgotten by a periodic task, where procrastinate runs the tasks."""

from datetime import UTC, datetime, timedelta

from procrastinate import App

from telemetry.conf import conf
from telemetry.diagnosis import records
from telemetry.rum import store


def install(app: App) -> None:
    """Add the task, once a night."""
    # The name it had before, for jobs that an older release deferred.
    named = app.task(name="telemetry.purge_rum", aliases=["telemetry.tasks.purge_rum"], queueing_lock="purge_rum")
    app.periodic(cron="17 3 * * *")(named(purge_rum))


def purge_rum(timestamp: int) -> None:
    """Forget what is older than the retention settings say. `timestamp` is when the run was due (seconds, UTC)."""
    due = datetime.fromtimestamp(timestamp, UTC)
    store.purge(due - timedelta(days=conf.rum_retention_days))
    records.purge(due - timedelta(days=conf.incident_retention_days))
