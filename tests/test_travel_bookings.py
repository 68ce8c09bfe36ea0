"""Travel between visits as it is kept: listed, judged, booked, moved, corrected; and known by postcode alone."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from bookings import events, postcodes, scheduling
from bookings.admin import clashes, schedule
from bookings.admin.axis import columns
from bookings.checks import check_places
from bookings.models import Booking, Handyman, Postcode, Service
from bookings.scheduling import corrections
from bookings.scheduling.history import By
from bookings.slots import calendars
from bookings.slots.week import week
from tests import factories

MINUTE = timedelta(minutes=1)
PECKHAM, CAMDEN, WOODFORD, MORTLAKE, UNKNOWN = "SE15 4QL", "NW1 7RP", "E18 1WB", "SW14 7ZL", "SE15 9ZZ"
pytestmark = pytest.mark.django_db


@pytest.fixture
def known() -> None:
    postcodes.keep(postcodes.demo())


@pytest.fixture
def service() -> Service:
    return factories.service(buffer_minutes=0)


@pytest.fixture
def ann(service: Service) -> Handyman:
    return factories.handyman(service)


def book(service: Service, hour: int, postcode: str, *, by: By = By.CUSTOMER, overtime: bool = False) -> Booking:
    return scheduling.book(
        service=service,
        starts_at=factories.tomorrow(hour),
        customer=factories.customer(postcode=postcode),
        idempotency_key=f"{hour} {postcode} {by} {overtime}",
        by=by,
        overtime=overtime,
    )


def hours_at(service: Service, postcode: str | None) -> list[int]:
    day = factories.tomorrow().date()
    return [
        slot.starts_at.hour for slot in calendars.free_slots(service=service, first=day, last=day, postcode=postcode)
    ]


def test_the_way_from_the_visit_before_is_kept_free(service: Service, ann: Handyman, known: None) -> None:
    book(service, 12, PECKHAM)
    assert {11, 13} & set(hours_at(service, CAMDEN)) == set()
    assert {11, 13} & set(hours_at(service, UNKNOWN)) == {11, 13}, "the buffer, which is none here"
    assert set(hours_at(service, None)) < set(hours_at(service, UNKNOWN))
    with pytest.raises(scheduling.TooFar) as refused:
        book(service, 13, CAMDEN)
    assert refused.value.code == "travel"
    assert refused.value.alternatives
    assert book(service, 14, CAMDEN).handyman == ann


def test_nobody_who_imports_no_postcodes_sees_any_of_it(service: Service, ann: Handyman) -> None:
    ann.start_postcode = ann.end_postcode = CAMDEN
    ann.save()
    book(service, 12, PECKHAM)
    expected = [hour for hour in hours_at(service, "") if hour != 12]
    assert hours_at(service, CAMDEN) == hours_at(service, None) == expected
    assert {11, 13} < set(expected)


def test_a_short_way_needs_no_buffer(known: None) -> None:
    service = factories.service(duration_minutes=45, buffer_minutes=60)
    factories.handyman(service)
    book(service, 12, PECKHAM)
    assert 13 in hours_at(service, PECKHAM)
    second = book(service, 13, PECKHAM)
    assert second.during.upper == second.ends_at
    assert second.buffer == 60 * MINUTE
    assert 14 not in hours_at(service, UNKNOWN)


def test_what_was_booked_before_the_import_keeps_its_buffer(known: None) -> None:
    service = factories.service(duration_minutes=45, buffer_minutes=60)
    ann = factories.handyman(service)
    factories.booking(service=service, handyman=ann, starts_at=factories.tomorrow(12), postcode=PECKHAM)
    assert 13 not in hours_at(service, PECKHAM)
    assert 14 in hours_at(service, PECKHAM)


def test_staff_may_book_it_however_far(service: Service, ann: Handyman, known: None) -> None:
    book(service, 12, PECKHAM)
    with pytest.raises(scheduling.TooFar):
        book(service, 13, CAMDEN, by=By.STAFF)
    booked = book(service, 13, CAMDEN, by=By.STAFF, overtime=True)
    assert booked.starts_at == factories.tomorrow(13)
    with pytest.raises(scheduling.SlotTaken):
        book(service, 13, PECKHAM, by=By.STAFF, overtime=True)


def test_a_visit_moves_only_to_where_its_handyman_gets(service: Service, ann: Handyman, known: None) -> None:
    book(service, 12, PECKHAM)
    visit = book(service, 16, CAMDEN)
    for hour in (11, 13):
        with pytest.raises(scheduling.TooFar):
            scheduling.move(booking=visit, starts_at=factories.tomorrow(hour), by=By.CUSTOMER)
    scheduling.move(booking=visit, starts_at=factories.tomorrow(14), by=By.CUSTOMER)


def test_a_cancelled_visit_comes_back_only_if_it_is_reached(service: Service, ann: Handyman, known: None) -> None:
    visit = scheduling.cancel(booking=book(service, 13, CAMDEN), by=By.STAFF)
    book(service, 12, PECKHAM)
    with pytest.raises(scheduling.TooFar):
        scheduling.undo(booking=visit)


def test_another_postcode_must_be_reached_too(service: Service, ann: Handyman, known: None) -> None:
    book(service, 12, PECKHAM)
    visit = book(service, 14, CAMDEN)
    near = book(service, 15, UNKNOWN)
    details = corrections.details_of(visit)
    with pytest.raises(scheduling.TooFar):
        corrections.correct(booking=near, details={"postcode": PECKHAM}, by=By.CUSTOMER)
    corrections.correct(booking=near, details={"postcode": CAMDEN}, by=By.STAFF, however_far=True)
    assert Booking.objects.get(pk=near.pk).postcode == CAMDEN
    assert corrections.correct(booking=visit, details=details | {"notes": "x"}, by=By.CUSTOMER).notes == "x"


def test_the_nearest_of_those_who_are_free_gets_it(service: Service, ann: Handyman, known: None) -> None:
    bob = factories.handyman(service, start_postcode=CAMDEN, end_postcode=CAMDEN)
    assert book(service, 12, CAMDEN).handyman == bob
    assert book(service, 15, CAMDEN).handyman == bob, "though he has a visit and Ann has none"
    slots = calendars.free_slots(
        service=service, first=factories.tomorrow().date(), last=factories.tomorrow().date(), postcode=CAMDEN
    )
    assert all(slot.is_nearby for slot in slots if bob.pk in slot.handyman_ids)


def test_the_day_starts_at_home(service: Service, ann: Handyman, known: None) -> None:
    first = []
    for home in ("", CAMDEN, WOODFORD):
        Handyman.objects.update(start_postcode=home)
        first.append(hours_at(service, MORTLAKE)[0])
    assert [hour - first[0] for hour in first] == [0, 1, 2], "the further from home, the later"


def test_a_week_takes_no_more_queries(service: Service, ann: Handyman, known: None) -> None:
    now = timezone.now()
    for postcode in (None, "", CAMDEN, UNKNOWN):
        with CaptureQueriesContext(connection) as queries:
            week(service=service, now=now, postcode=postcode)
        assert len(queries) == 1


def test_it_keeps_one_set_of_postcodes_with_its_corners(known: None) -> None:
    postcodes.keep({"N1 2AB": (51.5, -0.1), "N1 2AC": (51.6, -0.1), "N1 2AD": (51.5, 0.1), "N1 2AE": (51.53, -0.05)})
    assert set(Postcode.objects.filter(is_corner=False).values_list("code", flat=True)) == {"N1 2AE"}
    assert Postcode.objects.count() == 4


def test_the_postcode_of_the_home_page_goes_along_to_the_form(
    client: Client, service: Service, ann: Handyman, known: None
) -> None:
    book(service, 12, PECKHAM)
    home = client.get("/", {"postcode": "se154ql"}).content.decode()
    assert f"/services/{service.slug}/?postcode=SE15%204QL" in home
    shown = client.get(f"/services/{service.slug}/", {"postcode": "se154ql"}).content.decode()
    assert f"/book/{service.slug}/?postcode=SE15%204QL" in shown
    day = str(factories.tomorrow().date())
    week_ = client.get(f"/book/{service.slug}/", {"postcode": "se154ql", "day": day}).content.decode()
    assert "Someone is nearby" in week_
    assert week_.count("&amp;postcode=SE15+4QL") > 7
    form, too_far = (
        client.get(
            f"/book/{service.slug}/details/", {"start": factories.tomorrow(hour).isoformat(), "postcode": CAMDEN}
        )
        for hour in (14, 13)
    )
    assert f'value="{CAMDEN}"' in form.content.decode()
    assert (form.status_code, too_far.status_code) == (200, 409)
    assert "can get to your address in time" in too_far.content.decode()


def headed(page: str) -> list[tuple[str, int]]:
    """The headings below that of the day, each with the number of windows under it."""
    parts = page.split('id="windows"')[1].split('class="times">')[1:]
    return [(part.partition("<")[0], part.count("<b>")) for part in parts]


def test_windows_on_the_way_come_first_in_a_day(client: Client, service: Service, ann: Handyman, known: None) -> None:
    book(service, 10, PECKHAM)
    book(service, 14, CAMDEN)
    asked = {"service": service.slug, "day": str(factories.tomorrow().date()), "postcode": PECKHAM}
    listed = client.get("/api/availability", asked).json()["days"]
    day = next(each["slots"] for each in listed if each["date"] == asked["day"])
    nearby = sum(slot["nearby"] for slot in day)
    assert 0 < nearby < len(day)
    expected = [("Someone is nearby", nearby), ("Other times", len(day) - nearby)]
    shown = client.get(f"/book/{service.slug}/", asked).content.decode()
    swapped = client.get("/api/availability", asked, headers={"Accept": "text/html"}).content.decode()
    assert headed(shown) == headed(swapped) == expected
    assert f"Someone is nearby in {nearby} of them." in " ".join(swapped.split())
    assert headed(client.get(f"/book/{service.slug}/", asked | {"postcode": ""}).content.decode()) == []


def test_a_visit_is_moved_to_windows_on_the_way_first(
    client: Client, service: Service, ann: Handyman, known: None
) -> None:
    book(service, 10, PECKHAM)
    book(service, 14, CAMDEN)
    visit, day = book(service, 12, PECKHAM), str(factories.tomorrow().date())
    shown = headed(client.get(visit.get_absolute_url(), {"day": day}).content.decode())
    assert [name for name, _ in shown] == ["Someone is nearby", "Other times"]


def test_without_a_postcode_the_page_says_for_whom_the_windows_are(
    client: Client, service: Service, ann: Handyman, known: None
) -> None:
    assert "suit every address in our area" in client.get(f"/book/{service.slug}/").content.decode()
    asked = {"service": service.slug, "day": str(factories.tomorrow().date())}
    assert client.get("/api/availability", asked).json()["anywhere"] is True
    assert client.get("/api/availability", asked | {"postcode": CAMDEN}).json()["anywhere"] is False
    Postcode.objects.all().delete()
    page = client.get(f"/book/{service.slug}/", {"postcode": CAMDEN}).content.decode()
    assert "suit every address" not in page
    assert 'name="postcode"' not in page


def test_a_visit_of_unknown_place_is_reported_and_staff_are_told_on_it(
    admin_client: Client,
    service: Service,
    ann: Handyman,
    known: None,
    heard: list[events.Event],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        book(service, 10, PECKHAM)
        visit = book(service, 15, UNKNOWN)
    assert [each for each in heard if isinstance(each, events.PlaceUnknown)] == [
        events.PlaceUnknown(booking_id=visit.pk, service=service.slug, by="customer")
    ]
    page = admin_client.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    assert "its postcode is not known, so the buffer stands for the way" in page


def test_a_journey_that_has_become_impossible_is_marked_for_the_office(
    service: Service, ann: Handyman, known: None
) -> None:
    first, second, now = book(service, 12, PECKHAM), book(service, 14, PECKHAM), timezone.now()
    assert clashes.of(clashes.expected()) == []
    corrections.correct(booking=first, details={"postcode": "NW7 1AQ"}, by=By.STAFF, however_far=True)
    assert clashes.of(clashes.expected()) == [(second, clashes.TOO_FAR)]
    day = timezone.localdate(second.starts_at)
    week_ = schedule.week_of(day, None, now, Handyman.objects.all())
    shown = {visit.booking: visit.clash for row in week_ for cell in row.cells for visit in cell.visits}
    assert shown == {first: "", second: "not reached in time from the visit before"}
    ((_, marked),) = (
        [block.clash for block in column.blocks] for column in columns(Handyman.objects.all(), [day], now)
    )
    assert marked == "not reached in time from the visit before"
    Booking.objects.filter(pk=second.pk).update(overtime=True)
    assert clashes.of(clashes.expected()) == [], "staff have agreed on it with the handyman"


def test_staff_are_told_whose_place_is_not_known(service: Service, ann: Handyman, known: None) -> None:
    assert check_places(None, databases=["default"]) == []
    ann.start_postcode = UNKNOWN
    ann.save()
    book(service, 12, UNKNOWN)
    person, visits = check_places(None, databases=["default"])
    assert ann.name in person.msg
    assert visits.msg.startswith("1 visits ahead")
    Postcode.objects.all().delete()
    assert check_places(None, databases=["default"]) == [], "a business that imports none knows of none"
