"""What happened in the business, for whoever listens. Ids and bounded values only; never personal data.

The business does not act on its own events: e-mails and tasks are called by name. Listeners connect to
`occurred` and get the event as the keyword `event`; one that fails never breaks a booking.

What a customer begins here may go on elsewhere and come back later, such as a payment. `origin` names the work that is
being done, and `continue_from` tells the listeners of `continued` so when that goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.dispatch import Signal

occurred, continued = Signal(), Signal()
origin: Callable[[], str] = str
"""What the project calls the current work, in at most 100 characters; "" where it has no name. Set by the project."""


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class BookingEvent(Event):
    """Something happened to a booking. `service` is its slug, `by` is customer, staff or system."""

    booking_id: int
    service: str
    by: str


class BookingHeld(BookingEvent):
    """A slot is kept for a customer for some minutes."""


class BookingCreated(BookingEvent):
    """A booking was confirmed at once."""


class BookingConfirmed(BookingEvent):
    """A held booking was confirmed."""


class BookingMoved(BookingEvent):
    """A booking has a new time."""


class BookingCorrected(BookingEvent):
    """Who a visit is for, or where, was corrected."""


class BookingCancelled(BookingEvent):
    """A booking was called off."""


class BookingCompleted(BookingEvent):
    """The job is done."""


class BookingNoShow(BookingEvent):
    """The customer was not there."""


class HoldExpired(BookingEvent):
    """A held slot was given back."""


class BookingReopened(BookingEvent):
    """That a visit was completed, or missed, was taken back."""


class JobAdded(BookingEvent):
    """Another job was added to a booked visit; `service` is that job's."""


class PlaceUnknown(BookingEvent):
    """A visit was booked at a postcode that is not known: the buffer stands for the way to it."""


class BookingReinstated(BookingEvent):
    """A booking that was off is confirmed again: its deposit came late, or staff took back that it was cancelled."""


class CheckoutOpened(BookingEvent):
    """A customer was sent to Stripe to pay the deposit."""


class CheckoutClosed(BookingEvent):
    """A deposit was not paid, and can no longer be."""


class DepositPaid(BookingEvent):
    """A deposit was paid."""


class RefundOwed(BookingEvent):
    """A deposit has to go back."""


class DepositRefunded(BookingEvent):
    """Stripe sends a deposit back."""


@dataclass(frozen=True, slots=True)
class StripeAnswered(Event):
    """A call to Stripe went well. `action` is create_session, read_session, expire_session or refund."""

    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StripeFailed(Event):
    """One did not. `outcome` is unavailable (no answer, or none that can be used) or refused; `error` is the class."""

    action: str
    seconds: float
    outcome: str
    error: str


@dataclass(frozen=True, slots=True)
class WebhookReceived(Event):
    """Stripe reported an event. `kind` is one of the webhook's known types or "other"; `lag` is in seconds."""

    kind: str
    lag: float
    repeated: bool


@dataclass(frozen=True, slots=True)
class WebhookRefused(Event):
    """Something came to the webhook that Stripe had not signed. `reason` is signature or unreadable."""

    reason: str


@dataclass(frozen=True, slots=True)
class BookingRejected(Event):
    """A request was refused. `action` is what was asked for, such as move or take_offer; `reason` a scheduling code."""

    service: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class WaitlistJoined(Event):
    """Somebody waits for an earlier time; `confirmed` once their e-mail address is proved."""

    service: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class WaitlistOffered(Event):
    """A time that came free is kept for somebody who waits."""

    service: str


@dataclass(frozen=True, slots=True)
class WaitlistOfferEnded(Event):
    """An offered time was taken, declined or lapsed: the `outcome`."""

    service: str
    outcome: str


@dataclass(frozen=True, slots=True)
class WaitlistLeft(Event):
    """Somebody waits no more. `how` is booked, stopped, over or replaced."""

    service: str
    how: str


@dataclass(frozen=True, slots=True)
class VisitReported(Event):
    """A handyman reported from a visit. `kind` is one of VisitReport's; `refused` a code of scheduling, or empty."""

    booking_id: int
    service: str
    kind: str
    refused: str


