"""Several jobs in one visit, as staff see, change, count and give them out."""

import csv
import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from bookings import scheduling
from bookings.admin import clashes
from bookings.basket import Basket
from bookings.models import Booking, BookingLine, Payment, Service
from bookings.personal_data import archive, erasure
from tests import factories
from tests.forms import posted
from xfhandyman.operations import business

LIST = "/admin/bookings/booking/"


@pytest.fixture
def visit(db: None) -> Booking:
    doors = factories.service(slug="doors", name="Door repair")
    tap = factories.service(slug="tap", name="Tap repair", price_pence=8500)
    shelf = factories.service(slug="shelf", name="Shelf", duration_minutes=30, price_pence=2500)
    factories.handyman(doors, tap, shelf)
    booking = scheduling.book(
        service=Basket.read(doors, ["doors:3", "tap:1"]),
        starts_at=factories.tomorrow(9, days=5),
        customer=factories.customer(customer_email="robin@example.com"),
        idempotency_key="v",
    )
    return Booking.objects.with_jobs().get(pk=booking.pk)


def test_lists_name_all_jobs_and_find_each(admin_client: Client, visit: Booking) -> None:
    page = admin_client.get(LIST).content.decode()
    assert "3 × Door repair and 1 more job" in page
    for slug, found in (("doors", True), ("tap", True), ("shelf", False)):
        listed = admin_client.get(LIST, {"job": slug})
        assert (visit.reference in listed.content.decode()) is found, slug


def test_prices_of_all_jobs_can_be_corrected(admin_client: Client, visit: Booking) -> None:
    address = f"{LIST}{visit.pk}/change/"
    page = admin_client.get(address).content
    assert "£265 fixed price" in page.decode()
    form = posted(page, **{"price_pence": "150.00", "lines-0-price_pence": "80.00"})
    assert admin_client.post(address, form).status_code == 302
    assert [job.price_pence for job in Booking.objects.get().jobs] == [15000, 8000]


def test_a_visit_of_one_job_has_no_table_of_others(admin_client: Client, visit: Booking) -> None:
    BookingLine.objects.all().delete()
    assert "urther jobs" not in admin_client.get(f"{LIST}{visit.pk}/change/").content.decode()


def test_staff_add_a_job_at_the_price_they_saw(admin_client: Client, visit: Booking) -> None:
    address, shelf = f"{LIST}{visit.pk}/change/", Service.objects.get(slug="shelf")
    page = admin_client.get(address).content
    assert "Shelf, £25 fixed price" in page.decode()
    form = posted(page, add=f"shelf {shelf.offer}")
    Service.objects.filter(slug="shelf").update(price_pence=3000)
    answer = admin_client.post(address, form)
    assert "has changed meanwhile. Choose again." in answer.content.decode()
    Service.objects.filter(slug="shelf").update(price_pence=2500)
    assert admin_client.post(address, form).status_code == 302
    changed = Booking.objects.get()
    assert changed.what == "3 × Door repair, Tap repair, Shelf"
    assert changed.duration == timedelta(minutes=3 * 60 + 60 + 30)
    assert changed.events.filter(kind="added", by="staff").count() == 1
    factories.booking(service=shelf, handyman=visit.handyman, starts_at=changed.during.upper)
    again = posted(admin_client.get(address).content, add=f"shelf {shelf.offer}")
    assert "no time for that job" in admin_client.post(address, again).content.decode()
    assert Booking.objects.get(pk=visit.pk).what == changed.what


@pytest.mark.parametrize("asked", ["move", "add"])
def test_a_page_that_is_refused_has_changed_nothing(admin_client: Client, visit: Booking, asked: str) -> None:
    address, shelf = f"{LIST}{visit.pk}/change/", Service.objects.get(slug="shelf")
    later = timezone.localtime(visit.starts_at + timedelta(hours=1))
    changed = {"starts_1": f"{later:%H:%M}"} if asked == "move" else {"add": f"shelf {shelf.offer}"}
    form = posted(admin_client.get(address).content, **changed, **{"lines-0-price_pence": "eighty"})
    answer = admin_client.post(address, form)
    current = Booking.objects.with_jobs().get()
    assert (current.starts_at, current.what) == (visit.starts_at, visit.what)
    assert f"arrival {timezone.localtime(visit.starts_at):%H:%M}" in answer.content.decode()
    assert admin_client.post(address, posted(answer.content, **{"lines-0-price_pence": "80.00"})).status_code == 302
    assert Booking.objects.get().sequence == visit.sequence + 1


