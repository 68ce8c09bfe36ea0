"""Every page and state that a customer can meet, one after another in a browser: for axe-core and the screenshots."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import psycopg
from playwright.sync_api import Page, expect

from harness.stack import Stack

_SOME_THURSDAY = date.today() + timedelta(days=17 - date.today().weekday())
"""Without visits of the demo. Who lives in SE15 works then; who lives further off works longer."""
ADDRESSES = {
    "home": "/",
    "home, area covered": "/?postcode=se1+7pb#area",
    "home, area not covered": "/?postcode=ZE1+0AA#area",
    "home, area unreadable": "/?postcode=nowhere#area",
    "services": "/services/",
    "service, fixed price": "/services/tap-repair/",
    "service, by the hour": "/services/shelves/",
    "service, quote": "/services/room-painting/",
    "service, deposit": "/services/tv-mounting/",
    "service, area not covered": "/services/shelves/?postcode=ZE1+0AA#area",
    "week": "/book/tap-repair/",
    "week, one handyman": "/book/shelves/?handyman=grace",
    "week, someone is nearby": f"/book/tap-repair/?day={_SOME_THURSDAY}&postcode=SE15+4QL",
    "week, nothing free that day": "/book/tap-repair/?day=9999-12-31",
    "jobs, of one visit": "/book/door-repair/jobs/?job=door-repair:2&job=shelves:1",
    "jobs, of two visits": "/book/tap-repair/jobs/?job=tap-repair:1&job=flat-pack:3&job=light-fitting:3",
    "week, several jobs": "/book/door-repair/?job=door-repair:2&job=shelves:1",
    "details, slot refused": "/book/tap-repair/details/?start=2020-01-01T09:00:00Z",
    "details, another price": "/book/tap-repair/details/?start=2020-01-01T09:00:00Z&offer=fixed.100.0.0.60.00000000",
    "job gone": "/book/nothing/",
    "contact": "/contact/",
    "contact, quote": "/contact/?topic=quote",
    "contact, thanks": "/contact/thanks/",
    "privacy": "/privacy/",
    "first in line": "/book/tap-repair/earlier/",
    "first in line, thanks": "/waitlist/thanks/",
    "own page": "/my-visits/",
    "own page, sent": "/my-visits/sent/",
    "own page, link gone": "/my-visits/forged/",
    "own page, erased": "/my-visits/erased/",
    "link gone": "/bookings/forged/",
    "quote, link gone": "/quotes/forged/",
    "not found": "/nothing/",
    "failed": "/broken/raise/it/",
    "unavailable": "/broken/outage/",
}
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.broken.settings",  # for the pages of our own faults
    "RATE_LIMIT_CONTACT": "30/h 1000/h",
    # Jobs that want a deposit, and nobody who answers where Stripe should be.
    "STRIPE_SECRET_KEY": "sk_test_only_for_tests",
    "STRIPE_WEBHOOK_SECRET": "whsec_only_for_tests",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
}
QUOTES = """
from datetime import timedelta
from django.utils import timezone
from bookings.models import ContactMessage, Quote, QuoteLine, Service
door = Service.objects.get(slug="door-repair")
for key in ("first", "second"):
    asked = ContactMessage.objects.create(name="Robin Example", email="robin@example.com", topic="quote", body="Doors")
    until = timezone.localdate() + timedelta(days=9)
    quote = Quote.objects.create(message=asked, note="Hinges included.", valid_until=until, key=key)
    QuoteLine.objects.create(quote=quote, service=door, quantity=2, minutes=90, price_pence=14000)
    print(quote.get_absolute_url())
