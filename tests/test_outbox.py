"""E-mails: promised with the booking, sent by the real worker, once, however the mail server behaves."""

import asyncio
import email
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, transaction
from icalendar import Calendar
from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django.fixtures import Settings

from bookings import scheduling, tasks
from bookings.messaging import contact, emails, outbox
from bookings.models import Booking, ContactMessage, HowOften, OfficeContact, SentEmail
from bookings.scheduling import By
from harness.stack import BASE_DIR, free_port, wait_for
from tests import factories
from xfhandyman.worker import work_until_told


class Mailbox:
    """A mail server's handler that is sick for some attempts, then well."""

    def __init__(self, sick: int) -> None:
        self.sick = sick
        self.refused = 0
        self.received: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refused < self.sick:
            self.refused += 1
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 OK"


@contextmanager
def serving(mailbox: Mailbox, port: int) -> Iterator[None]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def worker() -> Iterator[Callable[[int], None]]:
    """Start the real worker on the test's database, its mail going to this port."""
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    url = f"{server.rpartition('/')[0]}/{connection.settings_dict['NAME']}" + (f"?{options}" if options else "")
    processes: list[subprocess.Popen[bytes]] = []

    def start(smtp_port: int) -> None:
        environment = {**os.environ, "DATABASE_URL": url, "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}"}
        processes.append(
            subprocess.Popen([sys.executable, "manage.py", "procrastinate", "worker"], cwd=BASE_DIR, env=environment)
        )

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)


def a_booking(*, notified: bool = False) -> Booking:
    """A booking of Zoë's; with `notified`, handyman and office get their e-mails as well."""
    service = factories.service(name="Shelves")
    factories.handyman(service, name="Grace Bennett", email="grace@example.com" if notified else "")
    if not notified:
        OfficeContact.objects.update(notifications=HowOften.NEVER)
    at = factories.tomorrow(14, days=5)
    customer = factories.customer(customer_name="Zoë Müller", customer_email="zoe@example.com")
    return scheduling.book(service=service, starts_at=at, customer=customer, idempotency_key="form")


@pytest.mark.django_db(transaction=True)
def test_it_sends_once_after_the_mail_server_is_back(worker: Callable[[int], None]) -> None:
    port, mailbox = free_port(), Mailbox(sick=1)
    booking = a_booking()
    worker(port)

    def job() -> ProcrastinateJob:
        return ProcrastinateJob.objects.filter(task_name="send_booking_email").latest("id")

    wait_for("a refused attempt", lambda: job().attempts, 30)
    assert Booking.objects.get().status == "confirmed"
    assert not SentEmail.objects.exists()
    with serving(mailbox, port):
        wait_for("the e-mail", lambda: job().status == "succeeded", 40)
        assert mailbox.refused == 1
        tasks.send_booking_email.defer(booking_id=booking.pk, kind="confirmation", sequence=0)
        wait_for("its repetition", lambda: job().status == "succeeded", 20)
    assert len(mailbox.received) == 1
    received = mailbox.received[0]
    assert received["To"] == "zoe@example.com"
    assert received["Message-ID"] == emails.message_id(SentEmail.objects.get().key)
    assert booking.reference in received["Subject"]
    parts = {part.get_content_type(): part for part in received.walk()}
    for kind in ("text/plain", "text/html"):
        assert "/bookings/" in parts[kind].get_content()
        assert "Grace Bennett" in parts[kind].get_content()
    assert parts["text/calendar"].get_param("method") == "REQUEST"
    entry = Calendar.from_ical(parts["text/calendar"].get_content())
    assert entry.walk("VEVENT")[0].decoded("dtstart") == booking.starts_at


@pytest.mark.django_db(transaction=True)
def test_it_notifies_the_handyman_and_the_office_once(worker: Callable[[int], None]) -> None:
    port, mailbox = free_port(), Mailbox(sick=1)
    booking = a_booking(notified=True)
    with serving(mailbox, port):
        worker(port)
        for _ in range(2):
            app.configure_task("hand_over_notifications").defer(timestamp=0)
        wait_for("three e-mails", lambda: len(mailbox.received) == 3, 40)
        jobs = ProcrastinateJob.objects.exclude(task_name="send_reminder")
        wait_for("the queue to be empty", lambda: not jobs.filter(status__in=("todo", "doing")).exists(), 20)
    told = sorted(str(received["To"]) for received in mailbox.received)
    assert told == ["grace@example.com", "office@example.com", "zoe@example.com"]
    notified = [received for received in mailbox.received if "zoe@" not in received["To"]]
    assert all(booking.reference in received.get_content() for received in notified)


