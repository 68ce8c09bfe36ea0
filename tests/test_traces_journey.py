"""One booking in a real browser, with a deposit: from the page the customer filled in to the e-mail they got."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from harness import waterfall
from harness.peers.collector import Collector, Span
from harness.peers.stripe import StripePeer
from harness.stack import BASE_DIR, Stack, wait_for
from tests.test_journey import FIELDS
from tests.test_payments_journey import ask_for_a_visit, expect_confirmed, pay

PICTURE = BASE_DIR / "docs" / "pictures" / "booking-trace.svg"
FORM = "/book/<slug>/details/"


@pytest.fixture
def booked(
    stack: Callable[..., Stack], collector: Collector, stripe_peer: StripePeer, page: Page
) -> tuple[Collector, Span]:
    """What the collector got of a visit that was booked and paid, and the span of the form's POST."""
    env = {**collector.environment, **stripe_peer.environment, "RUM_COUNT_AUTOMATION": "on"}
    site = stack(env=env, worker=True)
    stripe_peer.tell(site.url)
    ask_for_a_visit(page, site)
    pay(page)
    expect_confirmed(page, site, stripe_peer)
    page.goto("about:blank")
    post = wait_for("the POST", lambda: collector.named(f"POST {FORM}"), 30)[0]
    for name in (f"page_view {FORM}", "POST /api/stripe"):
        wait_for(name, lambda name=name: collector.named(name), 30)  # type: ignore[misc]  # bound at once
    wait_for("the e-mail", lambda: _following(collector, post, "email.send"), 30)
    return collector, post


def _following(collector: Collector, post: Span, name: str) -> list[Span]:
    """The spans of that name in the traces that continue the POST's."""
    return [span for trace in _continued(collector, post.trace_id) for span in trace if span.name == name]


def _continued(collector: Collector, trace_id: str) -> list[list[Span]]:
    """The traces whose spans have a link into that one, in the order of their start."""
    spans = list(collector.spans)
    ids = {span.trace_id for span in spans if trace_id in {linked for linked, _ in span.links}} - {trace_id}
    return sorted((collector.trace(each) for each in ids), key=lambda trace: min(span.start for span in trace))


def test_one_booking_is_one_story(booked: tuple[Collector, Span]) -> None:
    """The browser's page and the form are one trace; Stripe's report is another, which says what it continues."""
    collector, post = booked
    spans = {span.name: span for span in collector.trace(post.trace_id)}
    get = spans[f"GET {FORM}"]
    assert get.parent_id == ""
    assert spans[f"page_view {FORM}"].parent_id == post.parent_id == get.span_id
    assert spans["scheduling.hold"].parent_id == post.span_id
    inserted = [span for span in collector.named("INSERT bookings_booking") if span.trace_id == post.trace_id]
    assert [span.parent_id for span in inserted] == [spans["scheduling.hold"].span_id]
    assert {"db.pool.acquire", "stripe.create_session"} <= spans.keys()

    [email, *_] = _following(collector, post, "email.send")
    by_id = {span.span_id: span for span in collector.trace(email.trace_id)}
    way = [email.name]
    while email.parent_id:
        email = by_id[email.parent_id]
        way.append(email.name)
    assert way[:2] == ["email.send", "send_booking_email"]
    assert "send send_booking_email" in way
    assert way[-1] in {"POST /api/stripe", "GET /bookings/<token>/paid/"}, "whichever came first"
    for task in (by_id[span.parent_id] for span in by_id.values() if span.name == "email.send"):
        assert task.links == [(task.trace_id, task.parent_id)]
    reports = [trace for trace in _continued(collector, post.trace_id) if trace[0].trace_id != email.trace_id]
    assert {"POST /api/stripe"} <= {span.name for trace in [*reports, by_id.values()] for span in trace}

    everything = "".join(collector.text)
    for secret in [line for value in FIELDS.values() for line in value.splitlines() if line != "London"]:
        assert secret not in everything
        assert secret.replace(" ", "") not in everything


@pytest.mark.long
def test_it_draws_the_story(booked: tuple[Collector, Span]) -> None:
    """Without the queries, of which there are a hundred, and with the first of Stripe's reports."""
    collector, post = booked
    followed = _continued(collector, post.trace_id)
    emailed = [trace for trace in followed if "email.send" in {span.name for span in trace}]
    reported = [trace for trace in followed if trace not in emailed][:1]
    story = [
        [span for span in trace if "db.query.summary" not in span.attributes]
        for trace in (collector.trace(post.trace_id), *emailed, *reported)
    ]
    PICTURE.write_text(waterfall.drawn(story, "One booking with a deposit, from the browser to the e-mail, as traces"))