"""
PERSON = {
    "Your name": "Robin Example",
    "E-mail": "robin@example.com",
    "Phone": "07700 900200",
    "Address of the job": "1 Sample Street\nLondon",
    "Postcode": "SE1 7PB",
}


def tour(site: Stack, page: Page) -> Iterator[str]:
    """Lead `page` through a site that runs with ENVIRONMENT; yields the name of each state once it is there.

    Whoever looks may change the size and the colours of the page, not where it is.
    """
    for name, path in ADDRESSES.items():
        page.goto(site.url + path)
        yield name
    yield from _booking(site, page)
    yield from _deposit(site, page)
    yield from _contact(site, page)
    yield from _quote(site, page)
    yield from _emptiness(site, page)


def _booking(site: Stack, page: Page) -> Iterator[str]:
    """From the week to a cancelled visit, with everything that can go wrong on the way."""
    page.goto(f"{site.url}/book/shelves/?handyman=grace")
    page.get_by_role("link", name="Later").click()
    page.locator("[data-id=previous]").wait_for()
    yield "week, later"
    page.locator("ul.slots a").last.click()
    expect(page.get_by_label("Your name", exact=True)).to_be_visible()
    yield "details"
    page.get_by_role("button", name="Book this visit").click()
    page.locator(".errors").wait_for()
    yield "details, errors"
    _introduce(page)
    page.get_by_label("Postcode").fill("ZE1 0AA")
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_contain_text("do not come to this postcode")
    yield "details, out of area"
    page.get_by_role("button", name="Other times").click()
    page.get_by_role("radio").first.wait_for()
    yield "details, other times"

    page.get_by_label("Postcode").fill("SE1 7PB")
    with _rival(page) as rival:
        _introduce(rival)
        rival.get_by_role("button", name="Book this visit").click()
        rival.get_by_role("link", name="Move or cancel").wait_for()
    page.get_by_role("button", name="Book this visit").click()
    expect(page.locator(".errors")).to_contain_text("just been taken")
    yield "details, lost race"

    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Book this visit").click()
    page.get_by_role("link", name="Move or cancel").wait_for()
    yield "confirmation"
    page.get_by_role("link", name="Move or cancel").click()
    page.get_by_role("button", name="Cancel this visit").wait_for()
    yield "manage"
    page.get_by_role("link", name="Correct your details").click()
    page.get_by_label("Phone").wait_for()
    yield "manage, details"
    page.get_by_role("link", name="Back").click()
    page.get_by_role("link", name="Add a job").click()
    page.get_by_role("heading", name="Add a job to your visit").wait_for()
    yield "manage, add a job"
    page.get_by_role("link", name="Back to your booking").click()
    yield from _more(page)
    page.locator("#move ul.slots button").last.click()
    expect(page.get_by_role("status").first).to_contain_text("Moved.")
    yield "manage, moved"
    _execute(site, f"UPDATE bookings_booking {_SOON} {_LATEST}")
    page.get_by_role("button", name="Cancel this visit").click()
    expect(page.get_by_role("alert")).to_contain_text("too close to the visit")
    yield "manage, refused"
    page.goto(page.url)
    yield "manage, too late"
    for name, change in {
        "manage, completed": "SET status = 'completed'",
        "manage, no-show": "SET status = 'no_show'",
        "manage, cancelled": "SET status = 'cancelled'",
    }.items():
        _execute(site, f"UPDATE bookings_booking {change} {_LATEST}")
        page.reload()
        yield name
    _execute(site, f"UPDATE bookings_booking SET status = 'completed' {_LATEST}")
    page.reload()
    yield from _review(page)


def _more(page: Page) -> Iterator[str]:
    """Photos for the visit, and the asked for an earlier time."""
    page.get_by_role("link", name="Photos").click()
    page.get_by_role("button", name="Send the photos").click()
    page.locator(".errors").wait_for()
    yield "manage, photos"
    page.get_by_role("link", name="See your booking").click()
    page.get_by_role("link", name="Tell me when something earlier comes free").click()
    page.get_by_role("button", name="Put me in line").wait_for()
    yield "manage, first in line"
    page.get_by_role("button", name="Put me in line").click()
    expect(page.get_by_role("status").first).to_contain_text("You are in line")
    yield "manage, in line"


def _review(page: Page) -> Iterator[str]:
    page.get_by_role("link", name="Write a review").click()
    page.get_by_role("button", name="Send the review").click()
    page.locator(".errors").wait_for()
    yield "review, errors"
    page.get_by_label("5, very good").check()
    page.get_by_label("In your words").fill("Came when she said, and it holds.")
    page.get_by_role("button", name="Send the review").click()
    page.get_by_role("heading", name="Thank you for your review").wait_for()
    yield "review, thanks"


def _deposit(site: Stack, page: Page) -> Iterator[str]:
    page.goto(f"{site.url}/book/tv-mounting/")
    page.locator("ul.slots a").last.click()
    page.get_by_role("button", name="Continue to pay").wait_for()
    yield "details, deposit"
    _introduce(page)
    page.get_by_role("button", name="Continue to pay").click()
    expect(page.get_by_role("alert")).to_contain_text("The payment page cannot be reached")
    yield "payment, Stripe unreachable"
    address = page.url.partition("?")[0]
    page.goto(address)
    yield "payment"
    page.goto(f"{address.removesuffix('pay/')}paid/?look=8")
    yield "payment, no word from Stripe"
    _execute(site, "UPDATE bookings_booking SET hold_expires_at = now() - interval '1 min' WHERE status = 'held'")
    page.goto(address)
    yield "payment, too late"


def _contact(site: Stack, page: Page) -> Iterator[str]:
    page.goto(f"{site.url}/contact/")
    page.get_by_label("Photos").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
    page.get_by_role("button", name="Send the message").click()
    page.locator(".errors").wait_for()
    yield "contact, errors"
    _execute(
        site,
        "INSERT INTO bookings_allowance (key, whole_at) VALUES ('contact:everybody', now() + '1 h')"
        " ON CONFLICT (key) DO UPDATE SET whole_at = excluded.whole_at",
    )
    page.get_by_label("Your message").fill("Could you put up a fence?")
    page.get_by_role("button", name="Send the message").click()
    expect(page.get_by_role("alert")).to_contain_text("Not sent yet")
    expect(page.get_by_label("Your message")).to_have_value("Could you put up a fence?")
    yield "contact, too often"
    page.context.clear_cookies()
    page.get_by_role("button", name="Send the message").click()
    page.get_by_role("heading", name="Please send the form again").wait_for()
    yield "form without its cookie"


def _quote(site: Stack, page: Page) -> Iterator[str]:
    """From a quote to its visit, and what becomes of one that is not accepted in time."""
    first, second = site.manage("shell", "-v0", "-c", QUOTES).split()[-2:]
    page.goto(site.url + first)
    yield "quote"
    page.get_by_role("button", name="Accept and choose a time").click()
    page.locator("ul.slots a").last.wait_for()
    yield "week, quoted"
    page.goto(site.url + first)
    yield "quote, accepted"
    page.get_by_role("link", name="Choose a time").click()
    page.locator("ul.slots a").last.click()
    expect(page.get_by_label("Your name", exact=True)).to_have_value(PERSON["Your name"])
    _introduce(page)
    page.get_by_role("button", name="Book this visit").click()
    page.get_by_role("link", name="Move or cancel").wait_for()
    expect(page.get_by_label("Your booking")).to_contain_text("£140 fixed price")
    page.goto(site.url + first)
    yield "quote, booked"
    page.goto(site.url + second)
    _execute(site, "UPDATE bookings_quote SET withdrawn_at = now() WHERE booking_id IS NULL")
    page.get_by_role("button", name="Accept and choose a time").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was booked")
    yield "quote, withdrawn"
    for name, change in {
        "quote, replaced": "replaced_by_id = (SELECT min(id) FROM bookings_quote)",
        "quote, expired": "withdrawn_at = NULL, valid_until = current_date - 1",
    }.items():
        _execute(site, f"UPDATE bookings_quote SET {change} WHERE booking_id IS NULL")
        page.goto(site.url + second)
        yield name


def _emptiness(site: Stack, page: Page) -> Iterator[str]:
    _execute(
        site,
        "INSERT INTO bookings_holiday (date, name) SELECT current_date + n, 'Closed' FROM generate_series(0, 70) n"
        " ON CONFLICT DO NOTHING",
    )
    page.goto(f"{site.url}/book/tap-repair/")
    yield "week, full"
    page.goto(f"{site.url}/book/tap-repair/details/?start=2020-01-01T09:00:00Z")
    yield "details, full"
    _execute(site, "UPDATE bookings_service SET active = false")
    for name, path in {"home, nothing to book": "/", "services, none": "/services/"}.items():
        page.goto(site.url + path)
        yield name


_SOON = (
    "SET grace_until = now(), starts_at = now() + '5 h', arrival_until = now() + '6 h', ends_at = now() + '6 h',"
    " during = tstzrange(now() + '5 h', now() + '7 h')"
)

_LATEST = "WHERE id = (SELECT max(id) FROM bookings_booking)"


def _introduce(page: Page) -> None:
    for label, typed in PERSON.items():
        page.get_by_label(label, exact=True).fill(typed)
    page.get_by_label("Keep these details").check()


@contextmanager
def _rival(page: Page) -> Iterator[Page]:
    """Somebody else who wants the very same window of the same handyman."""
    start = page.get_by_role("radio", checked=True).get_attribute("value")
    rival = page.context.new_page()
    rival.goto(f"{page.url.partition('?')[0]}?start={start}&handyman=grace")
    yield rival
    rival.close()


def _execute(site: Stack, statement: str) -> None:
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        connection.execute(statement.encode())
