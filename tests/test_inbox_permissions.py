"""Who may see and do what with messages, answers and quotes: a table, each cell a test, walked over the URLconf."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from pytest_django import Settings

from bookings.admin.compared import shown
from bookings.models import ContactMessage, Handyman, MessageAnswer, MessagePhoto, Quote, Service
from tests import factories, forms
from tests.routes import routes

pytestmark = pytest.mark.django_db
LOGIN, DONE = 302, "done"
WHO = ("stranger", "half a login", "has left", "no staff", "handyman", "operations", "reads", "office", "owner")
"""Columns: no account; a password without its code; an account that is closed; one that is not staff's; one of Handymen
with a record; one of Operations; who may only read messages; one of Office; the owner. DONE: it was written."""
#                                stranger half  left  none  him operations reads office owner
PUBLIC = [200] * 9
READ = [LOGIN] * 4 + [403, 403, 200, 200, 200]
REFUSED = [LOGIN] * 4 + [403] * 5
OWNER = [LOGIN] * 4 + [403, 403, 403, 403, 200]
EXPORTED = [LOGIN] * 4 + [403, 403, 403, 200, 200]
WRITES = [LOGIN] * 4 + [403, 403, 403, DONE, DONE]
LATE = [LOGIN] * 4 + [403, 403, 403, LOGIN, LOGIN]
"""The form is taken and does nothing: it leads back to the list."""
CHOSEN = [LOGIN] * 4 + [403, 403, 200, DONE, DONE]
"""Of the list, which shows itself again to who has no action."""
SEEN = ["no"] * 6 + ["yes", "yes", "yes"]
OFFICES = ["no"] * 7 + ["yes", "yes"]
INBOX = "/admin/bookings/contactmessage/"
CHANGE = f"{INBOX}<path:object_id>/change/"
QUOTE = "/quotes/<str:token>/"
TABLE: dict[tuple[str, str, str], Sequence[object]] = {
    ("GET", INBOX, "open"): READ,
    ("GET", f"{INBOX}add/", "open"): REFUSED,
    ("GET", f"{INBOX}export/", "open"): EXPORTED,
    ("GET", f"{INBOX}<path:object_id>/", "open"): [LOGIN] * 9,
    ("GET", CHANGE, "open"): READ,
    ("GET", CHANGE, "spam"): READ,
    ("GET", CHANGE, "quoted"): READ,
    ("GET", f"{INBOX}<path:object_id>/history/", "open"): READ,
    ("GET", f"{INBOX}<path:object_id>/delete/", "open"): REFUSED,
    ("GET", "/contact/photos/<int:pk>.jpg", "open"): READ,
    ("GET", "/admin/bookings/booking/customer/", "open"): OWNER,
    ("GET", QUOTE, "quoted"): PUBLIC,
    ("GET", QUOTE, "booked"): PUBLIC,
    ("GET", QUOTE, "forged"): [404] * 9,
    # What a page shows: that there are messages and quotes, boxes to write in, and a way from a visit to its quote.
    ("Messages to answer", "/admin/", "open"): SEEN,
    ("Quotes under way", "/admin/", "quoted"): SEEN,
    ('id="quote-', CHANGE, "quoted"): SEEN,
    ('name="answer"', CHANGE, "open"): OFFICES,
    ('name="quote_job_1"', CHANGE, "open"): OFFICES,
    ('name="withdraw_quote"', CHANGE, "quoted"): OFFICES,
    ('name="answer"', CHANGE, "spam"): ["no"] * 9,
    ('name="withdraw_quote"', CHANGE, "booked"): ["no"] * 9,
    ("#quote-", "/admin/bookings/booking/<path:object_id>/change/", "booked"): SEEN,
    # What is done by a form that the page has shown to the owner, whoever posts it.
    ("send_answer", CHANGE, "open"): WRITES,
    ("send_answer", CHANGE, "spam"): LATE,
    ("send_quote", CHANGE, "open"): WRITES,
    ("send_quote", CHANGE, "quoted"): WRITES,
    ("send_quote", CHANGE, "spam"): LATE,
    ("withdraw_quote", CHANGE, "quoted"): WRITES,
    ("withdraw_quote", CHANGE, "booked"): LATE,
    ("mark_handled", CHANGE, "open"): WRITES,
    ("mark_spam", CHANGE, "open"): WRITES,
    ("not_spam", CHANGE, "spam"): WRITES,
    ("mark_handled", INBOX, "open"): CHOSEN,
    ("not_spam", INBOX, "spam"): CHOSEN,
    ("POST", QUOTE, "quoted"): [DONE] * 9,
    ("POST", QUOTE, "booked"): [302] * 9,
    ("POST", QUOTE, "forged"): [404] * 9,
}


DEEDS = ("send_answer", "send_quote", "withdraw_quote", "mark_handled", "mark_spam", "not_spam", "POST")


@dataclass(frozen=True)
class Inbox:
    """What the table's things are: messages, and the service and the handyman of their quotes."""

    service: Service
    dev: Handyman

    def message(self, thing: str) -> ContactMessage:
        made = ContactMessage.objects.create(
            name="Robin", email=f"{thing}@example.com", body="A fence?", suspected_spam=thing == "spam"
        )
        MessagePhoto.objects.create(message=made, jpeg=b"x")
        if thing in ("quoted", "booked", "forged"):
            factories.quote(made, self.service)
        if thing == "booked":
            at = factories.tomorrow() + timedelta(days=Quote.objects.count())
            visit = factories.booking(service=self.service, handyman=self.dev, starts_at=at)
            made.quotes.update(accepted_at=timezone.now(), booking=visit)
        return made

    def address(self, route: str, thing: str, message: ContactMessage) -> str:
        quote = message.quotes.first()
        token = "forged" if thing == "forged" else quote.link_token if quote else ""
        row = quote.booking_id if quote and "/booking/" in route else message.pk
        photo = message.photos.get().pk
        found = route.replace("<path:object_id>", str(row)).replace("<str:token>", token)
        found = found.replace("<int:pk>", str(photo))
        asked = {"/admin/bookings/booking/customer/": f"?contactmessage={message.pk}", INBOX: "?folder=all"}
        return found + asked.get(route, "")


