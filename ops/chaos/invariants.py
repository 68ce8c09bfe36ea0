"""What must hold after any fault, judged from the database's rows and the mail server's post alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from ops.chaos.load import Order

_BOOKINGS = """
    SELECT b.id, b.customer_email, b.reference, b.status, b.starts_at, s.slug,
           lower(b.during) BETWEEN b.starts_at AND b.arrival_until AND upper(b.during) IN (
               b.ends_at,  -- no buffer where the way to the next is known
               b.ends_at + s.buffer_minutes * interval '1 minute') AS whole_time,
           b.ends_at = lower(b.during) + s.duration_minutes * interval '1 minute' AS right_length,
           (SELECT count(*) FROM bookings_bookingevent e
            WHERE e.booking_id = b.id AND e.kind IN ('created', 'held')) AS created,
           ARRAY(SELECT j.status::text FROM procrastinate_jobs j WHERE j.task_name = 'send_booking_email'
                 AND j.args->>'booking_id' = b.id::text AND j.args->>'kind' = 'confirmation') AS confirmations,
           (SELECT count(*) FROM procrastinate_jobs j WHERE j.task_name = 'send_reminder'
                 AND j.args->>'booking_id' = b.id::text) AS reminders
    FROM bookings_booking b JOIN bookings_service s ON s.id = b.service_id
    WHERE b.customer_email LIKE 'chaos%@example.com'
"""
_OVERLAPS = """
    SELECT count(*) FROM bookings_booking a JOIN bookings_booking b
    ON a.handyman_id = b.handyman_id AND a.id < b.id AND a.during && b.during
    WHERE a.status IN ('held', 'confirmed', 'completed') AND b.status IN ('held', 'confirmed', 'completed')
"""
_ORPHANS = """
    SELECT count(*) FROM procrastinate_jobs j WHERE j.task_name IN ('send_booking_email', 'send_reminder')
    AND NOT EXISTS (SELECT 1 FROM bookings_booking b WHERE b.id::text = j.args->>'booking_id')
"""
_UNDER_WAY = """
    SELECT (SELECT count(*) FROM procrastinate_jobs
            WHERE task_name = 'send_booking_email' AND status IN ('todo', 'doing'))
         + (SELECT count(*) FROM bookings_booking WHERE status = 'held' AND customer_email = ANY(%s))
"""
SEEN_BY_STAFF = {"failed", "cancelled", "aborted"}
"""Ends of a task that the Operations page counts and links to."""


@dataclass
class Verdict:
    """Counts that must be 0, but `once` and `stuck` (visible to staff); `told` says which, for a human."""

    lost: int = 0
    duplicated: int = 0
    half: int = 0
    once: int = 0
    stuck: int = 0
    twice: int = 0
    missing: int = 0
    told: list[str] = field(default_factory=list)


def under_way(connection: psycopg.Connection[Any], orders: Iterable[Order]) -> int:
    """How many e-mails have neither left nor been given up, and how many bookings that are paid are not confirmed."""
    paid = [order.email for order in orders if order.outcome == "acknowledged"]
    return int(_one(connection, _UNDER_WAY, [paid]))


def judge(connection: psycopg.Connection[Any], orders: Iterable[Order], post: Iterable[tuple[str, str]]) -> Verdict:
    """Compare what customers were told with what is there. `post`: (recipient, kind) of every e-mail delivered."""
    verdict = Verdict()
    rows = _rows(connection)
    overlaps, orphans = _one(connection, _OVERLAPS), _one(connection, _ORPHANS)
    if overlaps:
        verdict.duplicated += overlaps
        verdict.told.append(f"{overlaps} pairs of visits overlap")
    if orphans:
        verdict.half += orphans
        verdict.told.append(f"{orphans} e-mails were promised for bookings that do not exist")
    delivered = Counter(post)
    for order in orders:
        found = rows.get(order.email, [])
        kept = [row for row in found if row["status"] == "confirmed" and _is_as_ordered(row, order)]
        if order.outcome == "acknowledged" and not kept:
            verdict.lost += 1
            verdict.told.append(f"{order.email} saw {order.slug} at {order.start} confirmed; there is {found}")
        if len(found) > 1:
            verdict.duplicated += len(found) - 1
            verdict.told.append(f"{order.email} booked once and is there {len(found)} times")
        if order.outcome == "refused" and any(row["status"] == "confirmed" for row in found):
            verdict.half += 1
            verdict.told.append(f"{order.email} was refused and booked all the same")
        for row in found:
            _judge_row(row, verdict)
            if row["status"] != "confirmed":
                continue  # a deposit that was never paid
            _judge_email(row, delivered[(order.email, "confirmation")], verdict)
    return verdict


def _is_as_ordered(row: dict[str, Any], order: Order) -> bool:
    return bool(row["slug"] == order.slug and row["starts_at"] == datetime.fromisoformat(order.start))


def _judge_row(row: dict[str, Any], verdict: Verdict) -> None:
    told = len(row["confirmations"]) == (row["status"] == "confirmed")
    whole = row["created"] == 1 and told and row["reminders"] <= 1
    if not (whole and row["whole_time"] and row["right_length"]):
        verdict.half += 1
        verdict.told.append(f"half a booking: {row}")


def _judge_email(row: dict[str, Any], delivered: int, verdict: Verdict) -> None:
    if delivered == 1:
        verdict.once += 1
    elif delivered > 1:
        verdict.twice += 1
        verdict.told.append(f"{row['customer_email']} got the confirmation {delivered} times")
    elif set(row["confirmations"]) & SEEN_BY_STAFF:
        verdict.stuck += 1
    else:
        verdict.missing += 1
        verdict.told.append(f"{row['customer_email']} got no confirmation; its task is {row['confirmations']}")


def _rows(connection: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        by_email: dict[str, list[dict[str, Any]]] = {}
        for row in cursor.execute(_BOOKINGS):
            by_email.setdefault(row["customer_email"], []).append(row)
    return by_email


def _one(connection: psycopg.Connection[Any], query: str, parameters: Sequence[object] = ()) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else 0
