"""What staff and customers do with a quote, for its tests."""

from typing import Any

from django.test import Client

from bookings.models import ContactMessage, Quote, Service
from tests import factories, forms


def page(message: ContactMessage) -> str:
    return f"/admin/bookings/contactmessage/{message.pk}/change/"


def typed(fence: Service, gate: Service, **more: Any) -> dict[str, Any]:
    return {
        "quote_job_1": fence.pk,
        "quote_minutes_1": 180,
        "quote_price_1": "250.00",
        "quote_job_2": gate.pk,
        "quote_quantity_2": 2,
        "quote_price_2": "99.50",
        "quote_note": "With posts of oak.",
        "send_quote": "1",
    } | more


def accept(client: Client, quote: Quote) -> str:
    """The address of the windows to which accepting leads."""
    response = client.post(quote.get_absolute_url())
    assert response.status_code == 302
    return str(response.headers["Location"])


def details(client: Client, quote: Quote, hour: int = 9) -> tuple[str, dict[str, list[str]]]:
    """The details form for a window of an accepted quote, as it would be posted."""
    windows = accept(client, quote)
    start = f"{factories.tomorrow(hour):%Y-%m-%dT%H:%M:%SZ}"
    address = windows.replace("?", "details/?") + f"&start={start}"
    shown = client.get(address)
    assert shown.status_code == 200, shown.content.decode()
    filled = {"postcode": "SE15 4QL", "address": "1 Sample Street", "consent": "on"}
    return address, forms.posted(shown.content, **filled)


def windows_of(quote: Quote) -> str:
    return f"/book/fence/?job=quote:{quote.link_token}"
