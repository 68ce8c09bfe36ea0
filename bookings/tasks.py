"""Background work: e-mails, notifications and what is deleted in time. messaging/outbox.py defers the e-mails.

Arguments are ids and versions; what an e-mail says is read when it is sent. A task may run twice: delivery.py keeps
an e-mail from leaving twice.
"""

from datetime import datetime

from django.utils import timezone
from procrastinate import builtin_tasks
from procrastinate.contrib.django import app

from bookings.messaging import emails, notifications, push, reminders, reviews
from bookings.messaging.delivery import Retries, send_once
from bookings.models import (
    Booking,
    CatalogueChange,
    ContactMessage,
    CustomerLink,
    FormerAddress,
    Handyman,
    MessageAnswer,
    Payment,
    Quote,
    Status,
    VisitReport,
)
from bookings.personal_data import forget, own_page
from bookings.ratelimit import limits
from bookings.scheduling import proofs

# 2, 4, 8 ... seconds: back within seconds from a blip, and eighteen hours of retries in an outage.
_RETRIES = Retries(max_attempts=15, exponential_wait=2)


@app.task(name="send_booking_email", retry=_RETRIES)
def send_booking_email(*, booking_id: int, kind: str, sequence: int) -> None:
    """Tell the customer of a booking, a move or a cancellation; not of one that was overtaken by the next.

    A customer who rang and has no e-mail address gets none.
    """
    current = Booking.objects.filter(pk=booking_id, sequence=sequence, erased_at=None)
    if kind == "prove":
        current = current.filter(status=Status.HELD)
    booking = current.with_jobs().select_related("payment").first()
    if booking is not None and booking.customer_email:
        send_once(f"booking:{booking_id}:{kind}:{sequence}", kind, emails.booking_email(booking, kind))


@app.task(name="send_payment_link", retry=_RETRIES)
def send_payment_link(*, booking_id: int) -> None:
    """Tell the customer until when the slot is kept and where to pay, while it is; once."""
    held = Booking.objects.filter(pk=booking_id, status=Status.HELD, hold_expires_at__gt=timezone.now(), erased_at=None)
    booking = held.filter(payment__status=Payment.Status.OPEN).with_jobs().select_related("payment").first()
    if booking is not None and booking.customer_email:
        again = f":{booking.sequence}" if booking.sequence else ""
        send_once(f"booking:{booking_id}:held{again}", "held", emails.booking_email(booking, "held"))


@app.task(name="send_visit_news", retry=_RETRIES)
def send_visit_news(*, booking_id: int, report_id: int) -> None:
    """Tell the customer what the handyman has reported, while the visit stands and the news is of what is to come."""
    report = VisitReport.objects.filter(pk=report_id).first()
    standing = Booking.objects.filter(pk=booking_id, status=Status.CONFIRMED, erased_at=None)
    booking = standing.select_related("service", "handyman", "payment").first()
    if report is None or booking is None or not booking.customer_email:
        return
    kind, expected_at = emails.news_of(report, booking)
    if expected_at > timezone.now():
        send_once(f"booking:{booking_id}:{kind}:{report_id}", kind, emails.booking_email(booking, kind, expected_at))


@app.task(name="send_customer_link", retry=_RETRIES)
def send_customer_link(*, booking_id: int, link_id: int) -> None:
    """Send a customer the link to all their visits, unless a newer one was sent, or this one used, meanwhile."""
    link = CustomerLink.objects.filter(pk=link_id).exclude(mailed_key="").select_related("booking").first()
    if link is not None and link.booking.customer_email:
        send_once(f"visits:{link_id}:{link.made_at:%Y%m%d%H%M%S}", "visits", emails.visits_email(link))


@app.task(name="send_review_request", retry=_RETRIES)
def send_review_request(*, booking_id: int) -> None:
    """Ask for a review of a visit, once, unless it is not done after all or has one."""
    booking = Booking.objects.filter(pk=booking_id).with_jobs().select_related("payment", "review").first()
    if booking is not None and booking.customer_email and reviews.can_be_written(booking):
        send_once(f"booking:{booking_id}:review", "review", emails.booking_email(booking, "review"))