@pytest.fixture
def inbox() -> Inbox:
    service = factories.service()
    return Inbox(service, factories.handyman(service))


@pytest.fixture
def client_of(settings: Settings, inbox: Inbox) -> Callable[[str], Client]:
    def make(who: str) -> Client:
        client = Client()
        if who == "stranger":
            return client
        user = User.objects.create_user(who, is_staff=who != "no staff", is_superuser=who == "owner")
        group = {"handyman": "Handymen", "operations": "Operations", "reads": ""}.get(who, "Office")
        user.groups.set(Group.objects.filter(name=group))
        if who == "reads":
            wanted = ("view_contactmessage", "view_booking")
            user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
        if who == "handyman":
            Handyman.objects.filter(pk=inbox.dev.pk).update(user=user)
        client.force_login(user)
        if who == "half a login":
            settings.STAFF_SECOND_FACTOR = True
        if who == "has left":
            User.objects.filter(pk=user.pk).update(is_active=False)
        return client

    return make


@pytest.fixture
def boss() -> Client:
    """The owner, who opens the forms that are then posted by each."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def written() -> list[object]:
    return [
        list(model.objects.order_by("pk").values_list(*fields))
        for model, fields in (
            (ContactMessage, ("pk", "handled_at", "suspected_spam")),
            (MessageAnswer, ("pk",)),
            (Quote, ("pk", "accepted_at", "withdrawn_at", "booking")),
        )
    ]


def pressed(inbox: Inbox, button: str, page: bytes) -> forms.Posted:
    typed = {"send_answer": {"answer": "Yes."}, "send_quote": {"quote_job_1": str(inbox.service.pk)}}.get(button, {})
    price = {"quote_price_1": "90"} if button == "send_quote" else {}
    return forms.posted(page, **typed, **price, **{button: "1"})


@pytest.mark.parametrize("who", WHO)
def test_each_cell_of_a_column(
    inbox: Inbox, client_of: Callable[[str], Client], boss: Client, settings: Settings, who: str
) -> None:
    """A message serves until something is written of it."""
    things = {thing: inbox.message(thing) for _, _, thing in TABLE}
    posted = {thing for deed, route, thing in TABLE if route == CHANGE and deed in DEEDS}
    pages = {thing: boss.get(inbox.address(CHANGE, thing, things[thing])).content for thing in posted}
    client, found = client_of(who), dict[tuple[str, str, str], int | str]()
    for deed, route, thing in TABLE:
        address = inbox.address(route, thing, things[thing])
        if deed == "GET":
            found[deed, route, thing] = client.get(address).status_code
        elif deed not in DEEDS:
            found[deed, route, thing] = "yes" if deed in client.get(address).content.decode() else "no"
        else:
            form: dict[str, object] = {}
            if route == INBOX:
                row = things[thing]
                form = {"action": deed, ACTION_CHECKBOX_NAME: [row.pk], "_shown": [shown(row)]}
            elif route == CHANGE:
                form = dict(pressed(inbox, deed, pages[thing]))
            before = written()
            found[deed, route, thing] = client.post(address, form).status_code
            if written() != before:
                found[deed, route, thing] = DONE
                things[thing] = inbox.message(thing)
                pages[thing] = boss.get(inbox.address(CHANGE, thing, things[thing])).content
    assert found == {row: cells[WHO.index(who)] for row, cells in TABLE.items()}


def test_the_table_names_every_address(inbox: Inbox, boss: Client) -> None:
    """Walks the URLconf: an address that is added next year wants its rows; one that only shows writes nothing."""
    own = (INBOX, "/quotes/", "/contact/photos/")
    walked = {route for route, _ in routes(get_resolver()) if route.startswith(own)}
    assert {route for _, route, _ in TABLE if route.startswith(own)} == walked
    writes = {route for deed, route, _ in TABLE if deed in DEEDS}
    for route in walked - writes:
        message = inbox.message("quoted")
        before = written()
        boss.post(inbox.address(route, "quoted", message), {"post": "yes", "answer": "Yes.", "send_answer": "1"})
        assert written() == before, route
