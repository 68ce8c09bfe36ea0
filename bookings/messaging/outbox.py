"""What customers and staff are to be told, deferred in the transaction of the change: the two stand or fall together.

Tasks are named, not imported: tasks.py, which runs them, knows everything that an e-mail can say.
"""

from collections.abc import Sequence

from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app

from bookings.messaging import reviews
from bookings.models import Booking, ContactMessage, FormerAddress, MessageAnswer, Quote, SentEmail, Status, VisitReport

_PAYMENT_LINK_AFTER = 5  # minutes


def after_hold(booking: Booking) -> None:
    """Send the way to pay to a customer who has not paid after some minutes: the tab may be closed."""
    app.configure_task("send_payment_link", schedule_in={"minutes": _PAYMENT_LINK_AFTER}).defer(booking_id=booking.pk)


def after_failed_checkout(booking: Booking) -> None:
    """Send the way to pay at once, because the payment page could not be reached."""
    app.configure_task("send_payment_link").defer(booking_id=booking.pk)


def after_refund_owed(booking: Booking, *, late: bool) -> None:
    """Tell the customer of money that comes back, and apologise if it came too late for the time they had chosen."""
    _email(booking, "late" if late else "refunded")


def after_unproven(booking: Booking) -> None:
    """Ask the customer to confirm the booking, which proves the address."""
    _email(booking, "prove")


def after_booking(booking: Booking) -> None:
    """Confirm it to the customer."""
    _email(booking, "confirmation")


def after_move(booking: Booking) -> None:
    """Tell the customer the new time."""
    if booking.status == Status.CONFIRMED:
        _email(booking, "moved")


def after_added_job(booking: Booking) -> None:
    """Tell the customer what is done in the visit now, and what it costs."""
    _email(booking, "added")


def after_cancellation(booking: Booking) -> None:
    """Tell the customer that the visit is off."""
    _email(booking, "cancelled")


def after_undone_cancellation(booking: Booking) -> None:
    """Tell the customer that the visit stands after all."""
    _email(booking, "restored")


def after_on_the_way(report: VisitReport) -> None:
    """Tell the customer when the handyman will be there."""
    app.configure_task("send_visit_news").defer(booking_id=report.booking_id, report_id=report.pk)


def after_delay(report: VisitReport, waiting: Booking) -> None:
    """Tell the customer who waits next how late it will be."""
    app.configure_task("send_visit_news").defer(booking_id=waiting.pk, report_id=report.pk)


def after_new_address(booking: Booking) -> None:
    """Send what the customer needs to the address that the booking has now: the confirmation, or the way to it."""
    if booking.status == Status.CONFIRMED:
        _email(booking, "confirmation")
    elif not hasattr(booking, "payment"):
        after_unproven(booking)
    elif SentEmail.objects.filter(key__startswith=f"booking:{booking.pk}:held").exists():
        app.configure_task("send_payment_link").defer(booking_id=booking.pk)


def after_old_address(former: FormerAddress) -> None:
    """Notify the address that a customer's booking had before."""
    app.configure_task("send_address_notice").defer(booking_id=former.booking_id, former_id=former.pk)


def after_completion(booking: Booking) -> None:
    """Ask for a review the next morning, if the visit is done then."""
    if booking.customer_email:
        app.configure_task("send_review_request", schedule_at=reviews.ask_at(timezone.now())).defer(
            booking_id=booking.pk
        )


def after_message(message: ContactMessage) -> None:
    """Tell staff of a message."""
    app.configure_task("send_message_to_staff").defer(message_id=message.pk)


def after_answer(answer: MessageAnswer) -> None:
    """Send it to who wrote the message."""
    app.configure_task("send_answer").defer(message_id=answer.message_id, answer_id=answer.pk)


def after_quote(quote: Quote) -> None:
    """Send it to who wrote the message."""
    app.configure_task("send_quote").defer(message_id=quote.message_id, quote_id=quote.pk)


def forget_emails(*, booking_ids: Sequence[int], message_ids: Sequence[int], entry_ids: Sequence[int] = ()) -> int:
    """Take the e-mails about these out of the queue, except those being sent now; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM procrastinate_jobs WHERE status <> 'doing' AND (
                task_name IN ('send_booking_email', 'send_payment_link', 'send_reminder', 'send_address_notice',
                              'send_visit_news', 'send_customer_link', 'send_review_request')
                AND (args ->> 'booking_id')::bigint = ANY(%s)
                OR task_name IN ('send_message_to_staff', 'send_answer', 'send_quote')
                AND (args ->> 'message_id')::bigint = ANY(%s)
                OR task_name IN ('send_waitlist_email', 'send_waitlist_offer')
                AND (args ->> 'entry_id')::bigint = ANY(%s))
            """,
            [list(booking_ids), list(message_ids), list(entry_ids)],
        )
        return int(cursor.rowcount)


def _email(booking: Booking, kind: str) -> None:
    app.configure_task("send_booking_email").defer(booking_id=booking.pk, kind=kind, sequence=booking.sequence)
