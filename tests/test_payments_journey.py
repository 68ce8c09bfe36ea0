"""A deposit in Chromium: booked, paid at Stripe's peer, confirmed by its webhook; and Stripe gone when it matters."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.peers.stripe import DECLINED_CARD, StripePeer
from harness.stack import Stack, wait_for
from tests.mailbox import letters
from tests.test_journey import ADDRESS, fill_in

TIMEOUT = 30_000
"""Milliseconds for what needs the task worker."""


@pytest.fixture
def site(stack: Callable[..., Stack], stripe_peer: StripePeer) -> Stack:
    """The site with deposits, its worker, and Stripe's webhooks coming to it."""
    site = stack(env=stripe_peer.environment, worker=True)
    stripe_peer.tell(site.url)
    return site


@pytest.fixture
def plain_page(chromium: Browser) -> Iterator[Page]:
    """A page without JavaScript."""
    with chromium.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}) as context:
        context.set_default_timeout(10_000)
        yield context.new_page()


def ask_for_a_visit(page: Page, site: Stack) -> None:
    """Up to the button that leads to Stripe."""
    page.goto(f"{site.url}/services/tv-mounting/")
    expect(page.get_by_text("£30 deposit to book")).to_be_visible()
    page.get_by_role("link", name="See free times").click()
    page.locator(".tape a:not(.full)").last.click()
    last = page.locator(".tape li:has(a:not(.full)) >> nth=-1").locator("a")
    expect(last).to_have_attribute("aria-current", "date")  # its windows have come
    page.locator("ul.slots a").first.click()
    fill_in(page)
    page.get_by_role("button", name="Continue to pay £30").click()


def pay(page: Page) -> None:
    """On the hosted page: a card that is declined, then one that is not."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Pay 30.00 gbp")
    page.get_by_label("Card").fill(DECLINED_CARD)
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    page.get_by_label("Card").fill("4242424242424242")
    page.get_by_role("button", name="Pay").click()


def subjects(site: Stack) -> list[str]:
    return [str(letter["subject"]) for letter in letters(site, ADDRESS)]


def expect_confirmed(page: Page, site: Stack, stripe_peer: StripePeer) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you", timeout=TIMEOUT)
    expect(page.get_by_text("£30 paid")).to_be_visible()
    wait_for("the confirmation", lambda: any("Your booking" in each for each in subjects(site)), 30)
    paid = [charge for charge in stripe_peer.ledger()["charge"] if charge["status"] == "succeeded"]
    assert [charge["amount"] for charge in paid] == [3000]


def test_it_books_pays_and_is_confirmed(site: Stack, page: Page, stripe_peer: StripePeer) -> None:
    errors = list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
    ask_for_a_visit(page, site)
    pay(page)
    expect_confirmed(page, site, stripe_peer)
    page.get_by_role("link", name="Move or cancel").click()
    expect(page.get_by_text("Your deposit of £30 goes back to your card.")).to_be_visible()
    page.get_by_role("button", name="Cancel this visit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This visit is cancelled")
    wait_for("the refund", lambda: [each["amount"] for each in stripe_peer.ledger()["refund"]] == [3000], 30)
    page.reload()
    expect(page.get_by_text("We have sent your deposit of £30 back")).to_be_visible()
    wait_for("the news", lambda: any("is cancelled" in each for each in subjects(site)), 30)
    assert errors == []


def test_it_keeps_the_time_while_stripe_is_gone(site: Stack, plain_page: Page, stripe_peer: StripePeer) -> None:
    """Without JavaScript, too: told plainly, the way to pay by e-mail, one tap when Stripe is back, charged once."""
    page = plain_page
    stripe_peer.fail("lose", paths="/v1/checkout/sessions")
    ask_for_a_visit(page, site)
    expect(page.get_by_role("alert")).to_contain_text("Your card was not charged, and your time is still kept")
    expect(page.get_by_text(re.compile(r"until\s.*minutes left", re.DOTALL))).to_be_visible()
    wait_for("the link by e-mail", lambda: any("Pay the deposit" in each for each in subjects(site)), 30)
    stripe_peer.recover()
    text = letters(site, ADDRESS)[0].get_body(("plain",))
    assert text is not None
    link = re.search(rf"{site.url}/bookings/\S+/pay/", text.get_content())
    assert link
    page.goto(link[0])
    page.get_by_role("button", name="Pay £30 by card").click()
    pay(page)
    expect_confirmed(page, site, stripe_peer)
    assert len(stripe_peer.ledger()["checkout.session"]) == 1
    assert site.log_events("stripe_failed")
