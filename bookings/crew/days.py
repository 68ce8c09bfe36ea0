"""A handyman's days: his visits, what he has reported of them, and what was done there before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Prefetch, Q
from django.db.models.functions import Lower
from django.utils import timezone

from bookings import phone, search
from bookings.crew.ways import Way, ways
from bookings.forms import photos_input
from bookings.models import (
    WORDS_OF_A_BOOKING,
    Booking,
    BookingEvent,
    BookingQuerySet,
    Handyman,
    Status,
    TimeOff,
    VisitPhoto,
    VisitReport,
    new_idempotency_key,
)
from bookings.slots.calendars import midnight

DAY = timedelta(days=1)
AHEAD = 7
"""Days after today that the page lists."""
_BEFORE = 3
_MADE = (BookingEvent.Kind.CREATED, BookingEvent.Kind.CONFIRMED, BookingEvent.Kind.REINSTATED)
_SURE = (Status.CONFIRMED, Status.COMPLETED, Status.NO_SHOW)
_ENDS = {
    Status.COMPLETED.value: "Done",
    Status.NO_SHOW.value: "Nobody was in",
    Status.CANCELLED.value: "Cancelled",
}
_STEPS = {
    VisitReport.Kind.ON_THE_WAY.value: "On the way",
    VisitReport.Kind.ARRIVED.value: "There",
    VisitReport.Kind.COULD_NOT.value: "Could not, the office knows",
}


@dataclass
class Visit:
    """A visit as its handyman sees it. `typed` is what a form that was refused had in it."""

    booking: Booking
    reports: Sequence[VisitReport] = ()
    before: Sequence[Booking] = ()
    typed: Mapping[str, str] = field(default_factory=dict)
    way: Way | None = None

    ways: ClassVar = (5, 10, 15, 20, 30, 45, 60, 90)
    """Minutes that the way may take."""
    delays: ClassVar = (15, 30, 45, 60, 90)
    photos_input: ClassVar = photos_input().render("photos", None)

    @property
    def key(self) -> str:
        """Another one each time: for a form, so that what it sends twice counts once."""
        return new_idempotency_key()

    @property
    def jobs(self) -> str:
        """Every job of the visit."""
        return self.booking.what

    @property
    def open(self) -> bool:
        return self.booking.status == Status.CONFIRMED

    @property
    def step(self) -> str:
        """How far it is: booked, on_the_way, arrived, could_not, or its status once it is over."""
        if not self.open:
            return self.booking.status
        steps = [report.kind for report in self.reports if report.kind in _STEPS]
        return steps[-1] if steps else "booked"

    @property
    def state(self) -> str:
        """The step in words; nothing for a visit that is still to come."""
        return _ENDS.get(self.step) or _STEPS.get(self.step, "")

    @property
    def done(self) -> VisitReport | None:
        """The last report of what was done."""
        return next((each for each in reversed(self.reports) if each.kind == VisitReport.Kind.DONE), None)

    @property
    def minutes(self) -> int:
        """About how long the work took: since the arrival, where that was reported, else as planned."""
        arrived = next((each.at for each in self.reports if each.kind == VisitReport.Kind.ARRIVED), None)
        taken = timezone.now() - arrived if arrived else self.booking.duration
        return max(5, 5 * round(min(taken, DAY) / timedelta(minutes=5)))

    @property
    def from_customer(self) -> list[VisitPhoto]:
        """The photos that came before the visit."""
        return [each for each in self.booking.photos.all() if each.handyman_id is None]

    @property
    def of_the_work(self) -> list[VisitPhoto]:
        """The photos that handymen sent from the visit."""
        return [each for each in self.booking.photos.all() if each.handyman_id is not None]

    @property
    def call(self) -> str:
        """The address that rings the customer."""
        return phone.uri(self.booking.customer_phone)

    @property
    def map(self) -> str:
        """The address that opens a map, or the telephone's navigation, at the visit's place."""
        place = ", ".join(self.booking.place)
        return f"https://www.google.com/maps/dir/?{urlencode({'api': 1, 'destination': place})}"


@dataclass
class Day:
    date: date
    visits: list[Visit]
    off: list[TimeOff]

    @property
    def left(self) -> int:
        """Visits that are still to be made."""
        return sum(visit.open for visit in self.visits)


def of_handyman(handyman: Handyman) -> BookingQuerySet:
    """His visits; one that was cancelled only if it had been more than a slot held for somebody. No holds."""
    certain = Exists(BookingEvent.objects.filter(booking=OuterRef("pk"), kind__in=_MADE))
    mine = Booking.objects.of(handyman.pk).filter(handyman=handyman)
    return mine.filter(Q(status__in=_SURE) | Q(certain, status=Status.CANCELLED))


def reportable(handyman: Handyman) -> BookingQuerySet:
    """The visits that he may report from: his own, and those that went to a colleague after he had them."""
    had = Exists(BookingEvent.objects.filter(booking=OuterRef("pk"), was_with=handyman))
    return Booking.objects.filter(Q(handyman=handyman) | Q(had)).exclude(status=Status.HELD)


def days(handyman: Handyman, first: date, count: int) -> list[Day]:
    """So many days from the first, with their visits in order and his time off. Seven queries, however many visits."""
    start, end = midnight(first), midnight(first + DAY * count)
    found = of_handyman(handyman).filter(starts_at__gte=start, starts_at__lt=end).order_by("during")
    visits = with_details(found)
    there = ways(handyman, [visit.booking for visit in visits])
    visits = [replace(visit, way=there.get(visit.booking.pk)) for visit in visits]
    off = list(TimeOff.objects.filter(handyman=handyman).overlapping(start, end))
    return [
        Day(
            date=day,
            visits=[each for each in visits if timezone.localdate(each.booking.starts_at) == day],
            off=[each for each in off if each.starts_at < midnight(day + DAY) and each.ends_at > midnight(day)],
        )
        for day in (first + DAY * number for number in range(count))
    ]


def one(handyman: Handyman, pk: int) -> Visit | None:
    """One of his visits with its details and the way to it, which depends on the others of its day."""
    found = with_details(of_handyman(handyman).filter(pk=pk))
    if not found:
        return None
    day = timezone.localdate(found[0].booking.starts_at)
    of_day = of_handyman(handyman).filter(starts_at__gte=midnight(day), starts_at__lt=midnight(day + DAY))
    return replace(found[0], way=ways(handyman, of_day.order_by("during")).get(pk))


def with_details(bookings: BookingQuerySet) -> list[Visit]:
    """These visits with what was reported of them and what was done there before."""
    accepted = Prefetch("reports", VisitReport.objects.accepted(), to_attr="accepted")
    photos = Prefetch("photos", VisitPhoto.objects.defer("jpeg"))
    found = list(bookings.with_jobs().prefetch_related(accepted, photos))
    before = _before(found)
    return [Visit(each, each.accepted, before[each.pk]) for each in found]


def _before(bookings: Iterable[Booking]) -> Mapping[int, Sequence[Booking]]:
    """By booking, the last visits that were made to the same customer or place."""
    standing = [each for each in bookings if each.status != Status.CANCELLED and each.erased_at is None]
    if not standing:
        return defaultdict(list)
    done = Prefetch("reports", VisitReport.objects.accepted().filter(kind=VisitReport.Kind.DONE), to_attr="done")
    work = Prefetch("photos", VisitPhoto.objects.of_the_work().defer("jpeg"), to_attr="of_the_work")
    earlier = (
        _perhaps_same(standing)
        .filter(status=Status.COMPLETED)
        .with_jobs()
        .prefetch_related(done, work)
        .order_by("-starts_at")[: 20 * len(standing)]
    )
    found: dict[int, list[Booking]] = defaultdict(list)
    for past in earlier:
        for each in standing:
            if _is_same(past, each) and past.starts_at < each.starts_at and len(found[each.pk]) < _BEFORE:
                found[each.pk].append(past)
    return found


def shows(user: User, past: Booking) -> bool:
    """Whether this user is shown an earlier visit beside one of his own, as one to the same customer or place."""
    if past.status != Status.COMPLETED or past.erased_at is not None:
        return False
    own = _perhaps_same([past]).filter(handyman__user=user, starts_at__gt=past.starts_at, status__in=_SURE)
    return any(_is_same(past, each) for each in own)


def _perhaps_same(visits: Sequence[Booking]) -> BookingQuerySet:
    """Bookings that may be of the same customers or places, found by indexes; _is_same tells exactly."""
    known = Q(lowered__in={each.customer_email.lower() for each in visits if each.customer_email})
    places = [search.whole(f"{each.address} {each.postcode}") for each in visits]
    there = Q(there=True) if any(places) else Q()
    words = search.matches(WORDS_OF_A_BOOKING, " | ".join(f"({place})" for place in places if place))
    found = Booking.objects.alias(lowered=Lower("customer_email"), there=words)
    return found.filter(known | there, erased_at=None)


def _is_same(past: Booking, coming: Booking) -> bool:
    """Whether the two are for one customer, or at one place."""
    known = coming.customer_email.lower()
    there = (past.postcode, past.address.lower()) == (coming.postcode, coming.address.lower())
    return (bool(known) and past.customer_email.lower() == known) or there
