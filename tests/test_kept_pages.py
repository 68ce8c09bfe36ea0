"""Pages kept per process: the same HTML, and never an old price, service, person or hour."""

import re
from collections.abc import Callable, Hashable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import kept_pages, process_cache
from bookings.models import Assurance, CatalogueChange, Handyman, Holiday, Review, Service, TimeOff, WorkingHours
from bookings.slots.calendars import current_rules
from bookings.slots.week import week
from tests.pages import booked, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files", "demo_business")]

SERVICE, WEEK = "/services/tap-repair/", "/book/tap-repair/"
PAGES = ["/", "/services/", SERVICE, WEEK, "/contact/"]
NOT_SHOWN = {"id", "email", "notifications", "notified_at", "given_at", "user"}
_OWN = re.compile(r'nonce="[^"]*"|data-page="[^"]*"|name="(?:csrfmiddlewaretoken|key|opened)" value="[^"]*"')


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    process_cache.forget()


def _masked(page: str) -> str:
    return re.sub(r'data-(page|token)="[^"]*"', "", _OWN.sub("", page))


@pytest.mark.parametrize("path", PAGES)
def test_a_kept_page_is_the_page_rendered_whole(client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    first, kept = text(client.get(path)), text(client.get(path))
    monkeypatch.setattr(kept_pages, "answer", _whole)
    monkeypatch.setattr(kept_pages, "fragment", lambda _key, _shown, render: render())
    assert _masked(first) == _masked(kept) == _masked(text(client.get(path)))


def _whole(
    request: HttpRequest, template: str, *, kept: kept_pages.Values, live: kept_pages.Values = dict, **_: object
) -> HttpResponse:
    return render(request, template, kept() | live())


@pytest.mark.parametrize("path", PAGES)
def test_each_request_has_a_nonce_of_its_own_that_its_policy_allows(client: Client, path: str) -> None:
    nonces = []
    for response in (client.get(path), client.get(path)):
        found = set(re.findall(r'nonce="([^"]+)"', text(response)))
        assert len(found) == 1
        nonces.append(found.pop())
        assert f"'nonce-{nonces[-1]}'" in response["Content-Security-Policy"]
    assert nonces[0] != nonces[1]


def _price() -> None:
    Service.objects.filter(slug="tap-repair").update(price_pence=12_300)


def _by_another_program() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bookings_service SET price_pence = 12300 WHERE slug = 'tap-repair'")


def _off_the_list() -> None:
    Service.objects.filter(slug="tap-repair").update(active=False)


def _nobody_does_it() -> None:
    Service.objects.get(slug="tap-repair").handymen.clear()


def _nobody_works() -> None:
    WorkingHours.objects.all().delete()


def _renamed() -> None:
    Handyman.objects.update(name="Somebody Else")


def _closed() -> None:
    today = current_rules().today(timezone.now())
    closed = (Holiday(date=today + timedelta(days=n), name="Closed") for n in range(90))
    Holiday.objects.bulk_create(closed, ignore_conflicts=True)


def _everybody_away() -> None:
    now = timezone.now()
    for each in Handyman.objects.all():
        TimeOff.objects.create(handyman=each, starts_at=now, ends_at=now + timedelta(days=90))


def _no_review() -> None:
    Review.objects.update(published=False)


def _assurance() -> None:
    Assurance.objects.create(title="Another promise", body="We keep it.")


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (_price, ["/", "/services/", SERVICE, WEEK]),
        (_by_another_program, ["/", "/services/", SERVICE, WEEK]),
        (_off_the_list, ["/", "/services/", SERVICE, WEEK]),
        (_nobody_does_it, [SERVICE, WEEK]),
        (_nobody_works, ["/", SERVICE, WEEK]),
        (_closed, [WEEK]),
        (_everybody_away, [WEEK]),
        (_renamed, [SERVICE]),
        (_no_review, ["/"]),
        (_assurance, ["/", SERVICE]),
    ],
)
def test_the_next_page_shows_a_change(client: Client, change: Callable[[], None], paths: list[str]) -> None:
    before = {path: _masked(text(client.get(path))) for path in paths}
    change()
    for path in paths:
        assert _masked(client.get(path).content.decode()) != before[path], path


def test_a_change_that_is_rolled_back_is_not_kept(client: Client) -> None:
    before = _masked(text(client.get(SERVICE)))
    with transaction.atomic():
        _price()
        assert _masked(text(client.get(SERVICE))) != before
        transaction.set_rollback(True)
    assert _masked(text(client.get(SERVICE))) == before


@pytest.mark.parametrize("path", ["/", "/services/", SERVICE])
def test_a_kept_page_asks_the_database_once(client: Client, path: str) -> None:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    assert len(queries) == 1


@pytest.mark.parametrize("path", [WEEK, "/api/availability?service=tap-repair", f"{WEEK}?handyman=grace"])
def test_a_week_asks_for_the_version_and_for_what_is_taken(client: Client, path: str) -> None:
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    assert len([each for each in queries if "bookings_allowance" not in each["sql"]]) == 2


def test_windows_are_rendered_again_only_when_others_are_free(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, fragment = list[object](), kept_pages.fragment

    def counted(key: Hashable, shown: object, render: Callable[[], str]) -> str:
        def noted() -> str:
            rendered.append(shown)
            return render()

        return fragment(key, shown, noted)

    monkeypatch.setattr(kept_pages, "fragment", counted)
    before = text(client.get(WEEK))
    assert _masked(text(client.get(WEEK))) == _masked(before)
    assert len(rendered) == 3, rendered  # heading, windows, summary
    _everybody_away()
    assert "booked out" in text(client.get(WEEK))
    client.get(f"{WEEK}?postcode=NW11+7ES")
    assert len(rendered) == 6


@pytest.mark.parametrize("postcode", [None, "NW11 7ES", "ZZ99 9ZZ"])
def test_a_week_by_what_is_kept_is_the_week_read_whole(postcode: str | None) -> None:
    service, now = Service.objects.get(slug="tap-repair"), timezone.now()
    booking = booked(service)
    away = booking.starts_at + timedelta(days=1)
    TimeOff.objects.create(handyman=booking.handyman, starts_at=away, ends_at=away + timedelta(hours=3))
    version = CatalogueChange.objects.version()
    for handyman in (None, *Handyman.objects.skilled_in(service)):
        for day in (None, booking.starts_at.date(), away.date() + timedelta(days=9)):
            asked = partial(week, service=service, now=now, handyman=handyman, day=day, postcode=postcode)
            assert asked(version=version) == asked()


def test_a_booking_is_no_change_of_the_catalogue() -> None:
    before = CatalogueChange.objects.version()
    booked(Service.objects.get(slug="tap-repair"))
    assert CatalogueChange.objects.version() == before


def test_every_column_of_a_handyman_is_either_watched_or_not_shown() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_object_column FROM information_schema.triggered_update_columns"
            " WHERE event_object_table = 'bookings_handyman' AND trigger_name = 'catalogue_changed'"
        )
        watched = {str(name) for (name,) in cursor.fetchall()}
    assert watched | NOT_SHOWN == {each.name for each in Handyman._meta.concrete_fields}


def test_gathered_changes_are_one_row_and_another_version() -> None:
    _price()
    _renamed()
    before = CatalogueChange.objects.version()
    CatalogueChange.objects.gather()
    assert CatalogueChange.objects.count() == 1
    assert CatalogueChange.objects.version() != before
