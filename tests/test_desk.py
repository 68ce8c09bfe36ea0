"""The admin's first page: today."""

import re
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from bookings.admin import panels
from bookings.admin.desk import Desk
from bookings.admin.panels import MOST_COUNTED, Panel
from bookings.models import (
    Booking,
    ContactMessage,
    Handyman,
    Holiday,
    Payment,
    Service,
    Status,
    TimeOff,
    TimeOffRequest,
    VisitReport,
    WaitlistEntry,
)
from tests import factories

pytestmark = pytest.mark.django_db
TODAY = "/admin/"
NOON = timezone.make_aware(datetime(2031, 6, 4, 12))
"""A Wednesday."""


@pytest.fixture
def service() -> Service:
    return factories.service(name="Tap repair")


@pytest.fixture
def amir(service: Service) -> Handyman:
    return factories.handyman(service, name="Amir Shah")


@pytest.fixture
def owner() -> User:
    return User.objects.create_superuser("owner")


def visit(person: Handyman, hours: float, **fields: Any) -> Booking:
    """A visit of an hour that begins so many hours after noon."""
    (service,) = person.skills.all()
    return factories.booking(service=service, handyman=person, starts_at=NOON + timedelta(hours=hours), **fields)


def panel(user: User, title: str, now: datetime = NOON) -> Panel:
    return next(each for each in panels.of(Desk(user, now)) if each.title.startswith(title))


def test_it_says_who_is_where_and_where_they_go_next(owner: User, service: Service, amir: Handyman) -> None:
    at, following = visit(amir, -0.5), visit(amir, 2)
    visit(amir, 4)
    beth = factories.handyman(service, name="Beth Cole")
    visit(beth, -3, status=Status.COMPLETED)
    ahead = visit(beth, 1)
    found = {each.handyman: each for each in Desk(owner, NOON).whereabouts}
    assert (found[amir].now, found[amir].next, found[amir].left) == (at, following, 3)
    assert (found[beth].now, found[beth].next, found[beth].absence) == (None, ahead, "")
    assert list(found) == [amir, beth], "who is at a visit comes first"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda amir: None, ""),
        (lambda amir: amir.working_hours.update(start=time(13)), "Begins at 13:00"),
        (lambda amir: amir.working_hours.update(end=time(11)), "Finished for today"),
        (lambda amir: amir.working_hours.filter(weekday=2).delete(), "Not working today"),
        (lambda amir: Holiday.objects.create(date=NOON.date(), name="Feast"), "Holiday"),
        (
            lambda amir: TimeOff.objects.create(
                handyman=amir, starts_at=NOON - timedelta(hours=1), ends_at=NOON + timedelta(hours=1)
            ),
            "Off 11:00-13:00",
        ),
    ],
)
def test_it_says_why_somebody_is_at_no_visit(owner: User, amir: Handyman, change: Any, said: str) -> None:
    change(amir)
    (found,) = Desk(owner, NOON).whereabouts
    assert found.absence == said


