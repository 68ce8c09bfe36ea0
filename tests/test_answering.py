"""Staff answer a message within the inbox: sent by the business, kept with who wrote it, forgotten with its message."""

import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import events, tasks
from bookings.messaging import outbox
from bookings.models import ContactMessage, MessageAnswer
from bookings.personal_data import archive, erasure
from tests import factories, forms

pytestmark = pytest.mark.django_db
ANSWER = "Yes, we do fences.\n\nShall we look at it on Friday?"


@pytest.fixture
def message() -> ContactMessage:
    return ContactMessage.objects.create(
        name="<b>Robin</b>", email="robin@example.com", topic="quote", body="Could you put up a fence? evil.example"
    )


@pytest.fixture
def office(client: Client) -> Client:
    client.force_login(factories.clerk())
    return client


def page(message: ContactMessage) -> str:
    return f"/admin/bookings/contactmessage/{message.pk}/change/"


def send(client: Client, message: ContactMessage, **typed: Any) -> Any:
    return forms.submit(client, page(message), **{"answer": ANSWER, "send_answer": "1"} | typed)


def test_an_answer_is_sent_from_the_business_and_kept_with_who_wrote_it(
    office: Client, message: ContactMessage, django_capture_on_commit_callbacks: Any
) -> None:
    seen: list[events.Event] = []
    events.occurred.connect(lambda event, **_: seen.append(event), weak=False, dispatch_uid="seen")
    with django_capture_on_commit_callbacks(execute=True):
        response = send(office, message)
    events.occurred.disconnect(dispatch_uid="seen")
    assert "Your answer is on its way" in response.content.decode()
    assert seen == [events.ContactMessageAnswered(message_id=message.pk, topic="quote", first=True)]
    answer = message.answers.get()
    assert (answer.body, str(answer.written_by)) == (ANSWER, "clerk")
    message.refresh_from_db()
    assert (message.handled_at is not None, str(message.handled_by)) == (True, "clerk")
    job = ProcrastinateJob.objects.get(task_name="send_answer")
    ids = {"message_id": message.pk, "answer_id": answer.pk}
    assert {**job.args, "_telemetry": None} == {**ids, "_telemetry": None}, "ids alone"
    for _ in range(2):
        tasks.send_answer(**ids)
    (letter,) = mail.outbox
    assert letter.to == ["robin@example.com"]
    assert ANSWER in letter.body
    assert "evil.example" not in str(letter.message()), "anybody can give anybody's address"
    shown = office.get(page(message)).content.decode()
    assert "Shall we look at it on Friday?" in shown
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Answered."]


def test_the_same_form_sent_twice_is_one_answer_and_another_is_another(office: Client, message: ContactMessage) -> None:
    typed = forms.posted(office.get(page(message)).content, answer=ANSWER, send_answer="1")
    for _ in range(2):
        assert office.post(page(message), typed).status_code == 302
    send(office, message, answer="One more thing.")
    assert [each.body for each in message.answers.all()] == [ANSWER, "One more thing."]


def test_nothing_is_sent_where_a_colleague_has_answered_meanwhile(office: Client, message: ContactMessage) -> None:
    typed = forms.posted(office.get(page(message)).content, answer=ANSWER, send_answer="1")
    send(office, message, answer="A colleague's answer.")
    refused = office.post(page(message), typed).content.decode()
    assert "Changed meanwhile: handled at" in refused
    assert "Shall we look at it on Friday?" in refused, "what was typed"
    assert "A colleague&#x27;s answer." in refused, "what the colleague wrote"
    assert message.answers.count() == 1
    assert office.post(page(message), forms.posted(refused, send_answer="1")).status_code == 302
    assert message.answers.count() == 2


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"answer": "  "}, "Write the answer first."),
        ({"answer": "x" * 5001}, "at most 5000 characters"),
        ({"send_answer": None, "mark_handled": "1"}, "This is not sent yet"),
    ],
)
def test_what_cannot_be_sent_is_kept_on_the_page(
    office: Client, message: ContactMessage, typed: dict[str, Any], told: str
) -> None:
    response = send(office, message, **typed).content.decode()
    assert told in response
    assert typed.get("answer", "Shall we look at it on Friday?").strip() in response
    message.refresh_from_db()
    assert message.handled_at is None
    assert not MessageAnswer.objects.exists()


def test_who_only_reads_and_spam_get_no_answer(client: Client, message: ContactMessage) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_contactmessage"))
    client.force_login(reader)
    assert 'name="answer"' not in client.get(page(message)).content.decode()
    assert client.post(page(message), {"answer": ANSWER, "key": "k", "send_answer": "1"}).status_code == 403
    ContactMessage.objects.update(suspected_spam=True)
    client.force_login(User.objects.create_superuser("owner"))
    spam = client.get(page(message)).content
    assert b'name="answer"' not in spam
    client.post(page(message), forms.posted(spam, answer=ANSWER, key="k", send_answer="1"))
    assert not MessageAnswer.objects.exists()


def test_answers_are_given_out_and_forgotten_with_their_message(office: Client, message: ContactMessage) -> None:
    send(office, message)
    file = BytesIO()
    archive.write(message.email, file)
    told = json.loads(ZipFile(file).read("customer.json"))
    assert [each["body"] for each in told["messages"][0]["answers"]] == [ANSWER]
    assert erasure.erase(message.email).waiting_emails == 1
    assert not MessageAnswer.objects.exists()
    assert outbox.forget_emails(booking_ids=[], message_ids=[message.pk]) == 0
