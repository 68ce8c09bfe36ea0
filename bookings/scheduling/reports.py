"""What a handyman reports from his visits, and what follows from it: history, e-mails, the visit's end.

A phone sends a report when it has a net, so it may come twice, and too late. Twice is once. One that can no longer have
its effect is kept with the reason, and the office is notified: what the handyman wrote is never lost.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from bookings import events
from bookings.messaging import outbox
from bookings.models import Booking, Handyman, Status, VisitReport
from bookings.phrases import clock
from bookings.scheduling import errors, history, idempotency
from bookings.scheduling.errors import NotPossible, NotYours, SchedulingError, TooEarly
from bookings.scheduling.history import By, Kind
from bookings.scheduling.retries import atomically
from bookings.scheduling.transitions import change, locked
from bookings.slots.calendars import midnight

OLDEST = timedelta(days=3)
"""A report that claims to be older than this was sent by a clock that is wrong, and counts as made now."""
_FROM: dict[str, tuple[Status, ...]] = {
    VisitReport.Kind.ON_THE_WAY: (Status.CONFIRMED,),
    VisitReport.Kind.ARRIVED: (Status.CONFIRMED,),
    VisitReport.Kind.DONE: (Status.CONFIRMED, Status.COMPLETED),
    VisitReport.Kind.NO_SHOW: (Status.CONFIRMED, Status.COMPLETED, Status.NO_SHOW),
    VisitReport.Kind.COULD_NOT: (Status.CONFIRMED,),
    VisitReport.Kind.LATE: (Status.CONFIRMED, Status.COMPLETED),
}
"""In which statuses of the visit a report has its effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """What was tapped, and when by the phone's clock. `minutes`: of way, of work, or of delay."""

    kind: VisitReport.Kind
    at: datetime
    minutes: int | None = None
    words: str = ""
    materials: str = ""


def report(
    *, booking: Booking, handyman: Handyman, user: User, tap: Tap, key: str, now: datetime | None = None
) -> VisitReport:
    """Keep a report and do what follows from it; the same `key` with the same content is the same report.

    Raises no SchedulingError: `refused` of what comes back has the code of the one that a visit which was changed
    meanwhile raised. The customer is e-mailed once that the handyman is on his way, and of each delay.
    """
    now = now or timezone.now()
    at = tap.at if now - OLDEST <= tap.at <= now else now
    content = {name: value for name, value in asdict(tap).items() if name != "at"}
    stored = idempotency.digest({"key": key, "booking": booking.pk, **content})

    def work() -> VisitReport:
        current = locked(booking)
        if earlier := VisitReport.objects.filter(key=stored).first():
            return earlier
        made = VisitReport(booking=current, handyman=handyman, key=stored, at=at, **content)
        try:
            with transaction.atomic(), errors.published(current.service, "report"):
                _require_possible(current, made)
                made.save()
                _EFFECTS[tap.kind](current, made, user)
        except SchedulingError as refusal:
            made.pk, made.told, made.refused = None, None, refusal.code
            made.save(force_insert=True)
            note = f"{made.get_kind_display()}: {made.words}".removesuffix(": ")
            history.record(current, Kind.REPORTED, by=By.STAFF, user=user, note=note)
        events.publish(
            events.VisitReported(
                booking_id=current.pk, service=current.service.slug, kind=made.kind, refused=made.refused
            )
        )
        return made

    return atomically(work)


def _require_possible(current: Booking, made: VisitReport) -> None:
    if current.handyman_id != made.handyman_id:
        raise NotYours
    if current.status not in _FROM[made.kind]:
        raise NotPossible
    if made.at < midnight(timezone.localdate(current.starts_at)):
        raise TooEarly


def _on_the_way(current: Booking, made: VisitReport, user: User) -> None:
    arrives_at = made.at + timedelta(minutes=made.minutes or 0)
    if _first(current, made):
        history.record(current, Kind.ON_THE_WAY, by=By.STAFF, user=user, note=f"there about {clock(arrives_at)}")
        outbox.after_on_the_way(made)


def _arrived(current: Booking, made: VisitReport, user: User) -> None:
    if _first(current, made):
        history.record(current, Kind.ARRIVED, by=By.STAFF, user=user, note=clock(made.at))


def _done(current: Booking, made: VisitReport, user: User) -> None:
    note = f"{made.minutes} minutes" if made.minutes else ""
    change(current, Kind.COMPLETED, Status.COMPLETED, allowed=(Status.CONFIRMED,), by=By.STAFF, user=user, note=note)


def _no_show(current: Booking, made: VisitReport, user: User) -> None:
    allowed = (Status.CONFIRMED, Status.COMPLETED)
    change(current, Kind.NO_SHOW, Status.NO_SHOW, allowed=allowed, by=By.STAFF, user=user, note=made.words)


def _could_not(current: Booking, made: VisitReport, user: User) -> None:
    """The visit stays as it is: whether it is moved, cancelled or charged is the office's to decide."""
    history.record(current, Kind.COULD_NOT, by=By.STAFF, user=user, note=made.words)


def _late(current: Booking, made: VisitReport, user: User) -> None:
    history.record(current, Kind.LATE, by=By.STAFF, user=user, note=f"{made.minutes} minutes")
    made.told = _next_waiting(current)
    made.save(update_fields=["told"])
    if made.told is not None:
        outbox.after_delay(made, made.told)


_EFFECTS: dict[str, Callable[[Booking, VisitReport, User], None]] = {
    VisitReport.Kind.ON_THE_WAY: _on_the_way,
    VisitReport.Kind.ARRIVED: _arrived,
    VisitReport.Kind.DONE: _done,
    VisitReport.Kind.NO_SHOW: _no_show,
    VisitReport.Kind.COULD_NOT: _could_not,
    VisitReport.Kind.LATE: _late,
}


def _first(current: Booking, made: VisitReport) -> bool:
    return not current.reports.accepted().filter(kind=made.kind).exclude(pk=made.pk).exists()


def _next_waiting(current: Booking) -> Booking | None:
    """The first visit of the day, from this one on, that its handyman has not arrived at."""
    day = timezone.localdate(current.starts_at)
    there = VisitReport.objects.accepted().filter(kind=VisitReport.Kind.ARRIVED).values("booking")
    ahead = Booking.objects.filter(
        handyman=current.handyman_id,
        status=Status.CONFIRMED,
        during__startswith__gte=current.during.lower,
        starts_at__lt=midnight(day + timedelta(days=1)),
    )
    return ahead.exclude(pk__in=there).order_by("during").first()