class Forgetful(Mailbox):
    """Takes every e-mail, and hangs up instead of saying so."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()
        return answer


class Slow(EmailBackend):
    """Notes whether its caller holds a connection of the database while it waits for the mail server."""

    held: ClassVar[list[bool]] = []

    def open(self) -> bool:
        self.held.append(connection.connection is not None)
        return True


@pytest.mark.django_db(transaction=True)
def test_it_holds_no_connection_while_it_waits_for_the_mail_server(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "tests.test_outbox.Slow"
    tasks.send_booking_email(booking_id=a_booking().pk, kind="confirmation", sequence=0)
    assert Slow.held == [False]
    assert SentEmail.objects.get().sent_at is not None


@pytest.mark.django_db(transaction=True)
def test_it_leaves_to_staff_what_may_have_left(worker: Callable[[int], None]) -> None:
    port, mailbox = free_port(), Forgetful(sick=0)
    booking = a_booking()
    with serving(mailbox, port):
        worker(port)
        jobs = ProcrastinateJob.objects.filter(task_name="send_booking_email")
        wait_for("the task to fail", lambda: jobs.filter(status="failed").count() == 1, 30)
        tasks.send_booking_email.defer(booking_id=booking.pk, kind="confirmation", sequence=0)
        wait_for("its repetition to fail", lambda: jobs.filter(status="failed").count() == 2, 30)
    assert len(mailbox.received) == 1
    assert SentEmail.objects.get().sent_at is None


@pytest.mark.django_db
def test_it_promises_nothing_with_a_booking_that_is_rolled_back() -> None:
    with transaction.atomic():
        a_booking()
        assert ProcrastinateJob.objects.filter(task_name="send_booking_email").exists()
        transaction.set_rollback(True)
    assert not ProcrastinateJob.objects.filter(task_name="send_booking_email").exists()


def test_every_task_that_is_deferred_by_its_name_is_known() -> None:
    sources = [each.read_text() for room in ("bookings", "xfhandyman") for each in (BASE_DIR / room).rglob("*.py")]
    named = {name for source in sources for name in re.findall(r'configure_task\((?:name=)?"(\w+)"', source)}
    assert "send_booking_email" in named
    assert named <= set(app.tasks)


@pytest.mark.django_db(transaction=True)
def test_it_promises_nothing_in_a_task_that_is_rolled_back() -> None:
    """Within the worker a task defers through its own connection, not through the worker's."""
    booking, seen = a_booking(), []

    def task() -> None:
        with transaction.atomic():
            outbox.after_cancellation(booking)
            seen.append(_cancellations())
            transaction.set_rollback(True)
        seen.append(_cancellations())
        connection.close()  # it is this thread's own

    async def work(connected: App) -> None:
        await asyncio.to_thread(task)

    with _no_event_loop():
        asyncio.run(work_until_told(app, work, once=True))
    assert seen == [1, 0]


@contextmanager
def _no_event_loop() -> Iterator[None]:
    """Playwright's synchronous interface leaves its loop running in this thread, where asyncio.run starts no other."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)


def _cancellations() -> int:
    return ProcrastinateJob.objects.filter(task_name="send_booking_email", args__kind="cancelled").count()


@pytest.mark.django_db
def test_it_takes_the_key_back_when_sending_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    booking = a_booking()

    def refuse(*_: object, **__: object) -> int:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", refuse)
        with pytest.raises(ConnectionRefusedError):
            tasks.send_booking_email(booking_id=booking.pk, kind="confirmation", sequence=0)
    for _ in range(2):
        tasks.send_booking_email(booking_id=booking.pk, kind="confirmation", sequence=0)
    assert len(mail.outbox) == 1


@pytest.mark.django_db
def test_it_says_nothing_that_was_overtaken() -> None:
    booking = a_booking()
    scheduling.cancel(booking=booking, by=By.CUSTOMER)
    tasks.send_booking_email(booking_id=booking.pk, kind="confirmation", sequence=0)
    tasks.send_booking_email(booking_id=booking.pk, kind="cancelled", sequence=1)
    assert [message.subject for message in mail.outbox] == [f"Your booking {booking.reference} is cancelled"]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["confirmation", "moved", "cancelled", "reminder"])
def test_it_escapes_in_html_and_not_in_text(kind: str) -> None:
    booking = a_booking()
    booking.service.name = 'Tom & "Jo" <b>'
    message = emails.booking_email(booking, kind)
    html = message.alternatives[0].content  # type: ignore[attr-defined] # always with HTML
    assert 'Tom & "Jo" <b>' in message.body
    assert "Tom &amp; &quot;Jo&quot; &lt;b&gt;" in html
    assert message.message().as_bytes()
    for text in (str(message.body), html):
        assert "{%" not in text
        assert "{{" not in text


@pytest.mark.django_db
def test_it_tells_staff_of_a_message_and_replies_go_to_its_writer() -> None:
    message = contact.receive(
        name="Jo",
        email="jo@example.com",
        phone="",
        topic=ContactMessage.Topic.QUOTE,
        body="How much for 3 < 4 shelves?",
        idempotency_key="form",
    )
    tasks.send_message_to_staff(message_id=message.pk)
    assert mail.outbox[0].reply_to == ["jo@example.com"]
    assert "How much for 3 < 4 shelves?" in mail.outbox[0].body


def test_page_views_are_forgotten_by_a_task_of_every_night() -> None:
    task = app.tasks["telemetry.purge_rum"]
    assert app.tasks["telemetry.tasks.purge_rum"] is task  # as an older release called it
    assert any(periodic.task is task for periodic in app.periodic_registry.periodic_tasks.values())
