"""First in line, as it meets the rest: what staff confirm, another deposit, a form sent again, who is gone."""

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from bookings import scheduling
from bookings.messaging import links
from bookings.models import Booking, BookingLine, Service, Status, WaitlistEntry, WaitlistOffer
from bookings.scheduling import By, offers, waitlist
from tests import factories
from tests.forms import act, posted
from tests.test_offers import WHO
from tests.test_waitlist import ANY, ROBIN, full, noon, service, stranger

__all__ = ["noon", "service"]  # fixtures


def offered(service: Service, customer: Booking | None = None) -> WaitlistOffer:
    """An offer of the time of a visit that was cancelled, for a stranger or for who has a later visit."""
    visits = Booking.objects.filter(status=Status.CONFIRMED).order_by("starts_at")
    if customer is None:
        stranger(service)
    else:
        waitlist.confirm(entry=waitlist.join_with(booking=customer, suits=ANY, idempotency_key="later"))
    scheduling.cancel(booking=visits[2], by=By.STAFF)
    offers.offer_free_time()
    return WaitlistOffer.objects.get()


@pytest.mark.parametrize("by", ["staff", "the e-mail sent again"])
def test_an_offer_that_is_confirmed_otherwise_moves_the_visit(
    client: Client, admin_client: Client, service: Service, by: str
) -> None:
    mine = full(service)[-1]
    offer = offered(service, mine)
    visits = Booking.objects.filter(status=Status.CONFIRMED).count()
    hold = Booking.objects.get(status=Status.HELD)
    if by == "staff":
        act(admin_client, "/admin/bookings/booking/", "confirm", hold)
    else:
        link = reverse("booking_prove", args=[hold.link_token])
        shown = client.get(link, {"mail": links.marker(hold)})
        assert client.post(link, posted(shown.content), follow=True).status_code == 200
    mine.refresh_from_db()
    offer.refresh_from_db()
    assert (mine.starts_at, offer.outcome) == (hold.starts_at, WaitlistOffer.Outcome.TAKEN)
    assert Booking.objects.filter(status=Status.CONFIRMED).count() == visits
    assert WaitlistEntry.objects.get().ended == WaitlistEntry.End.BOOKED


def test_a_stranger_whom_staff_confirm_waits_no_more(admin_client: Client, service: Service) -> None:
    full(service)
    offer = offered(service)
    act(admin_client, "/admin/bookings/booking/", "confirm", Booking.objects.get(status=Status.HELD))
    assert offer.hold
    assert Booking.objects.get(pk=offer.hold.pk).status == Status.CONFIRMED
    assert not WaitlistEntry.objects.waiting().exists()


def test_another_deposit_than_the_one_shown_is_asked_about(
    client: Client, service: Service, settings: LazySettings
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_waitlist"
    full(service)
    own = offered(service).entry.get_absolute_url()
    answer = posted(client.get(own).content, action="take")
    Service.objects.update(deposit_pence=2000)
    asked = client.post(own, answer)
    assert asked.status_code == 409
    assert "The deposit is now £20." in asked.content.decode()
    assert Booking.objects.get(status=Status.HELD).events.filter(kind="held").exists()
    client.post(own, posted(asked.content, action="take"))
    assert Booking.objects.get(status=Status.HELD).payment.amount_pence == 2000


def test_a_form_that_comes_again_with_another_address_replaces_the_first(client: Client, service: Service) -> None:
    link = f"/book/{service.slug}/earlier/"
    form = posted(client.get(link).content, **WHO | {"customer_email": "wrong@example.com"})
    right = form | {"customer_email": [ROBIN]}
    for content in (form, right, right):
        assert client.post(link, content).status_code == 302
    assert list(WaitlistEntry.objects.values_list("customer_email", "ended")) == [
        ("wrong@example.com", "replaced"),
        (ROBIN, ""),
    ]
    waitlist.leave(entry=WaitlistEntry.objects.get(ended_at=None))
    client.post(link, right)
    assert WaitlistEntry.objects.get(ended_at=None).customer_email == ROBIN


def test_a_job_or_a_handyman_that_is_gone_loses_nothing_that_was_typed(client: Client, service: Service) -> None:
    link, grace = f"/book/{service.slug}/earlier/", service.handymen.get()
    form = posted(client.get(f"{link}?handyman={grace.slug}").content, **WHO)
    grace.skills.clear()
    answer = client.post(link, form)
    assert (answer.status_code, WaitlistEntry.objects.count()) == (409, 0)
    assert "does not do this job any more" in answer.content.decode()
    anybody = posted(answer.content)
    Service.objects.update(active=False)
    gone = client.post(link, anybody)
    assert gone.status_code == 404
    assert WHO["address"] in gone.content.decode()


def test_the_pages_of_an_offer_name_every_job_of_the_visit(client: Client, service: Service) -> None:
    full(service)
    mine = Booking.objects.order_by("-starts_at")[0]
    BookingLine.objects.create(
        booking=mine, position=1, service=factories.service(name="Shelf"), minutes=1, pricing="fixed", price_pence=100
    )
    entry = waitlist.join_with(booking=mine, suits=ANY, idempotency_key="several")
    assert "Tap repair and 1 more job" in client.get(entry.get_absolute_url()).content.decode()
