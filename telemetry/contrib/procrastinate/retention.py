"""The watching's own background tasks."""

from datetime import UTC, datetime, timedelta

from procrastinate.contrib.django import app

from telemetry.conf import conf
from telemetry.rum import store


@app.periodic(cron="17 3 * * *")
@app.task(queueing_lock="purge_rum", pass_context=False)
def purge_rum(timestamp: int) -> None:
    """Forget page views older than RUM_RETENTION_DAYS. `timestamp` is when the run was due (seconds, UTC)."""
    store.purge(datetime.fromtimestamp(timestamp, UTC) - timedelta(days=conf.rum_retention_days))
