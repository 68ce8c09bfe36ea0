"""What a handyman taps has its effect once, and is kept when it comes too late."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from bookings import events, scheduling, tasks
from bookings.models import Booking, BookingEvent, Handyman, Notification, VisitReport
from bookings.personal_data import forget
from bookings.scheduling import By, reports
from tests import factories

pytestmark = pytest.mark.django_db
Kind = VisitReport.Kind
NINE = factories.tomorrow(9)


@pytest.fixture
def user() -> User:
    made = User.objects.create_user("amir", is_staff=True)
    made.groups.add(Group.objects.get(name="Handymen"))
    return made


@pytest.fixture
def amir(user: User) -> Handyman:
    return factories.handyman(factories.service(), user=user, name="Amir", email="amir@example.com")


@pytest.fixture
def visit(amir: Handyman) -> Booking:
    return made(amir, NINE)


def made(handyman: Handyman, starts_at: datetime, **fields: str) -> Booking:
    return factories.booking(
        service=handyman.skills.get(), handyman=handyman, starts_at=starts_at, proven_at=timezone.now(), **fields
    )


def report(
    visit: Booking, kind: Kind, *, key: str = "k", after: int = 0, now: int = 0, **content: object
) -> VisitReport:
    """Tapped so many minutes after nine, and sent `now` minutes after that."""
    at = NINE + timedelta(minutes=after)
    tap = reports.Tap(kind=kind, at=at, **content)  # type: ignore[arg-type]
    assert visit.handyman.user
    return reports.report(
        booking=visit, handyman=visit.handyman, user=visit.handyman.user, tap=tap, key=key,
        now=at + timedelta(minutes=now),
    )  # fmt: skip


def sent(monkeypatch: pytest.MonkeyPatch, now: datetime) -> list[str]:
    """Run the news in the queue at that time; the subjects with their addresses."""
    monkeypatch.setattr(timezone, "now", lambda: now)
    for job in ProcrastinateJob.objects.filter(task_name="send_visit_news").order_by("id"):
        tasks.send_visit_news(**job.args)
    return [f"{each.to[0]}: {each.subject}" for each in mail.outbox]


def test_on_my_way_tells_the_customer_once_and_when(visit: Booking, monkeypatch: pytest.MonkeyPatch) -> None:
    first = report(visit, Kind.ON_THE_WAY, minutes=20)
    assert report(visit, Kind.ON_THE_WAY, minutes=20).pk == first.pk
    report(visit, Kind.ON_THE_WAY, minutes=30, key="tapped again")
    clock = timezone.localtime(NINE + timedelta(minutes=20)).strftime("%-I:%M%p").lower()
    assert sent(monkeypatch, NINE) == [f"{visit.customer_email}: On the way to you, there about {clock}"]
    assert list(visit.events.values_list("kind", "by", "user__username")) == [("on_the_way", "staff", "amir")]


def test_news_of_what_is_past_is_not_sent(visit: Booking, monkeypatch: pytest.MonkeyPatch) -> None:
    report(visit, Kind.ON_THE_WAY, minutes=20, now=60)
    assert sent(monkeypatch, NINE + timedelta(minutes=60)) == []
    assert visit.events.filter(kind="on_the_way").exists()


def test_a_delay_is_told_to_who_waits_next(amir: Handyman, visit: Booking, monkeypatch: pytest.MonkeyPatch) -> None:
    second = made(amir, NINE + timedelta(hours=3), customer_email="second@example.com")
    made(amir, NINE + timedelta(hours=6), customer_email="third@example.com")
    report(visit, Kind.ARRIVED, after=5)
    told = report(visit, Kind.LATE, after=90, minutes=30, key="late")
    assert told.told == second
    clock = timezone.localtime(NINE + timedelta(hours=3, minutes=30)).strftime("%-I:%M%p").lower()
    assert sent(monkeypatch, NINE + timedelta(minutes=90)) == [f"second@example.com: Running late, there about {clock}"]
    assert "still within the time" in mail.outbox[0].body


def test_done_completes_the_visit_and_a_second_one_corrects_what_was_done(visit: Booking) -> None:
    content: Any = {"minutes": 50, "words": "New washer.", "materials": "Washer 15 mm"}
    assert report(visit, Kind.DONE, after=60, **content).pk == report(visit, Kind.DONE, after=60, **content).pk
    report(visit, Kind.DONE, after=70, minutes=55, words="New washer and seat.", key="corrected")
    visit.refresh_from_db()
    assert visit.status == "completed"
    assert [each.words for each in visit.reports.all()] == ["New washer.", "New washer and seat."]
    (event,) = visit.events.all()
    assert (event.kind, event.by, event.user, event.note) == ("completed", By.STAFF, visit.handyman.user, "50 minutes")


def test_what_could_not_be_done_stays_open_and_the_office_is_notified(visit: Booking) -> None:
    report(visit, Kind.COULD_NOT, words="The stopcock is seized.")
    visit.refresh_from_db()
    assert visit.status == "confirmed"
    (told,) = Notification.objects.all()
    assert told.contact is not None
    assert told.event.note == "The stopcock is seized."


def test_nobody_in_is_a_no_show(visit: Booking) -> None:
    report(visit, Kind.NO_SHOW, after=30)
    visit.refresh_from_db()
    assert visit.status == "no_show"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_report_of_a_cancelled_visit_is_kept_and_the_office_is_notified(
    visit: Booking, kind: Kind, heard: list[events.Event], django_capture_on_commit_callbacks: object
) -> None:
    BookingEvent.objects.create(booking=visit, kind="created", by="customer")
    scheduling.cancel(booking=visit, by=By.STAFF)
    Notification.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        kept = report(visit, kind, minutes=20, words="New washer.", materials="Washer")
    again = report(visit, kind, minutes=20, words="New washer.", materials="Washer")
    assert (kept.pk, kept.refused, kept.words) == (again.pk, "not_possible", "New washer.")
    visit.refresh_from_db()
    assert visit.status == "cancelled"
    (told,) = Notification.objects.all()
    assert (told.contact is not None, told.event.kind) == (True, "reported")
    assert "New washer." in told.event.note
    assert events.VisitReported(visit.pk, visit.service.slug, kind.value, "not_possible") in heard
    assert not ProcrastinateJob.objects.filter(task_name="send_visit_news").exists()


def test_a_report_of_a_visit_that_went_to_a_colleague_is_kept(visit: Booking) -> None:
    before = visit.handyman
    visit.handyman = factories.handyman(visit.service)
    visit.save()
    tap = reports.Tap(kind=Kind.DONE, at=NINE, words="It was me.")
    assert before.user
    kept = reports.report(booking=visit, handyman=before, user=before.user, tap=tap, key="k", now=NINE)
    assert (kept.refused, kept.words) == ("not_yours", "It was me.")
    visit.refresh_from_db()
    assert visit.status == "confirmed"


def test_the_day_before_nobody_is_on_the_way(visit: Booking) -> None:
    assert report(visit, Kind.ON_THE_WAY, minutes=20, after=-24 * 60).refused == "too_early"


def test_a_clock_that_is_wrong_is_not_believed(visit: Booking) -> None:
    ahead = report(visit, Kind.ARRIVED, after=600, now=-500)
    assert ahead.at == NINE + timedelta(minutes=100)


def test_erasure_takes_what_was_written(visit: Booking) -> None:
    report(visit, Kind.DONE, words="Zebedee's tap", materials="For Zebedee")
    forget.anonymise(Booking.objects.all(), timezone.now())
    assert list(visit.reports.values_list("words", "materials")) == [("", "")]
