"""Hand-typed addresses in the admin: whatever they ask for, the answer is a page or a clear 400, and never a 500."""

from itertools import product

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db
NONSENSE = ("%00", "9" * 25, "2025-13-45")
LISTS = {
    "bookings_booking": (
        "q={}", "p={}", "o={}", "e={}", "all={}", "_facets={}", "_to_field={}", "id={}", "nothing={}", "when={}",
        "status__exact={}", "starts_at__year={}", "starts_at__month={}", "starts_at__year=2026&starts_at__day={}",
        "starts_at__gte={}", "handyman__id__exact={}", "job={}",
    ),
    "bookings_contactmessage": ("q={}", "folder={}", "topic__exact={}", "created_at__year={}"),
    "bookings_review": ("published__exact={}", "rating={}", "service__id__exact={}", "date__year={}"),
    "bookings_handyman": ("q={}", "active__exact={}", "skills__id__exact={}"),
    "bookings_timeoff": ("handyman__id__exact={}", "starts_at__year={}"),
    "procrastinate_procrastinatejob": ("q={}", "status__exact={}", "task_name={}"),
    "auth_user": ("q={}", "is_staff__exact={}", "groups__id__exact={}"),
    "axes_accessattempt": ("q={}", "attempt_time__gte={}"),
}  # fmt: skip


def status(client: Client, address: str) -> int:
    """Of the answer. In a savepoint: PostgreSQL refuses to go on in a transaction in which a statement failed."""
    client.raise_request_exception = False
    with transaction.atomic():
        answered = client.get(address).status_code
        transaction.set_rollback(True)
    return answered


def test_it_answers_any_question_of_a_list(admin_client: Client) -> None:
    service = factories.service()
    factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    answers = {
        address: status(admin_client, address)
        for model, questions in LISTS.items()
        for question, nonsense in product(questions, NONSENSE)
        for address in [f"{reverse(f'admin:{model}_changelist')}?{question.format(nonsense)}"]
    }
    assert {address: code for address, code in answers.items() if code not in (200, 302, 400)} == {}
    assert 400 in answers.values()


def test_it_answers_any_query_for_a_new_row(admin_client: Client) -> None:
    for model, nonsense in product(admin.site._registry, NONSENSE):
        if model._meta.app_label == "bookings":
            asked = "&".join(f"{field.name}={nonsense}" for field in model._meta.fields)
            address = f"{reverse(f'admin:bookings_{model._meta.model_name}_add')}?{asked}"
            assert status(admin_client, address) in (200, 400, 403), address


def test_it_answers_any_number_of_a_row(admin_client: Client) -> None:
    for nonsense, verb in product((*NONSENSE, "-1", "x"), ("change", "delete", "history")):
        address = f"/admin/bookings/handyman/{nonsense}/{verb}/"
        assert status(admin_client, address) in (302, 400, 404), address
