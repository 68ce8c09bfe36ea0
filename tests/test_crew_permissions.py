"""Who may see and do what at /crew/: a table by address and object, each cell a test, walked over the URLconf."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from pytest_django import Settings

from bookings.models import Booking, BookingEvent, CalendarFeed, Handyman, TimeOffRequest, VisitPhoto, VisitReport
from bookings.slots.calendars import midnight
from tests import factories
from tests.pictures import picture
from tests.routes import routes

pytestmark = pytest.mark.django_db
LOGIN = 302
WHO = (
    "stranger",
    "half a login",
    "no record",
    "left",
    "handyman",
    "only looks",
    "office",
    "office and record",
    "owner",
)
"""Columns: nobody; a password without its code; of Handymen without a record, or with one that is not active any more;
a handyman; one with a record and the right to look alone; of Office without a record, and with one; the owner."""
#                                     stranger half  none left  him  looks office both owner
PUBLIC = [200] * 9
OWN = [LOGIN, LOGIN, 403, 403, 200, 200, 403, 200, 403]
ABSENT = [LOGIN, LOGIN, 403, 403, 404, 404, 403, 404, 403]
WRITES = [LOGIN, LOGIN, 403, 403, 200, 403, 403, 200, 403]
LATE = [LOGIN, LOGIN, 403, 403, 409, 403, 403, 409, 403]
FOREIGN = [LOGIN, LOGIN, 403, 403, 404, 403, 403, 404, 403]
SAVES = [LOGIN, LOGIN, 403, 403, 302, 403, 403, 302, 403]
SEEN = [LOGIN, LOGIN, 404, 404, 200, 200, 200, 200, 200]
OF_OTHERS = [LOGIN, LOGIN, 404, 404, 404, 404, 200, 200, 200]
SWITCHES = [LOGIN, LOGIN, 403, 403, 302, 302, 403, 302, 403]
TABLE: dict[tuple[str, str, str], list[int]] = {
    ("GET", "/crew/", ""): OWN,
    ("GET", "/crew/kept/<str:which>/", ""): OWN,
    ("GET", "/crew/visits/<int:pk>/", "own"): OWN,
    ("GET", "/crew/visits/<int:pk>/", "a colleague's"): ABSENT,
    ("GET", "/crew/visits/<int:pk>/", "went to a colleague"): ABSENT,
    ("GET", "/crew/visits/<int:pk>/", "held"): ABSENT,
    ("POST", "/crew/visits/<int:pk>/", "own"): WRITES,
    ("POST", "/crew/visits/<int:pk>/", "a colleague's"): FOREIGN,
    ("POST", "/crew/visits/<int:pk>/", "went to a colleague"): LATE,
    ("POST", "/crew/visits/<int:pk>/", "held"): FOREIGN,
    ("GET", "/crew/visits/<int:pk>/photos/", "own"): OWN,
    ("GET", "/crew/visits/<int:pk>/photos/", "a colleague's"): ABSENT,
    ("GET", "/crew/visits/<int:pk>/photos/", "went to a colleague"): ABSENT,
    ("GET", "/crew/visits/<int:pk>/photos/", "held"): ABSENT,
    ("POST", "/crew/visits/<int:pk>/photos/", "own"): WRITES,
    ("POST", "/crew/visits/<int:pk>/photos/", "a colleague's"): FOREIGN,
    ("POST", "/crew/visits/<int:pk>/photos/", "went to a colleague"): WRITES,
    ("POST", "/crew/visits/<int:pk>/photos/", "held"): FOREIGN,
    ("GET", "/visits/photos/<int:pk>.jpg", "own"): SEEN,
    ("GET", "/visits/photos/<int:pk>.jpg", "a colleague's"): OF_OTHERS,
    ("GET", "/visits/photos/<int:pk>.jpg", "went to a colleague"): OF_OTHERS,
    ("GET", "/visits/photos/<int:pk>.jpg", "held"): SEEN,
    ("GET", "/crew/time-off/", ""): OWN,
    ("POST", "/crew/time-off/", ""): SAVES,
    ("GET", "/crew/phone/", ""): OWN,
    ("POST", "/crew/phone/", ""): SWITCHES,
    ("GET", "/crew/calendar/<str:token>.ics", "own"): PUBLIC,
    ("GET", "/crew/calendar/<str:token>.ics", "of who has left"): [404] * 9,
    ("GET", "/crew/worker.js", ""): PUBLIC,
    ("GET", "/crew/manifest.webmanifest", ""): PUBLIC,
}


@dataclass(frozen=True)
class Crew:
    """The client of somebody, and addresses of objects by their name in the table."""

    client: Client
    objects: dict[tuple[str, str], str]


def member(name: str, *groups: str, record: Handyman | None = None) -> User:
    made = User.objects.create_user(name, is_staff=True)
    made.groups.set(Group.objects.filter(name__in=groups))
    if record is not None:
        record.user = made
        record.save()
    return made


@pytest.fixture
def crew_of(settings: Settings) -> Callable[[str], Crew]:
    """Somebody of the table, and a visit of each kind as seen by the handyman that they are, if they are one."""

    def make(who: str) -> Crew:
        service = factories.service()
        him, colleague, gone = (factories.handyman(service) for _ in range(3))
        Handyman.objects.filter(pk=gone.pk).update(active=False)
        gone.refresh_from_db()
        client, user = Client(), None
        if who == "half a login":
            settings.STAFF_SECOND_FACTOR = True
            user = member("half", "Handymen", record=him)
        elif who == "no record":
            user = member("none", "Handymen")
        elif who == "left":
            user = member("left", "Handymen", record=gone)
        elif who == "handyman":
            user = member("him", "Handymen", record=him)
        elif who == "only looks":
            user = member("looks", record=him)
            user.groups.set([group_that_looks()])
        elif who in ("office", "office and record"):
            record = him if who == "office and record" else None
            user = member("office", *(("Office", "Handymen") if record else ("Office",)), record=record)
        elif who == "owner":
            user = User.objects.create_superuser("owner")
        if user is not None:
            client.force_login(user)
        return Crew(client, objects(him, colleague, gone))

    return make


def group_that_looks() -> Group:
    made = Group.objects.create(name="Looks")
    made.permissions.set(Permission.objects.filter(codename="view_own_booking"))
    return made


def objects(him: Handyman, colleague: Handyman, gone: Handyman) -> dict[tuple[str, str], str]:
    day, service = midnight(timezone.localdate()), him.skills.get()

    def visit(of: Handyman, hour: int) -> Booking:
        return factories.booking(service=service, handyman=of, starts_at=day + timedelta(hours=hour))

    visits = {"own": visit(him, 8), "a colleague's": visit(colleague, 8), "went to a colleague": visit(colleague, 12)}
    visits["held"] = visit(him, 12)
    Booking.objects.filter(pk=visits["held"].pk).update(status="held", hold_expires_at=day + timedelta(days=2))
    BookingEvent.objects.create(booking=visits["went to a colleague"], kind="moved", by="staff", was_with=him)
    found = {}
    for name, made in visits.items():
        for page in ("", "photos/"):
            found[f"/crew/visits/<int:pk>/{page}", name] = f"/crew/visits/{made.pk}/{page}"
        photo = VisitPhoto.objects.create(booking=made, jpeg=b"x", digest="x")
        found["/visits/photos/<int:pk>.jpg", name] = f"/visits/photos/{photo.pk}.jpg"
    for name, whose in (("own", him), ("of who has left", gone)):
        whose.user = whose.user or member(f"of {name}", "Handymen")
        whose.save()
        feed = CalendarFeed.objects.create(handyman=whose)
        found["/crew/calendar/<str:token>.ics", name] = f"/crew/calendar/{feed.token}.ics"
    return found


FORMS: dict[str, Callable[[], dict[str, object]]] = {
    "/crew/visits/<int:pk>/": lambda: {"kind": "arrived", "key": "k"},
    "/crew/visits/<int:pk>/photos/": lambda: {"photos": picture()},
    "/crew/time-off/": lambda: {"first": str(timezone.localdate()), "key": "k"},
    "/crew/phone/": lambda: {"action": "feed"},
}


@pytest.mark.parametrize("who", WHO)
def test_each_cell_of_a_column(crew_of: Callable[[str], Crew], who: str) -> None:
    """What is refused writes nothing. Reads come first, as what is written changes what there is."""
    crew, found = crew_of(who), {}
    for method, route, thing in sorted(TABLE):
        address = crew.objects.get((route, thing), route.replace("<str:which>", "today"))
        before = written()
        if method == "GET":
            answer = crew.client.get(address)
        else:
            answer = crew.client.post(address, FORMS[route](), headers={"Accept": "application/json"})
        found[method, route, thing] = answer.status_code
        if answer.status_code in (403, 404) or "/login/" in answer.headers.get("Location", ""):
            assert written() == before, (method, route, thing)
    assert found == {cell: row[WHO.index(who)] for cell, row in TABLE.items()}


def written() -> list[object]:
    feeds = CalendarFeed.objects.order_by("pk").values_list("key", flat=True)
    return [VisitReport.objects.count(), VisitPhoto.objects.count(), TimeOffRequest.objects.count(), list(feeds)]


def test_the_table_names_every_address() -> None:
    """Walks the URLconf: an address that is added next year wants its rows, for reading and for what it takes."""
    walked = {route for route, _ in routes(get_resolver()) if route.startswith(("/crew/", "/visits/"))}
    assert {route for _, route, _ in TABLE} == walked
    client = Client()
    client.force_login(member("him", "Handymen", record=factories.handyman(factories.service())))
    posts = {route for method, route, _ in TABLE if method == "POST"}
    for route in walked - posts:
        address = route.replace("<str:which>", "today").replace("<str:token>", "x").replace("<int:pk>", "1")
        assert client.post(address).status_code == 405, route
