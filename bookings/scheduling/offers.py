"""Offering free time to those who wait for it, in their turn, one at a time.

What is free now decides, not what has just happened: a minute that is missed, or done twice, changes nothing, and time
comes free in more ways than a cancellation (time off taken back, longer hours, another handyman).
"""

from datetime import datetime, time, timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone
from procrastinate.contrib.django import app

from bookings import events
from bookings.basket import Work
from bookings.models import Booking, Status, WaitlistEntry, WaitlistOffer
from bookings.scheduling import history, waitlist
from bookings.scheduling.errors import SlotUnavailable
from bookings.scheduling.history import By, Kind
from bookings.scheduling.retries import atomically, violated_constraint
from bookings.scheduling.slot_requests import SlotRequest, commit, with_first_free
from bookings.slots import calendars
from bookings.slots.matching import Preference, first_fit
from bookings.slots.rules import Slot

AWAKE = (time(8), time(21))
"""Local time in which customers are written to, and a time is kept for them."""
MOST_A_DAY = 3
"""Offers to one who waits, in 24 hours."""
MOST_AT_ONCE = 500
_CARRIED = ("customer_name", "customer_email", "customer_phone", "address", "postcode", "notes")


def offer_free_time(now: datetime | None = None) -> int:
    """Offer what is free to those whom it suits, each at most one time at once; returns how many offers were made."""
    now = now or timezone.now()
    waitlist.close_lapsed(now)
    waitlist.end_stale(now)
    if not AWAKE[0] <= timezone.localtime(now).time() < AWAKE[1]:
        return 0
    made, free = 0, dict[tuple[int | None, int, str], list[Slot]]()
    for entry in _ready(now):
        wanted = (entry.booking_id, entry.service_id, _postcode(entry))
        if wanted not in free:
            free[wanted] = _free(entry.booking or entry.service, _postcode(entry), now)
        slot = first_fit(_preference(entry), free[wanted], calendars.current_rules().zone)
        if slot is not None:
            made += _offer(entry, slot.starts_at, now)
            free.clear()  # the offer has taken a handyman's time, or somebody else had
    return made


def keep_for() -> timedelta:
    """How long a time is kept for who was offered it."""
    return timedelta(minutes=settings.WAITLIST_HOLD_MINUTES)


def _ready(now: datetime) -> list[WaitlistEntry]:
    """Those in line, in turn, who have no offer open and have not had many today."""
    waiting = WaitlistEntry.objects.waiting().exclude(offers__outcome=WaitlistOffer.Outcome.OPEN)
    waiting = waiting.filter(service__active=True).select_related("service", "handyman", "booking__handyman")
    entries = waiting.prefetch_related("offers")[:MOST_AT_ONCE]
    return [entry for entry in entries if _had_few(entry, now) and _can_answer(entry, now)]


def _had_few(entry: WaitlistEntry, now: datetime) -> bool:
    return sum(offer.made_at > now - timedelta(days=1) for offer in entry.offers.all()) < MOST_A_DAY


def _can_answer(entry: WaitlistEntry, now: datetime) -> bool:
    """Whether its visit, if there is one, can be moved for as long as an offer is kept."""
    return entry.booking is None or entry.booking.can_be_changed(now + keep_for())


def _postcode(entry: WaitlistEntry) -> str:
    return (entry.booking or entry).postcode


def _free(work: Work, postcode: str, now: datetime) -> list[Slot]:
    """The free slots of a job, or of a visit's jobs, that can be booked for as long as an offer is kept."""
    reader = calendars.Reader(now=now, service=work, postcode=postcode)
    slots = reader.slots(reader.rules.today(now), reader.rules.last_day(now))
    return [slot for slot in slots if slot.starts_at >= now + reader.rules.notice + keep_for()]


def _preference(entry: WaitlistEntry) -> Preference:
    asked_for = entry.asked_for
    return Preference(
        last_day=timezone.localdate(entry.booking.starts_at) if entry.booking else entry.last_day,
        weekdays=frozenset(entry.weekdays),
        not_before=entry.not_before,
        not_after=entry.not_after,
        handyman_id=asked_for.pk if asked_for else None,
        before=entry.booking.starts_at if entry.booking else None,
        offered=frozenset(offer.starts_at for offer in entry.offers.all()),
    )


def _offer(entry: WaitlistEntry, starts_at: datetime, now: datetime) -> bool:
    """Keep the time and write to the customer; False where somebody was faster, or the customer has left."""

    def attempt() -> bool:
        waiting = WaitlistEntry.objects.waiting().filter(pk=entry.pk)
        if not waiting.select_for_update(of=("self",), skip_locked=True):
            return False
        work = entry.booking or entry.service
        request = SlotRequest(
            service=work, postcode=_postcode(entry), starts_at=starts_at, handyman=entry.asked_for, now=now
        )
        hold = with_first_free(request, partial(_hold, entry, request))
        offer = WaitlistOffer.objects.create(entry=entry, hold=hold, starts_at=starts_at, made_at=now)
        app.configure_task(name="send_waitlist_offer").defer(entry_id=entry.pk, offer_id=offer.pk)
        events.publish(events.WaitlistOffered(service=entry.service.slug))
        return True

    try:
        return atomically(attempt)
    except SlotUnavailable:
        return False
    except IntegrityError as error:  # another look at the same moment has offered something
        if violated_constraint(error) not in ("waitlist_offer_once", "waitlist_offer_one_open"):
            raise
        return False


def _hold(entry: WaitlistEntry, request: SlotRequest, handyman_id: int) -> Booking:
    """A held booking with the customer's details, which nobody has asked for yet."""
    taker, slot = commit(request, handyman_id)
    details = entry.booking or entry
    hold = Booking(
        service=entry.service,
        handyman=taker,
        status=Status.HELD,
        hold_expires_at=request.now + keep_for(),
        proven_at=request.now,
        consent_at=entry.created_at,
        created_at=request.now,
        asked_for_handyman=request.handyman is not None,
        **{name: getattr(details, name) for name in _CARRIED},
    )
    lasts = (request.service.duration, request.service.buffer)
    hold.take_time(request.starts_at, slot.planned[0], lasts, slot.buffer)
    hold.take_price()
    hold.save(force_insert=True)
    history.record(hold, Kind.HELD, by=By.SYSTEM)
    return hold