@app.task(name="send_address_notice", retry=_RETRIES)
def send_address_notice(*, booking_id: int, former_id: int) -> None:
    """Notify a booking's former address that it was replaced, and forget that address."""
    former = FormerAddress.objects.filter(pk=former_id, booking=booking_id).select_related("booking").first()
    if former is not None:
        send_once(f"booking:{booking_id}:address:{former_id}", "address", emails.address_email(former))
        former.delete()


@app.task(name="send_reminder", retry=_RETRIES)
def send_reminder(*, booking_id: int, starts_at: str) -> None:
    """Remind the customer, if the visit still stands at that time and is still ahead."""
    standing = Booking.objects.filter(status=Status.CONFIRMED, starts_at__gt=timezone.now(), erased_at=None)
    same_time = standing.filter(pk=booking_id, starts_at=datetime.fromisoformat(starts_at))
    booking = same_time.with_jobs().select_related("payment").first()
    if booking is not None and booking.customer_email:
        send_once(f"booking:{booking_id}:reminder:{starts_at}", "reminder", emails.booking_email(booking, "reminder"))


@app.periodic(cron="*/5 * * * *")
@app.task(name="hand_over_reminders")
def hand_over_reminders(timestamp: int) -> None:
    """Remind customers whose reminder is due."""
    reminders.hand_over(timezone.now())


@app.task(name="send_message_to_staff", retry=_RETRIES)
def send_message_to_staff(*, message_id: int) -> None:
    """Show staff what somebody wrote."""
    message = ContactMessage.objects.filter(pk=message_id).first()
    if message is not None:
        send_once(f"message:{message_id}", "message", emails.message_email(message))


@app.task(name="send_answer", retry=_RETRIES)
def send_answer(*, message_id: int, answer_id: int) -> None:
    """Send what staff answered to who wrote the message."""
    answer = MessageAnswer.objects.filter(pk=answer_id, message=message_id).select_related("message").first()
    if answer is not None:
        send_once(f"message:{message_id}:answer:{answer_id}", "answer", emails.answer_email(answer))


@app.task(name="send_quote", retry=_RETRIES)
def send_quote(*, message_id: int, quote_id: int) -> None:
    """Send a quote to who wrote the message, unless it was withdrawn or replaced meanwhile."""
    quote = Quote.objects.filter(pk=quote_id, message=message_id, withdrawn_at=None).with_lines().first()
    if quote is not None:
        send_once(f"message:{message_id}:quote:{quote_id}", "quote", emails.quote_email(quote))


@app.task(name="send_notifications", retry=_RETRIES)
def send_notifications(*, recipient: str, event_ids: list[int], more: int) -> None:
    """Notify a handyman, on his phone or by e-mail, or the office; the changes are given to no other task."""
    to, changes = notifications.recipient(recipient), notifications.changes(event_ids)
    if to is not None and changes:
        key = f"notifications:{recipient}:{event_ids[-1]}"
        email = emails.notification_email(to, changes, more)
        if isinstance(to, Handyman) and push.send(to, title=str(email.subject), tag=key):
            return
        if to.address:
            send_once(key, "notification", email)


@app.periodic(cron="* * * * *")
@app.task(name="hand_over_notifications")
def hand_over_notifications(timestamp: int) -> None:
    """Send handymen and the office what is due to them."""
    notifications.hand_over()


@app.periodic(cron="30 3 * * *")
@app.task(name="remove_old_jobs", pass_context=True)
async def remove_old_jobs(context: object, timestamp: int) -> None:
    """Forget finished jobs after a month."""
    await builtin_tasks.remove_old_jobs(context, max_hours=30 * 24, remove_failed=True, remove_cancelled=True)  # type: ignore[arg-type] # the context of any task


@app.periodic(cron="41 * * * *")
@app.task(name="forget_addresses")
def forget_addresses(timestamp: int) -> None:
    """Delete what is left of clients that are long gone, in limits and in bookings that are proven or over."""
    limits.forget_whole()
    proofs.forget_clients()
    CatalogueChange.objects.gather()
    own_page.forget_old(timezone.now())


@app.periodic(cron="50 3 * * *")
@app.task(name="forget_old_records")
def forget_old_records(timestamp: int) -> None:
    """Forget customers and messages when it is time."""
    forget.old_records()
