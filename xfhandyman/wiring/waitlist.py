"""What of the line for an earlier time goes wrong without a word: tickets, read on a connection of their own."""

from collections.abc import Iterator
from datetime import timedelta

from bookings.scheduling.offers import MOST_AT_ONCE
from telemetry.observe import probe
from telemetry.tickets import Ticket

SILENT = timedelta(minutes=30)
"""After which a round, which is made every minute, or the e-mail of an offer is missed."""
TIMEOUT = 2.0
_WAITING = """
    SELECT count(*), extract(epoch FROM now() - min(confirmed_at))::float
    FROM bookings_waitlistentry WHERE ended_at IS NULL AND confirmed_at IS NOT NULL
"""
_LAST_ROUND = """
    SELECT extract(epoch FROM now() - events.at)::float
    FROM procrastinate_events events JOIN procrastinate_jobs jobs ON jobs.id = events.job_id
    WHERE jobs.task_name = 'offer_free_time' AND events.type = 'succeeded'
    ORDER BY events.id DESC LIMIT 1
"""
_UNSENT = """
    SELECT count(*) FROM bookings_waitlistoffer offers
    WHERE outcome = 'lapsed' AND made_at BETWEEN now() - interval '1 day' AND now() - %s AND NOT EXISTS
    (SELECT FROM bookings_sentemail WHERE key = format('waitlist:%%s:offer:%%s', offers.entry_id, offers.id)
     AND sent_at IS NOT NULL)
"""


def tickets() -> Iterator[Ticket]:
    """Rounds that do not end, a line longer than a round looks at, and offers that lapsed before anybody knew."""
    if not probe.speaks_psycopg():
        return
    with probe.connect("default", "tickets", TIMEOUT) as connection:
        waiting, longest = connection.execute(_WAITING).fetchone()
        last = connection.execute(_LAST_ROUND).fetchone() if waiting else None
        (unsent,) = connection.execute(_UNSENT, [SILENT]).fetchone()
    silent = min(last[0], longest) if last else longest
    if waiting and silent > SILENT.total_seconds():
        yield _ticket("round", f"{waiting} customers are in line, and for {silent / 60:.0f} minutes no round has ended")
    if waiting > MOST_AT_ONCE:
        yield _ticket("line", f"{waiting} customers are in line, and a round looks at the first {MOST_AT_ONCE}")
    if unsent:
        yield _ticket("offer", f"{unsent} offers of the last day lapsed before their e-mail was sent")


def _ticket(subject: str, says: str) -> Ticket:
    return Ticket("waitlist", subject, f"{says}: free time is offered to nobody.")
