"""One of three nodes dies in the middle of forty bookings and their rivals."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.stack import wait_for
from ops.scale.customers import Client, book_all, free_windows
from ops.scale.site import SERVER_CONNECTIONS, THREADS, Site
from tests.test_scale_out import pooler, pytestmark, rows, started

__all__ = ["pytestmark"]
WINDOWS, RIVALS = 40, 2


@pytest.fixture
def site(demo_template: str, static_files: None, tmp_path: Path) -> Iterator[Site]:
    """One for each try: what was booked and killed before would be found."""
    with started(demo_template, tmp_path) as site:
        yield site


def test_it_loses_no_booking_and_makes_none_twice_when_a_node_dies(site: Site) -> None:
    windows = free_windows(site, WINDOWS)
    assert len(windows) == WINDOWS
    victim, living = site.nodes[1], [site.nodes[0], site.nodes[2]]

    def strike(number: int) -> None:
        if number == WINDOWS // 3:
            victim.die()

    answers = book_all(site, windows, rivals=RIVALS, customers=12, booked=strike)

    # Every customer was told something in the end, and of the rivals for a window one was told that it is theirs.
    assert Counter(answer.status for answer in answers) == {302: WINDOWS, 409: WINDOWS * (RIVALS - 1)}
    won = [answer for answer in answers if answer.status == 302]
    assert Counter(answer.window for answer in won) == dict.fromkeys(windows, 1)
    assert any("502" in line["upstream_status"] for line in site.proxied), "the death was not in the middle of it"

    ours = "customer_email LIKE 'scale%@example.com'"
    booked = rows(site, f"SELECT customer_email, status FROM bookings_booking WHERE {ours}")
    assert sorted(booked) == sorted((answer.email, "confirmed") for answer in won)
    overlaps = (
        "SELECT count(*) FROM bookings_booking a JOIN bookings_booking b ON a.handyman_id = b.handyman_id"
        " AND a.id < b.id AND a.during && b.during"
        " WHERE a.status IN ('held', 'confirmed') AND b.status IN ('held', 'confirmed')"
    )
    assert rows(site, overlaps) == [(0,)]

    # Counters of the living say exactly what nginx saw of them; with the dead node's log they add up to the rows.
    def settled() -> bool:
        sent = Counter(line["upstream"].split(", ")[-1] for line in site.proxied if line["method"] == "POST")
        return all(
            node.metric("http_requests_total", method="POST") == sent[f"{node.place.address}:{node.place.port}"]
            for node in living
        )

    wait_for("the living nodes' counters to equal nginx's lines", settled, 30)
    counted = sum(node.metric("bookings_created_total") for node in living)
    told = len(victim.log_events("booking_created"))
    assert WINDOWS - THREADS <= counted + told <= WINDOWS, "more than one lost line for each thread that died"

    # No form reached two nodes unless the customer sent it again (each sending has a request id of nginx's).
    lines = [line for node in site.nodes for line in node.log_events("request_finished") if line["method"] == "POST"]
    assert [each for each, times in Counter(line["request_id"] for line in lines).items() if times > 1] == []

    # One e-mail for each customer, from two workers whom only NOTIFY wakes in time. Staff may get theirs meanwhile.
    def letters() -> list[str]:
        texts = [path.read_text() for path in (site.directory / "emails").glob("*")]
        found = [line for text in texts for line in text.splitlines() if line.startswith("To: scale")]
        return found if len(found) >= WINDOWS else []

    assert len(wait_for("an e-mail for each booking", letters, 60)) == WINDOWS
    assert len(set(letters())) == WINDOWS

    # All of it over fewer connections to PostgreSQL than the nodes and workers hold to the pooler.
    servers, clients = pooler(site, "SHOW SERVERS"), pooler(site, "SHOW CLIENTS")
    assert 0 < len(servers) <= SERVER_CONNECTIONS < len(clients), (servers, clients)

    # The node comes back and takes its share again.
    victim.revive()

    def shares() -> bool:
        client = Client(site)
        client.ask("GET", "/services/")
        client.close()
        return victim.metric("http_requests_total", route="/services/") > 0

    wait_for("the node to be used again", shares, 60)
