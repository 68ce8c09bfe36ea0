"""What the business remembers: its catalogue, its people and their time, its bookings and messages."""

from bookings.models.allowances import Allowance
from bookings.models.booking import (
    OCCUPYING,
    WORDS_OF_A_BOOKING,
    Booking,
    BookingQuerySet,
    Status,
    new_link_key,
    new_reference,
    usual_deadline,
    words_of_a_booking,
)
from bookings.models.catalogue import LEAST_DEPOSIT, Priced, Pricing, Service, ServiceArea, ServiceQuerySet
from bookings.models.changes import CatalogueChange
from bookings.models.customers import CustomerLink
from bookings.models.emails import FormerAddress, SentEmail
from bookings.models.history import BookingEvent
from bookings.models.lines import MOST_OF_ONE, BookingLine, Total, Visit, lasting
from bookings.models.messages import (
    WORDS_OF_A_MESSAGE,
    ContactMessage,
    MessageAnswer,
    MessagePhoto,
    Review,
    ReviewSummary,
    VisitPhoto,
)
from bookings.models.notifications import Notification, OfficeContact
from bookings.models.payments import Payment, StripeEvent
from bookings.models.people import Handyman, Holiday, HowOften, TimeOff, Weekday, WorkingHours
from bookings.models.phones import CalendarFeed, PushSubscription
from bookings.models.postcodes import Postcode
from bookings.models.posts import new_idempotency_key
from bookings.models.quotes import Quote, QuoteLine, Step
from bookings.models.trust import Assurance, Portrait
from bookings.models.visits import TimeOffRequest, VisitReport
from bookings.models.waitlist import WaitlistEntry, WaitlistEntryQuerySet, WaitlistOffer

__all__ = [
    "LEAST_DEPOSIT",
    "MOST_OF_ONE",
    "OCCUPYING",
    "WORDS_OF_A_BOOKING",
    "WORDS_OF_A_MESSAGE",
    "Allowance",
    "Assurance",
    "Booking",
    "BookingEvent",
    "BookingLine",
    "BookingQuerySet",
    "CalendarFeed",
    "CatalogueChange",
    "ContactMessage",
    "CustomerLink",
    "FormerAddress",
    "Handyman",
    "Holiday",
    "HowOften",
    "MessageAnswer",
    "MessagePhoto",
    "Notification",
    "OfficeContact",
    "Payment",
    "Portrait",
    "Postcode",
    "Priced",
    "Pricing",
    "PushSubscription",
    "Quote",
    "QuoteLine",
    "Review",
    "ReviewSummary",
    "SentEmail",
    "Service",
    "ServiceArea",
    "ServiceQuerySet",
    "Status",
    "Step",
    "StripeEvent",
    "TimeOff",
    "TimeOffRequest",
    "Total",
    "Visit",
    "VisitPhoto",
    "VisitReport",
    "WaitlistEntry",
    "WaitlistEntryQuerySet",
    "WaitlistOffer",
    "Weekday",
    "WorkingHours",
    "lasting",
    "new_idempotency_key",
    "new_link_key",
    "new_reference",
    "usual_deadline",
    "words_of_a_booking",
]
