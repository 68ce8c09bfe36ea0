"""The peers as fixtures."""

from collections.abc import Iterator
from itertools import count

import pytest

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
