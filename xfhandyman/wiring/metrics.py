"""The metrics of the business, counted by observers.py from bookings/events.py.

What is `known` is there with 0, so that the first one counts in an alert.
"""

from itertools import product

from bookings.ratelimit.rates import Purpose
from telemetry.metrics import counter, histogram

_REFUSED = """
already_booked closed deposit_changed does_not_fit horizon not_possible not_yours notice off_grid out_of_area past
quote_gone taken too_early too_late travel unproven
"""
_EMAILS = [
    "added",
    "address",
    "answer",
    "cancelled",
    "confirmation",
    "held",
    "late",
    "message",
    "moved",
    "notification",
    "offer",
    "on_the_way",
    "prove",
    "quote",
    "refunded",
    "reminder",
    "restored",
    "review",
    "running_late",
    "visits",
    "waitlist",
]


def _words(words: str) -> list[tuple[str]]:
    return [(word,) for word in words.split()]


bookings_created = counter("bookings_created_total", "Bookings made.", ("service",), most=100)
jobs_added = counter("booking_jobs_added_total", "Jobs added to booked visits.", ("service",), most=100)
places_unknown = counter(
    "bookings_place_unknown_total",
    "Visits booked at a postcode that is not known.",
    ("by",),
    known=_words("customer staff system"),
)
bookings_rejected = counter("bookings_rejected_total", "Bookings refused.", ("reason",), known=_words(_REFUSED))
bookings_cancelled = counter("bookings_cancelled_total", "Bookings cancelled.", ("by",), known=_words("customer staff"))
visit_reports = counter(
    "visit_reports_total",
    "Reports of handymen from their visits (outcome: accepted, refused).",
    ("kind", "outcome"),
    known=product(
        ("on_the_way", "arrived", "done", "no_show", "could_not", "late"),
        ("accepted", "refused"),
    ),
)
contact_forms_submitted = counter("contact_forms_submitted_total", "Contact messages received.", ("topic",))
contact_messages_answered = counter(
    "contact_messages_answered_total",
    "Answers that staff sent to contact messages, by the message's topic.",
    ("topic",),
)
visit_photos = counter(
    "visit_photos_total",
    "Photos sent for visits (sender: customer, handyman).",
    ("sender",),
    known=_words("customer handyman"),
)
quotes = counter(
    "quotes_total",
    "Quotes by what became of them (step: sent, replaced, withdrawn, accepted, booked).",
    ("step",),
    known=_words("sent replaced withdrawn accepted booked"),
)
reviews = counter(
    "reviews_total",
    "Reviews that customers wrote, by their rating.",
    ("rating",),
    known=_words("1 2 3 4 5"),
)
customer_links = counter(
    "customer_links_total",
    "Links to all visits of a customer (step: sent, not_sent, opened).",
    ("step",),
    known=_words("sent not_sent opened"),
)
waitlist = counter(
    "waitlist_total",
    "Steps of those who wait for an earlier time.",
    ("step",),
    known=_words("joined confirmed offered taken declined lapsed booked stopped over replaced"),
)
emails = counter(
    "emails_total",
    "E-mails handed to the mail server, or failed to be.",
    ("kind", "outcome"),
    known=product(_EMAILS, ("sent", "failed")),
)
pushes = counter(
    "pushes_total",
    "Notifications to handymen's phones (outcome: sent, gone, failed).",
    ("outcome",),
    known=_words("sent gone failed"),
)
limits = counter(
    "rate_limits_total",
    "Requests asked to wait, or let through unchecked.",
    ("limit", "whose"),
    known=product(Purpose, ("client", "everybody", "unchecked")),
)
payments = counter(
    "payments_total",
    "Deposits by what became of them.",
    ("outcome",),
    known=_words("opened paid unpaid refund_owed refunded"),
)
stripe_calls = histogram(
    "stripe_call_seconds",
    "Calls to Stripe (outcome: ok, unavailable, refused).",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ("action", "outcome"),
)
webhook_lag = histogram(
    "payment_webhook_lag_seconds",
    "From what happened at Stripe to the webhook that tells of it.",
    (1, 2.5, 5, 10, 30, 60, 300, 3600, 86400),
    ("kind",),
)
webhooks_refused = counter(
    "payment_webhooks_refused_total",
    "Posts to the webhook that were not Stripe's.",
    ("reason",),
    known=_words("signature unreadable"),
)
staff_logins = counter(
    "staff_logins_total",
    "Logins of staff (outcome: ok, failed, locked).",
    ("outcome",),
    known=_words("ok failed locked"),
)
db_replica_requests = counter(
    "db_replica_requests_total",
    "Requests that may be answered from a replica (by: replica, primary).",
    ("by",),
    known=_words("replica primary"),
)