def test_a_job_that_was_added_meanwhile_stops_no_form(admin_client: Client, visit: Booking) -> None:
    visit.lines.all().delete()
    address, shelf = f"{LIST}{visit.pk}/change/", Service.objects.get(slug="shelf")
    form = posted(admin_client.get(address).content, customer_name="Robin Corrected")
    one_job = Booking.objects.with_jobs().get()
    scheduling.add_job(booking=one_job, service=shelf, position=1, by=scheduling.By.CUSTOMER)
    answer = admin_client.post(address, form)
    assert "Added meanwhile: Shelf. Save again" in answer.content.decode()
    assert admin_client.post(address, posted(answer.content)).status_code == 302
    current = Booking.objects.with_jobs().get()
    assert (current.customer_name, current.what) == ("Robin Corrected", "3 × Door repair, Shelf")


def test_all_jobs_together_cost_no_less_than_the_deposit(admin_client: Client, visit: Booking) -> None:
    Payment.objects.create(booking=visit, amount_pence=20000, session_expires_at=visit.starts_at)
    address = f"{LIST}{visit.pk}/change/"
    page = admin_client.get(address).content
    too_little = admin_client.post(address, posted(page, **{"lines-0-price_pence": "10.00"}))
    assert "The deposit of £200 is more than that." in too_little.content.decode()
    shifted = {"price_pence": "110.00", "lines-0-price_pence": "95.00"}
    assert admin_client.post(address, posted(page, **shifted)).status_code == 302


@pytest.mark.parametrize(("gone", "left"), [("tap", "Door repair"), ("doors", "Tap repair")])
def test_a_call_books_no_less_than_was_asked_for(admin_client: Client, visit: Booking, gone: str, left: str) -> None:
    start = visit.starts_at + timedelta(days=1)
    details = {"customer_name": "Sam", "customer_phone": "07700 900200", "address": "1 Road", "postcode": "SE15 4QL"}
    page = admin_client.get(f"{LIST}add/?job=doors:1&job=tap:1").content
    Service.objects.filter(slug=gone).update(active=False)
    form = posted(page, consent="on", take=f"{start:%Y-%m-%dT%H:%M:%SZ}", **details)
    answer = admin_client.post(f"{LIST}add/", form)
    assert "Left out: a job that is not offered any more" in answer.content.decode()
    assert Booking.objects.count() == 1
    again = posted(answer.content, take=f"{start:%Y-%m-%dT%H:%M:%SZ}")
    assert admin_client.post(f"{LIST}add/", again).status_code == 302
    assert Booking.objects.with_jobs().exclude(pk=visit.pk).get().what == left


def test_staff_add_a_job_to_a_visit_out_of_hours(visit: Booking) -> None:
    shelf, late = Service.objects.get(slug="shelf"), visit.starts_at.replace(hour=20)
    evening = scheduling.book(
        service=shelf,
        starts_at=late,
        customer=factories.customer(),
        idempotency_key="late",
        by=scheduling.By.STAFF,
        overtime=True,
    )
    with pytest.raises(scheduling.SchedulingError):
        scheduling.add_job(booking=evening, service=shelf, position=1, by=scheduling.By.CUSTOMER)
    scheduling.add_job(booking=evening, service=shelf, position=1, by=scheduling.By.STAFF)
    assert Booking.objects.with_jobs().get(pk=evening.pk).what == "Shelf, Shelf"


def test_operations_counts_jobs_beside_visits(visit: Booking) -> None:
    factories.booking(service=visit.service, handyman=visit.handyman, starts_at=factories.tomorrow(9))
    cancelled = factories.booking(service=visit.service, handyman=visit.handyman, starts_at=factories.tomorrow(12))
    Booking.objects.filter(pk=cancelled.pk).update(status="cancelled")
    counted = business.visits(timezone.now())
    assert (counted["week"], counted["jobs"]) == (2, 5)


def test_a_visit_clashes_when_any_of_its_jobs_is_no_longer_done(visit: Booking) -> None:
    assert clashes.of(clashes.expected()) == []
    visit.handyman.skills.remove(Service.objects.get(slug="tap"))
    assert [reason for _, reason in clashes.of(clashes.expected())] == [clashes.UNSKILLED]
    visit.handyman.skills.set(Service.objects.exclude(slug="doors"))
    assert [reason for _, reason in clashes.of(clashes.expected())] == [clashes.UNSKILLED]


def test_exports_and_erasure_know_the_jobs(admin_client: Client, visit: Booking) -> None:
    exported = admin_client.get(f"{LIST}export/").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(exported))
    assert (row["service"], row["price"]) == ("Door repair", "180.00")
    assert (row["jobs"], row["total_from"]) == ("3 × Door repair, Tap repair", "265.00")
    file = io.BytesIO()
    archive.write("robin@example.com", file)
    (kept,) = json.loads(zipfile.ZipFile(file).read("customer.json"))["bookings"]
    assert [(job["service"], job["quantity"], job["price"]) for job in kept["jobs"]] == [
        ("Door repair", 3, "180.00"), ("Tap repair", 1, "85.00"),
    ]  # fmt: skip
    erasure.erase("robin@example.com", cancel=True)
    left = Booking.objects.get()
    assert (left.customer_name, left.what) == ("Erased", "3 × Door repair, Tap repair"), "the books keep what was done"