@dataclass(frozen=True, slots=True)
class TimeOffAsked(Event):
    """A handyman asks for time off."""

    handyman_id: int


@dataclass(frozen=True, slots=True)
class ContactMessageReceived(Event):
    message_id: int
    topic: str


@dataclass(frozen=True, slots=True)
class ContactMessageAnswered(Event):
    """Staff answered a message by e-mail. `first` of an answer that nobody had given before."""

    message_id: int
    topic: str
    first: bool


@dataclass(frozen=True, slots=True)
class QuoteSent(Event):
    """Staff quoted a price in answer to a message. `replaces` says that another quote was open, which this ends."""

    quote_id: int
    message_id: int
    replaces: bool


@dataclass(frozen=True, slots=True)
class QuoteWithdrawn(Event):
    """Staff took a quote back."""

    quote_id: int


@dataclass(frozen=True, slots=True)
class QuoteAccepted(Event):
    """A customer accepted a quote; a time is not chosen yet."""

    quote_id: int


@dataclass(frozen=True, slots=True)
class QuoteBooked(Event):
    """A customer chose the time of an accepted quote; booked again where that visit was cancelled."""

    quote_id: int
    booking_id: int


@dataclass(frozen=True, slots=True)
class PhotosAdded(Event):
    """Photos of a visit were sent, by its customer or a handyman (`sender`): how many."""

    booking_id: int
    service: str
    sender: str
    count: int


@dataclass(frozen=True, slots=True)
class ReviewWritten(Event):
    """A customer has reviewed a visit, from 1 to 5; staff have not approved it yet."""

    service: str
    rating: int


@dataclass(frozen=True, slots=True)
class EmailSent(Event):
    """`kind` is confirmation, moved, added, cancelled, restored, address, reminder, prove, held, late, refunded,
    message, answer, quote, on_the_way, running_late, notification, waitlist, offer, visits, review or security."""

    kind: str


@dataclass(frozen=True, slots=True)
class EmailFailed(Event):
    """An attempt failed; it is tried again while attempts are left. `error` is the exception's class."""

    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class PushSent(Event):
    """A push service took a notification for a handyman's phone, or said that the phone is `gone`: the `outcome`."""

    outcome: str


@dataclass(frozen=True, slots=True)
class PushFailed(Event):
    """One did not; the e-mail goes instead. `error` is the exception's class."""

    error: str


@dataclass(frozen=True, slots=True)
class LimitReached(Event):
    """Somebody was asked to wait. `limit` is one of limits.Purpose, `whose` is client or everybody."""

    limit: str
    whose: str


@dataclass(frozen=True, slots=True)
class LimitUnchecked(Event):
    """A rate limit could not be checked, and the client went on. `error` is the exception's class."""

    limit: str
    error: str


@dataclass(frozen=True, slots=True)
class CustomerLinkAsked(Event):
    """Somebody asked for all visits of an e-mail address; `sent` where it has any, and got no e-mail just before."""

    sent: bool


class CustomerLinkOpened(Event):
    """A customer has opened the page of all their visits."""


@dataclass(frozen=True, slots=True)
class PersonalDataExported(Event):
    """A customer's records were written to a file. How many."""

    bookings: int
    messages: int


@dataclass(frozen=True, slots=True)
class PersonalDataErased(Event):
    """Customers' records were forgotten. How many, and why: request or age."""

    bookings: int
    messages: int
    why: str


def publish(event: Event) -> None:
    """Tell listeners once the current transaction has committed; at once outside one."""
    transaction.on_commit(lambda: publish_now(event), robust=True)


def publish_now(event: Event) -> None:
    """Tell listeners now: for refusals, which would be lost with the rolled-back transaction."""
    occurred.send_robust(sender=type(event), event=event)


def continue_from(origin: str) -> None:
    """Tell listeners that the current work continues the one that was called `origin`, unless that is ""."""
    if origin:
        continued.send_robust(sender=None, origin=origin)