def test_it_lists_what_is_late_and_closes_it_with_one_button(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    earlier = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    late = factories.booking(service=service, handyman=amir, starts_at=earlier)
    page = admin_client.get(TODAY).content.decode()
    assert "should have been done" in page
    shown = re.findall(r'name="_shown" value="(booking:[^"]+)"', page)
    done = f"/admin/bookings/booking/{late.pk}/done/"
    assert done in page
    assert admin_client.get(done).status_code == 405
    answer = admin_client.post(done, {"_shown": shown}, follow=True)
    late.refresh_from_db()
    assert late.status == Status.COMPLETED
    assert "Every visit so far is closed." in answer.content.decode()


def test_it_closes_nothing_that_was_changed_since_it_was_shown(
    admin_client: Client, service: Service, amir: Handyman
) -> None:
    earlier = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    late = factories.booking(service=service, handyman=amir, starts_at=earlier)
    answer = admin_client.post(
        f"/admin/bookings/booking/{late.pk}/done/", {"_shown": f"booking:{late.pk}:x"}, follow=True
    )
    late.refresh_from_db()
    assert late.status == Status.CONFIRMED
    assert "changed meanwhile" in answer.content.decode()


def test_it_lists_clashes_of_the_next_days_but_no_overtime(owner: User, amir: Handyman) -> None:
    clash = visit(amir, 26)
    visit(amir, 30, overtime=True)
    amir.working_hours.update(end=time(12))
    found = panel(owner, "Clashes")
    assert [line.link for line in found.lines] == [f"/admin/bookings/booking/{clash.pk}/change/"]
    assert found.lines[0].more == "Thu 14:00: outside working hours"


def test_it_lists_messages_longest_waiting_first_and_deposits(owner: User, amir: Handyman) -> None:
    for name, hours in (("Late", 1), ("Early", 30)):
        ContactMessage.objects.create(
            name=name, email="a@example.com", body="Hello", created_at=NOON - timedelta(hours=hours)
        )
    ContactMessage.objects.create(name="Spam", email="a@example.com", body="x", suspected_spam=True)
    held = visit(amir, 24, status=Status.HELD, hold_expires_at=NOON + timedelta(minutes=20))
    Payment.objects.create(booking=held, amount_pence=3000, currency="gbp", session_expires_at=NOON)
    messages = panel(owner, "Messages")
    assert [line.what for line in messages.lines] == ["Early: a question", "Late: a question"]
    assert messages.lines[0].more == "waiting for 1\xa0day"
    (deposit,) = panel(owner, "Deposits").lines
    assert deposit.what == f"£30: Tap repair, {held.customer_name}"
    assert deposit.more == "Thu 12:00, kept until 12:20"


def test_it_lists_who_is_in_line_and_who_wants_time_off(owner: User, service: Service, amir: Handyman) -> None:
    entry = {"service": service, "last_day": NOON.date(), "customer_email": "a@example.com"}
    WaitlistEntry.objects.create(customer_name="In Line", confirmed_at=NOON, weekdays=[0], **entry)
    WaitlistEntry.objects.create(customer_name="Not Confirmed", **entry)
    for key, status in (("a", "waiting"), ("b", "declined")):
        TimeOffRequest.objects.create(
            handyman=amir, starts_at=NOON, ends_at=NOON + timedelta(hours=2), status=status, key=key
        )
    (line,) = panel(owner, "In line").lines
    assert (line.what, line.more) == ("In Line: Tap repair", "Monday, any time, until Wed 04 Jun")
    (line,) = panel(owner, "Time off").lines
    assert (line.what, line.more) == ("Amir Shah: from Wed 04 Jun 12:00", "until Wed 04 Jun 14:00")


def test_it_counts_no_further_than_a_number_says_something(owner: User) -> None:
    message = {"email": "a@example.com", "body": "Hello"}
    ContactMessage.objects.bulk_create(ContactMessage(name=f"N{n}", **message) for n in range(MOST_COUNTED + 5))
    assert panel(owner, "Messages").counted == "99+"


def test_it_shows_to_each_what_they_may_see(client: Client, service: Service, amir: Handyman) -> None:
    colleague = factories.handyman(service, name="Carla Canary")
    for person in (amir, colleague):
        visit(person, 1)
    user = User.objects.create_user("amir", is_staff=True)
    user.groups.add(Group.objects.get(name="Handymen"))
    Handyman.objects.filter(pk=amir.pk).update(user=user)
    desk = Desk(User.objects.get(pk=user.pk), NOON)
    assert [each.handyman for each in desk.whereabouts] == [amir]
    assert desk.to_make == 1
    assert {each.title for each in panels.of(desk)} == {"Late or not closed", "Clashes in the next seven days"}

    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_review"))
    client.force_login(reader)
    page = client.get(TODAY).content.decode()
    assert "Who is where" not in page
    assert "Reviews" in page


def test_it_keeps_the_systems_tables_on_a_page_of_their_own(admin_client: Client, client: Client) -> None:
    today, system = (admin_client.get(path).content.decode() for path in (TODAY, "/admin/system/"))
    assert "/admin/axes/" not in today
    assert "/admin/bookings/review/" in today
    for path in ("/admin/auth/user/", "/admin/axes/accessattempt/", "/admin/procrastinate/procrastinatejob/"):
        assert f'href="{path}"' in system
    assert 'href="/admin/system/"' in today
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.groups.add(Group.objects.get(name="Office"))
    client.force_login(clerk)
    assert 'href="/admin/system/"' not in client.get(TODAY).content.decode()


def test_it_needs_no_more_queries_the_more_there_is(
    admin_client: Client, service: Service, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        person = factories.handyman(service)
        now = timezone.now()
        Booking.objects.bulk_create(
            factories.unsaved_booking(service=service, handyman=person, starts_at=now + timedelta(hours=2 * hour))
            for hour in range(-20, 40)
        )
        asked = ContactMessage.objects.create(name="N", email="a@example.com", body="B")
        factories.quote(asked, service)
    # Session and user; visits, handymen and their hours, days off and holidays; each panel, twice where it counts;
    # twice the further jobs of visits.
    with django_assert_max_num_queries(20):
        page = admin_client.get(TODAY).content.decode()
    assert "99+" in page


def reported(
    booking: Booking, kind: str, hours: float, minutes: int | None = None, told: Booking | None = None
) -> None:
    """Some hours after noon."""
    at, who = NOON + timedelta(hours=hours), booking.handyman
    VisitReport.objects.create(
        booking=booking, handyman=who, kind=kind, key=f"{kind}{hours}", at=at, minutes=minutes, told=told
    )


def test_who_says_that_he_comes_after_the_window_is_late_before_it_closes(owner: User, amir: Handyman) -> None:
    first, waits = visit(amir, -1), visit(amir, 1)
    assert panel(owner, "Late").lines == []
    reported(first, "late", -0.25, 45, told=waits)
    assert panel(owner, "Late").lines == [], "within the window"
    reported(first, "late", 0, 150, told=waits)
    found = panel(owner, "Late")
    assert [(line.link, line.more) for line in found.lines] == [
        (
            f"/admin/bookings/booking/{waits.pk}/change/",
            f"there about 15:30, promised by {timezone.localtime(waits.arrival_until):%H:%M}",
        )
    ]
    assert found.count == 1
    reported(waits, "on_the_way", 0, 30)
    assert panel(owner, "Late").lines == [], "what was said last counts"


def test_who_began_late_is_late_to_end_only_once_the_work_takes_longer_than_planned(
    owner: User, amir: Handyman
) -> None:
    began_late, forgotten = visit(amir, -3), visit(amir, -6)
    assert len(panel(owner, "Late").lines) == 2
    reported(began_late, "arrived", -0.5)
    assert [line.link for line in panel(owner, "Late").lines] == [f"/admin/bookings/booking/{forgotten.pk}/change/"]
    VisitReport.objects.update(at=NOON - timedelta(hours=2))
    assert len(panel(owner, "Late").lines) == 2
