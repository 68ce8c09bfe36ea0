"""What an account of staff opens: nothing by half a login, no link that acts, no question a page does not offer."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from bookings.models import Booking, BookingEvent
from tests import factories, forms
from tests.routes import addresses

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit() -> Booking:
    service = factories.service()
    return factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())


def test_half_a_login_opens_what_a_stranger_sees_and_no_more(settings: Settings) -> None:
    """Walks the URLconf: a page that is added next year is looked at too."""
    settings.STAFF_SECOND_FACTOR = True
    owner = User.objects.create_superuser("owner")
    opened, staff_pages = {}, set()
    stranger, half = (Client(raise_request_exception=False) for _ in range(2))
    for route, address in addresses().items():
        for method in ("get", "post"):
            answers = []
            for client in (stranger, half):
                client.cookies.clear()
                if client is half:
                    client.force_login(owner)
                answer = getattr(client, method)(address)
                answers.append((answer.status_code, answer.headers.get("Location")))
            if answers[0] != answers[1]:
                opened[method, route] = answers
            if "/admin/login/" in str(answers[0][1]):
                staff_pages.add(route)
    assert opened == {}
    assert {
        "/contact/photos/<int:pk>.jpg",
        "/admin/operations/",
        "/admin/",
        "/admin/auth/user/",
        "/admin/passkeys/confirm/",
    } <= staff_pages


def test_no_page_hands_out_a_customers_link(visit: Booking, admin_client: Client) -> None:
    """The owner's own session looks through every page of the admin that is about the visit."""
    kind = ContentType.objects.get_for_model(Booking).pk
    pages = [f"/admin/r/{kind}/{visit.pk}/", f"/admin/bookings/booking/{visit.pk}/preview/"]
    pages += [reverse(f"admin:bookings_booking_{verb}", args=[visit.pk]) for verb in ("change", "history", "delete")]
    pages += [reverse(f"admin:bookings_booking_{name}") for name in ("changelist", "export", "schedule", "cancel")]
    for page in pages:
        answer = admin_client.get(page, {"ids": visit.pk} if page.endswith("cancel/") else None)
        told = answer.content.decode() + answer.headers.get("Location", "")
        assert visit.link_token not in told, page
        assert visit.link_key not in told, page


def test_whoever_may_see_a_visit_gets_a_preview_to_read(visit: Booking, client: Client) -> None:
    nobody = User.objects.create_user("nobody", is_staff=True)
    preview = f"/admin/bookings/booking/{visit.pk}/preview/"
    client.force_login(nobody)
    assert client.get(preview).status_code == 403
    nobody.groups.add(Group.objects.get(name="Office"))
    page = client.get(preview).content.decode()
    assert visit.address.splitlines()[0] in page
    assert "can move or cancel free of charge" in page
    main = page[page.index('id="content"') :]
    assert "<form" not in main.partition("</main>")[0]
    assert preview in client.get(f"/admin/bookings/booking/{visit.pk}/change/").content.decode()
    visit.refresh_from_db()
    assert visit.is_open


def test_what_staff_do_is_in_the_history_with_their_name(visit: Booking, client: Client) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.groups.add(Group.objects.get(name="Office"))
    client.force_login(clerk)
    forms.submit(client, f"/admin/bookings/booking/cancel/?ids={visit.pk}")
    event = visit.events.get(kind=BookingEvent.Kind.CANCELLED)
    assert (event.by, event.user) == (BookingEvent.By.STAFF, clerk)


def test_lists_answer_the_questions_they_offer_and_no_others(admin_client: Client, visit: Booking) -> None:
    booking_list = reverse("admin:bookings_booking_changelist")
    start = visit.starts_at
    offered = (
        "when=todo", "status__exact=confirmed", f"handyman__id__exact={visit.handyman_id}", "o=1", "q=Customer", "p=1",
        f"starts_at__year={start.year}&starts_at__month={start.month}&starts_at__day={start.day}",
    )  # fmt: skip
    for question in offered:
        assert admin_client.get(f"{booking_list}?{question}").status_code == 200, question
    for question in (
        f"link_key__startswith={visit.link_key[:3]}", "link_key__exact=x", "idempotency_key__gt=a", "notes__regex=a",
        "handyman__user__password__startswith=s", "events__user__password__startswith=s", "customer_email=a@b.example",
    ):  # fmt: skip
        assert admin_client.get(f"{booking_list}?{question}").status_code == 400, question


def test_no_list_can_be_asked_about_a_column_it_does_not_offer(admin_client: Client) -> None:
    """Of every model of the admin, those of packages too."""
    answered = {}
    for model, model_admin in admin.site._registry.items():
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        offered = {str(item[0] if isinstance(item, tuple) else item) for item in model_admin.list_filter}
        for field in {field.name for field in model._meta.fields} - offered:
            question = f"{field}__startswith=a"
            status = admin_client.get(f"{page}?{question}").status_code
            answered.update({(page, question): status} if status != 400 else {})
    assert answered == {}


@pytest.mark.parametrize("words", ["a " * 1900, "a" * 101, "nine words are one more than is searched for"])
def test_every_list_refuses_a_search_that_is_too_long(admin_client: Client, visit: Booking, words: str) -> None:
    for model, model_admin in admin.site._registry.items():
        if not model_admin.search_fields:
            continue
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer = admin_client.get(page, {"q": words})
        assert answer.status_code == 400, page
        assert "8 words and 100 characters at most" in answer.content.decode()
        assert not answer.context["cl"].result_list, page
