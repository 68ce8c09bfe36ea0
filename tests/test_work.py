"""Where the time of work goes: a host's own kinds, exact sums in the metrics, and bounds that many routes keep."""

import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from telemetry import work
from telemetry.context import Observation, in_flight, observing
from telemetry.diagnosis.engine import Diagnosis
from telemetry.diagnosis.model import Look
from telemetry.observe import work as ledgers
from telemetry.observe.activity import Activity
from telemetry.serve.projections import count_work
from tests.simulated import Page, Site, shop, watch

LICENCE = work.kind("licence", "waiting for the licence server")


@pytest.fixture
def ledger() -> Iterator[ledgers.Ledger]:
    """A ledger of nobody else's work."""
    before = dict(in_flight)
    in_flight.clear()
    yield ledgers.Ledger()
    in_flight.clear()
    in_flight.update(before)


def test_time_in_a_kind_of_the_hosts_own_is_charged_to_it(ledger: ledgers.Ledger) -> None:
    observation = Observation("r" * 8, route="/own/")
    with observing(observation):
        ledgers.begin(observation)
        with LICENCE.doing("acme"):
            time.sleep(0.02)
        ledger.finished(observation)
    spent = ledger.look([])["/own/"].spent[Activity("licence", "acme")]
    assert spent.operations == 1
    assert 0.02 <= spent.seconds < 0.2


@pytest.mark.parametrize(
    ("slower", "more", "words"),
    [
        (3.0, 0, "because of time spent waiting for the licence server `acme` ("),
        (0.0, 40, " times waiting for the licence server `acme` per request (usually 1.0, from /own/)"),
    ],
)
def test_an_incident_names_a_kind_of_the_hosts_own(slower: float, more: int, words: str) -> None:
    asks = Activity("licence", "acme")
    diagnosis, site = Diagnosis(), Site(1, pages={**shop(), "/own/": Page(1.0, [(asks, 1, 0.05)])})
    watch(diagnosis, site, 120)
    site.slow[asks], site.often["/own/", asks] = slower, more
    (event,) = watch(diagnosis, site, 30)
    assert words in event.incident.sentence
    assert event.incident.cause.kind == "licence"


def test_work_in_flight_and_work_that_ended_are_counted_once(ledger: ledgers.Ledger) -> None:
    seconds, operations = counted("work_seconds_total"), counted("work_operations_total")
    observation = Observation("r" * 8, route="/counted/")
    with observing(observation):
        with LICENCE.doing("acme"):
            time.sleep(0.02)
            count_work(ledger.look([]))
            early = counted("work_seconds_total") - seconds
            time.sleep(0.02)
        with LICENCE.doing("other"):
            pass
        count_work(ledger.look([]))
        ledger.finished(observation)
    count_work(ledger.look([]))
    assert 0.02 <= early < counted("work_seconds_total") - seconds
    assert counted("work_seconds_total") - seconds == pytest.approx(
        sum(spent for spent, _ in observation.spent.values()), abs=1e-6
    )
    assert counted("work_operations_total") - operations == 2


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"route": "/counted/", "on": "licence"}) or 0.0


def test_a_thousand_routes_and_64_threads_stay_in_bound(ledger: ledgers.Ledger) -> None:
    """Each thread works on one request while a look is made of thousands that ended, each with a hundred activities."""
    working, done = threading.Barrier(65), threading.Event()

    def work_on(number: int) -> None:
        observation = Observation("r" * 8, route=f"/many/{number}/")
        with observing(observation):
            ledgers.begin(observation)
            working.wait()
            done.wait()

    threads = [threading.Thread(target=work_on, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    working.wait()
    for number in range(1500):
        ended = Observation("r" * 8, route=f"/many/{number}/")
        ended.spent = {("licence", f"server {n}"): [0.001, 1] for n in range(100)}
        ledger.finished(ended)
    began = time.thread_time()
    routes = ledger.look([])
    size = len(Look(0.0, 1.0, 1, routes=routes).to_json()["routes"])
    used = time.thread_time() - began
    done.set()
    for thread in threads:
        thread.join()
    assert size <= ledgers.MOST_ROUTES + 1
    assert max(len(route.spent) for route in routes.values()) <= ledgers.MOST + 5
    assert sum(route.spent[Activity("licence", "other")].operations for route in routes.values()) > 0
    licences = [n for route in routes.values() for (kind, _), (_, n) in route.spent.items() if kind == "licence"]
    assert sum(licences) == 150_000, "what is counted together is not lost"
    assert used < 1.0, "even so many are looked at in a part of a second"
