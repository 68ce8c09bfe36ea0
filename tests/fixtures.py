"""The peers as fixtures, and businesses to test with."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from harness.peers.black_hole import running_black_hole
from harness.peers.bugsink import Bugsink, Project, running_bugsink
from harness.peers.collector import Collector, running_collector
from harness.peers.stripe import StripePeer, running_stripe

_numbers = count()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP collector of its own for each test."""
    with running_collector() as running:
        yield running


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of a server that never answers."""
    with running_black_hole() as port:
        yield port


@pytest.fixture(scope="session")
def bugsink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bugsink]:
    """The Sentry server, started once (10 s)."""
    with running_bugsink(tmp_path_factory.mktemp("bugsink")) as running:
        yield running


@pytest.fixture
def project(bugsink: Bugsink) -> Project:
    """An empty project of the Sentry server for each test."""
    return bugsink.project(f"test {next(_numbers)}")


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[StripePeer]:
    with running_stripe() as running:
        yield running


@pytest.fixture
def stripe_peer(stripe_server: StripePeer) -> Iterator[StripePeer]:
    """Stripe, with empty books before each test and well again after it."""
    stripe_server.forget()
    yield stripe_server
    stripe_server.recover()


@pytest.fixture
def stripe_on(settings: Any, stripe_peer: StripePeer) -> Iterator[StripePeer]:
    """Stripe, and payments by it are on."""
    from bookings.payments import stripe_api  # here: pytest may load these fixtures before there is a Django

    for name, value in stripe_peer.environment.items():
        setattr(settings, name, value)
    yield stripe_peer
    stripe_api._client.cache_clear()


@pytest.fixture
def demo_business(db: None) -> None:
    """The demo business in the test's database, as it opens today."""
    from bookings import demo  # as above

    demo.load(now=timezone.now())
