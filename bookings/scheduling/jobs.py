"""The jobs of a visit beyond its first: written with it, or added while they fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from bookings import events
from bookings.messaging import outbox
from bookings.models import Booking, BookingLine, Service, Status
from bookings.scheduling import errors, history, proofs
from bookings.scheduling.errors import DoesNotFit, NotPossible
from bookings.scheduling.history import By, Kind
from bookings.scheduling.retries import atomically
from bookings.scheduling.slot_requests import NoLongerFree, SlotRequest, commit
from bookings.scheduling.transitions import locked, require_changeable
from bookings.slots.rules import Slot


@dataclass(frozen=True, slots=True)
class _Larger:
    """A booked visit with another job."""

    booking: Booking
    line: BookingLine

    @property
    def duration(self) -> timedelta:
        return self.booking.duration + timedelta(minutes=self.line.minutes)

    @property
    def buffer(self) -> timedelta:
        return max(self.booking.buffer, self.line.service.buffer)

    @property
    def services(self) -> list[Service]:
        return [*self.booking.services, self.line.service]


def add(
    *,
    booking: Booking,
    service: Service,
    position: int,
    by: By,
    user: User | None = None,
    now: datetime | None = None,
) -> Booking:
    """Add a service, once and at today's price, to a booked visit: the same window, the same handyman.

    `position` is that of the new line, as the form had shown it: the same form posted twice adds one job. Raises
    TooLate, NotPossible, TooManyUnproven, or DoesNotFit where the handyman does not do it or has no time for it.
    """
    now, line = now or timezone.now(), BookingLine.of(service)

    def work() -> Booking:
        current = locked(booking)
        there = current.lines.filter(position=position).first()
        if there is not None and there.service_id == service.pk:
            return current
        require_changeable(current, by, now)
        proofs.require_few_changes(current, by, now)
        if len(current.jobs) != position or not is_open_for_more(current, by, now):
            raise NotPossible
        larger = _Larger(current, line)
        try:
            _, slot = commit(_request(larger, by, now), current.handyman_id)
        except NoLongerFree as error:
            raise DoesNotFit from error
        current.take_time(current.starts_at, slot.planned[0], (larger.duration, larger.buffer), slot.buffer)
        current.sequence += 1
        current.save()
        write(current, [line], position)
        history.record(current, Kind.ADDED, by=by, user=user, note=service.name)
        outbox.after_added_job(current)
        events.publish(events.JobAdded(booking_id=current.pk, service=service.slug, by=by.value))
        return current

    with errors.published(booking.service, "add_job"):
        return atomically(work)


def is_open_for_more(booking: Booking, by: By, now: datetime) -> bool:
    """Whether another job may be added to this visit at all."""
    allowed = booking.is_open if by != By.CUSTOMER else booking.can_be_changed(now)
    room = len(booking.jobs) < settings.BOOKING_JOBS_PER_VISIT
    return allowed and room and booking.status == Status.CONFIRMED


def that_fit(booking: Booking, services: Iterable[Service], by: By, now: datetime) -> list[Service]:
    """Those of these services that its handyman can do as well, in the same window.

    One that asks for a deposit is not added to a visit: what is to be paid for it was fixed when it was booked.
    """
    able = set(booking.handyman.skills.values_list("pk", flat=True))
    free = [each for each in services if each.pk in able and not each.deposit]
    fitting, largest = set[int](), list[Service]()
    for each in sorted(free, key=lambda service: -service.duration_minutes):
        within = any(one.duration >= each.duration and one.buffer >= each.buffer for one in largest)
        larger = _Larger(booking, BookingLine.of(each))
        if within or isinstance(_request(larger, by, now).judge(booking.handyman), Slot):
            fitting.add(each.pk)
            largest.append(each)
    return [each for each in free if each.pk in fitting]


def _request(larger: _Larger, by: By, now: datetime) -> SlotRequest:
    booking = larger.booking
    return SlotRequest(
        service=larger,
        postcode=booking.postcode,
        starts_at=booking.starts_at,
        handyman=booking.handyman,
        by=by,
        now=now,
        moving=booking,
        overtime=booking.overtime and by != By.CUSTOMER,
    )


def write(booking: Booking, jobs: Sequence[BookingLine], first: int = 1) -> None:
    """Write further jobs of a visit, from a position on; the given lines stay unsaved, as an attempt may come again."""
    lines = [
        BookingLine(
            booking=booking,
            position=position,
            service=job.service,
            quantity=job.quantity,
            minutes=job.minutes,
            pricing=job.pricing,
            price_pence=job.price_pence,
            minimum_minutes=job.minimum_minutes,
        )
        for position, job in enumerate(jobs, start=first)
    ]
    if lines:
        BookingLine.objects.bulk_create(lines)
