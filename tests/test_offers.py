"""What a customer was shown is what is booked: price, deposit, duration and job; all that is wrong is said at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from bookings import scheduling
from bookings.models import Booking, Service, ServiceArea
from bookings.scheduling import By
from harness.stack import Stack
from tests import factories
from tests.forms import posted

WHO = {
    "customer_name": "Robin Example",
    "customer_email": "robin@example.com",
    "customer_phone": "07700 900200",
    "address": "1 Sample Street",
    "postcode": "SE1 7PB",
    "consent": "on",
}


@pytest.fixture
def service(db: None) -> Service:
    service = factories.service(name="Tap repair", price_pence=7500)
    factories.handyman(service)
    return service


def form_of(client: Client, service: Service) -> tuple[str, dict[str, list[str]]]:
    """The details form as it is shown now, filled in, and its address."""
    address = f"/book/{service.slug}/details/"
    page = client.get(address, {"start": factories.tomorrow(10, days=5).isoformat()})
    return address, posted(page.content, **WHO)


def again(address: str, client: Client, answer: Any) -> Booking:
    """Send again what came back, and have it booked."""
    assert client.post(address, posted(answer.content)).status_code == 302
    return Booking.objects.get()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"price_pence": 9900}, "The price has changed: it is now £99 fixed price; it was £75 fixed price."),
        ({"duration_minutes": 150}, "The job is now planned for 2½ hours, before it was 1 hour."),
        ({"name": "Bath repair"}, "This job is now called “Bath repair”."),
        ({"pricing": "hourly", "minimum_minutes": 60}, "it is now £75 for the first hour"),
    ],
)
def test_it_asks_again_when_something_else_was_shown(
    client: Client, service: Service, change: dict[str, Any], sentence: str
) -> None:
    address, form = form_of(client, service)
    Service.objects.update(**change)
    answer = client.post(address, form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert sentence in page
    assert "Nothing is booked yet" in page
    assert all(value in page for value in WHO.values())
    assert not Booking.objects.exists()
    booking = again(address, client, answer)
    assert booking.price_pence == change.get("price_pence", 7500)


def test_it_asks_again_when_another_deposit_was_shown(client: Client, service: Service, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test"
    Service.objects.update(deposit_pence=3000)
    address, form = form_of(client, service)
    Service.objects.update(deposit_pence=7000)
    page = client.post(address, form).content.decode()
    assert "The deposit is now £70; it was £30." in page
    assert not Booking.objects.exists()


@pytest.mark.parametrize("offer", [None, "", "fixed.x", "fixed.7500.0.0.60.zzzzzzzz", "\x00"])
def test_it_books_nothing_that_was_never_shown(client: Client, service: Service, offer: str | None) -> None:
    address, form = form_of(client, service)
    form.pop("offer")
    answer = client.post(address, form | ({} if offer is None else {"offer": [offer]}))
    assert answer.status_code == 409
    again(address, client, answer)


def test_it_says_on_the_form_that_the_week_had_shown_another_price(client: Client, service: Service) -> None:
    week = client.get(f"/book/{service.slug}/").content.decode()
    link = re.search(r'href="(/book/[^"]*details/\?start=[^"]*)"', week)
    assert link
    Service.objects.update(price_pence=9900)
    answer = client.get(link[1].replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "it is now £99 fixed price; it was £75 fixed price" in answer.content.decode()


def test_a_move_keeps_the_price_that_was_booked(service: Service) -> None:
    at = factories.tomorrow(10, days=5)
    booking = scheduling.book(service=service, starts_at=at, customer=factories.customer(), idempotency_key="k")
    Service.objects.update(price_pence=9900, name="Bath repair", active=False)
    booking = Booking.objects.get()
    scheduling.move(booking=booking, starts_at=at + timedelta(hours=2), by=By.CUSTOMER)
    booking.refresh_from_db()
    assert booking.price_pence == 7500


@pytest.mark.parametrize("change", [{"active": False}, {"slug": "another-address"}])
def test_a_job_that_is_gone_keeps_what_was_typed_and_leads_to_others(
    client: Client, service: Service, change: dict[str, Any]
) -> None:
    other = factories.service(name="Bath repair")
    factories.handyman(other)
    address, form = form_of(client, service)
    Service.objects.filter(pk=service.pk).update(**change)
    answer = client.post(address, form)
    page = answer.content.decode()
    assert answer.status_code == 404
    assert "This job cannot be booked here any more" in page
    assert "tel:" in page
    assert f'formaction="/book/{other.slug}/details/"' in page
    carried = client.post(f"/book/{other.slug}/details/", posted(page) | {"change": ["1"]})
    assert all(value in carried.content.decode() for value in WHO.values())
    offered = re.findall(r'name="start" value="([^"]+)"', carried.content.decode())
    booked = client.post(f"/book/{other.slug}/details/", posted(carried.content) | {"start": offered[:1]})
    assert booked.status_code == 302
    for path in (f"/book/{service.slug}/", address):
        assert "Bath repair" in client.get(path).content.decode()


def test_all_that_is_wrong_is_said_in_one_answer(client: Client, service: Service) -> None:
    ServiceArea.objects.create(prefix="N")
    address, form = form_of(client, service)
    Service.objects.update(price_pence=9900)
    factories.booking(service=service, handyman=service.handymen.get(), starts_at=factories.tomorrow(10, days=5))
    page = client.post(address, form | {"customer_name": [""], "customer_email": ["x"]}).content.decode()
    for sentence in (
        "Enter your name", "Enter an e-mail address like", "We do not come to this postcode yet",
        "has just been taken", "it is now £99",
    ):  # fmt: skip
        assert sentence in page


def test_staff_are_told_in_one_answer_too(admin_client: Client, service: Service) -> None:
    busy = factories.booking(service=service, handyman=service.handymen.get(), starts_at=factories.tomorrow(10))
    start = timezone.localtime(busy.starts_at)
    add = "/admin/bookings/booking/add/"
    shown = admin_client.post(add, posted(admin_client.get(add).content, show=f"job:{service.slug}:1"))
    form = posted(shown.content, take=f"{busy.starts_at:%Y-%m-%dT%H:%M:%SZ}", consent="on")
    page = admin_client.post(add, form).content.decode()
    assert "This field is required" in page
    assert "That time is taken" in page
    other = factories.booking(service=service, handyman=service.handymen.get(), starts_at=factories.tomorrow(14))
    change = f"/admin/bookings/booking/{other.pk}/change/"
    form = posted(admin_client.get(change).content, starts_1=f"{start:%H:%M}", customer_name="")
    page = admin_client.post(change, form).content.decode()
    assert "This field is required" in page
    assert "That time is taken" in page


def test_staff_are_asked_again_when_another_price_was_shown(admin_client: Client, service: Service) -> None:
    add = "/admin/bookings/booking/add/"
    page = admin_client.post(add, posted(admin_client.get(add).content, show=f"job:{service.slug}:1")).content
    assert "£75" in page.decode()
    taken = {"take": f"{factories.tomorrow(10):%Y-%m-%dT%H:%M:%SZ}"}
    Service.objects.update(price_pence=9900)
    answer = admin_client.post(add, posted(page, **taken, **WHO))
    assert "£99 fixed price" in answer.content.decode()
    assert not Booking.objects.exists()
    assert admin_client.post(add, posted(answer.content, **taken)).status_code == 302
    assert Booking.objects.get().price_pence == 9900


def test_an_error_link_on_a_phone_shows_its_field(stack: Any, page: Page) -> None:
    """Below the bar that stays at the top, with the label and the sentence that belong to it."""
    site: Stack = stack()
    page.goto(f"{site.url}/book/tap-repair/")
    page.click(".slots a")
    page.click("text=Book this visit")
    for field in ("customer_name", "customer_email", "customer_phone", "address", "postcode"):
        page.evaluate("scrollTo(0, 0)")
        page.click(f'.errors a[href="#id_{field}"]')
        bar = page.locator(".brief").bounding_box()
        label = page.locator(f'label[for="id_{field}"]').bounding_box()
        assert bar
        assert label
        assert page.evaluate("document.activeElement.id") == f"id_{field}"
        assert label["y"] >= bar["y"] + bar["height"]
