"""One booking in a real browser: one trace from the page the customer filled in to the e-mail they got."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from harness.peers.collector import Collector, Span
from harness.stack import Stack, wait_for
from tests.test_journey import choose_a_time, fill_in


def test_one_booking_is_one_trace(stack: Callable[..., Stack], collector: Collector, page: Page) -> None:
    site = stack(env={**collector.environment, "RUM_COUNT_AUTOMATION": "on"}, worker=True)
    choose_a_time(page, site)
    fill_in(page)
    page.get_by_role("button", name="Book this visit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booked. See you")
    page.goto("about:blank")

    post = wait_for("the POST", lambda: collector.named("POST /book/<slug>/details/"), 30)[0]

    def trace() -> dict[str, Span]:
        return {span.name: span for span in collector.trace(post.trace_id)}

    wanted = {
        "GET /book/<slug>/details/",
        "page_view /book/<slug>/details/",
        "POST /book/<slug>/details/",
        "db.pool.acquire",
        "scheduling.book",
        "INSERT bookings_booking",
        "send_booking_email",
        "email.send",
    }
    wait_for(f"{wanted} among {sorted(trace())}", lambda: wanted <= trace().keys(), 30)
    spans = trace()
    get, task = spans["GET /book/<slug>/details/"], spans["send_booking_email"]
    assert get.parent_id == ""
    assert spans["page_view /book/<slug>/details/"].parent_id == get.span_id
    assert post.parent_id == get.span_id
    assert spans["scheduling.book"].parent_id == post.span_id
    booked = spans["scheduling.book"]
    assert [span for span in collector.named("INSERT bookings_booking") if span.parent_id == booked.span_id]
    assert task.links == [(post.trace_id, task.parent_id)]
    assert task.parent_id in {span.span_id for span in collector.trace(post.trace_id)}
    assert spans["email.send"].parent_id == task.span_id
    everything = "".join(collector.text)
    for secret in (
        "Robin",
        "robin@example.com",
        "07700 900200",
        "07700900200",
        "Sample Street",
        "se1 7pb",
        "SE1 7PB",
        "Second bell",
    ):
        assert secret not in everything
