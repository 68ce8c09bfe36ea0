"""What is wrong beside slow and failing work: on looks that are made up, second by second."""

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry import signals
from telemetry.diagnosis.engine import Diagnosis, Event, State
from telemetry.diagnosis.flows import Flows
from telemetry.diagnosis.model import Look, Pool
from telemetry.diagnosis.signals import silent
from telemetry.diagnosis.watches import Watches
from telemetry.observe.activity import Activity, RouteLook, Running
from telemetry.observe.browsers import Browsed
from telemetry.signals import Seen

MONDAY = 1_700_438_400.0
"""A midnight, UTC."""
MB = 1 << 20


def look(at: float, requests: int = 0, **values: Any) -> Look:
    routes = {"/": RouteLook(begun=requests, ended=requests, finished=[0.05] * min(requests, 50))} if requests else {}
    return Look(at, 1.0, values.pop("pid", 1), threads=4, database="ok", routes=routes, **values)


def judged(diagnosis: Diagnosis, looks: Iterator[Look] | list[Look]) -> list[Event]:
    events = []
    for each in looks:
        events += diagnosis.judge(each.at, [each])
    return events


def arriving(rate: float, seconds: int, at: float, seed: int = 1) -> Iterator[Look]:
    """A second after the other with `rate` requests on average."""
    chance = random.Random(seed)
    for second in range(seconds):
        number = sum(chance.random() < rate / 20 for _ in range(20))
        yield look(at + second, number)


def test_it_notices_that_requests_stop() -> None:
    diagnosis = Diagnosis()
    assert judged(diagnosis, arriving(3.0, 2400, MONDAY)) == []
    ended = MONDAY + 2400
    (opened,) = judged(diagnosis, arriving(0.0, 180, ended))
    assert opened.incident.sentence.startswith("Requests stop (none for ")
    assert "because of something before this host" in opened.incident.sentence
    assert abs(opened.incident.started_at - ended) <= 3
    assert opened.incident.opened_at - ended <= 70
    (closed,) = judged(diagnosis, arriving(3.0, 60, ended + 180))
    assert (closed.kind, closed.incident.id) == ("closed", opened.incident.id)


def sessions(hours: int, at: float, seed: int) -> Iterator[Look]:
    """A quiet site: now and then somebody comes, and looks at a few pages."""
    chance = random.Random(seed)
    left = 0
    for second in range(hours * 3600):
        hour = (at + second) / 3600 % 24
        if chance.random() < (0.01 if 8 <= hour < 22 else 0.0003):
            left += chance.randint(3, 20)
        asked = left > 0 and chance.random() < 0.15
        left -= asked
        yield look(at + second, int(asked))


@pytest.mark.parametrize("seed", range(3))
def test_it_keeps_quiet_on_a_quiet_site_and_through_its_nights(seed: int) -> None:
    flows = Flows()
    for each in sessions(72, MONDAY, seed):
        flows.add(each)
        assert flows.findings(each.at) == []


@pytest.mark.parametrize("seed", range(3))
def test_it_keeps_quiet_through_the_first_night_of_a_busy_site(seed: int) -> None:
    flows, chance = Flows(), random.Random(seed)
    for second in range(48 * 3600):
        at = MONDAY + 43_200 + second
        rate = 0.003 + 2.0 * max(math.sin(2 * math.pi * (at / 86_400 - 0.25)), 0.0)
        flows.add(look(at, int(chance.random() < rate)))
        assert flows.findings(at) == [], at


def business(day: int, chance: random.Random, *, orders: bool = True, visitors: bool = True) -> Iterator[Look]:
    """A day with two orders an hour by day, none at night and on Sundays; a look a minute, for speed."""
    for minute in range(24 * 60):
        at = MONDAY + day * 86_400 + minute * 60
        awake = 8 <= minute / 60 < 20 and day % 7 != 6
        number = int(awake and orders and chance.random() < 1 / 30)
        seen = Seen(number, 1800.0, "Orders stop", "something on the way to an order")
        yield look(at, (30 if awake else 1) * visitors, flows={"orders": seen})


def stopped(flows: Flows, looks: Iterator[Look]) -> list[Any]:
    found = []
    for each in looks:
        flows.add(each)
        found += [finding for finding in flows.findings(each.at) if finding.symptom.route == "orders"]
    return found


def test_it_notices_that_what_a_host_declared_stops() -> None:
    flows, chance = Flows(), random.Random(3)
    for day in range(15):
        assert stopped(flows, business(day, chance)) == [], f"day {day}: nights and Sundays are quiet"
    flows = Flows.from_json(json.loads(json.dumps(flows.to_json())))
    found = stopped(flows, business(15, chance, orders=False))
    assert found[0].symptom.says == "Orders stop"
    assert found[0].symptom.now < 24.5 * 3600, "within the working day, as two an hour are no steady stream"
    assert found[0].since <= MONDAY + 15 * 86_400


def test_it_does_not_miss_orders_where_visitors_are_missing() -> None:
    flows, chance = Flows(), random.Random(3)
    for day in range(8):
        stopped(flows, business(day, chance))
    assert stopped(flows, business(8, chance, orders=False, visitors=False)) == []


def test_a_flow_counts_what_happened_since_it_was_last_asked() -> None:
    flow = signals.flow("tests", "Tests stop", "nothing", slot=60.0)
    try:
        flow.happened()
        flow.happened()
        assert signals.seen()["tests"] == (2, 60.0, "Tests stop", "nothing")
        assert signals.seen()["tests"].number == 0
    finally:
        del signals._flows["tests"]


def sized(at: float, seconds: int, size: float, growth: float = 0.0, limit: int = 1024) -> Iterator[Look]:
    """A process that has `size` MB and grows by `growth` MB a second."""
    for second in range(seconds):
        yield look(at + second, 1, memory=int((size + growth * second) * MB), memory_limit=limit * MB)


def test_memory_that_has_grown_and_stays_is_reported_once() -> None:
    """Looked at over ten minutes it still seems to grow when it has stopped."""
    diagnosis = Diagnosis()
    judged(diagnosis, sized(MONDAY, 900, 126, limit=24_000))
    events = judged(diagnosis, sized(MONDAY + 900, 45, 126, 2.7, limit=24_000))
    events += judged(diagnosis, sized(MONDAY + 945, 900, 247, limit=24_000))
    assert [event.kind for event in events] == ["opened", "closed"]


@pytest.mark.parametrize(("state", "allowed"), [("stopped", 6), ("disk-sleep", 6), ("running", 20), ("sleeping", 20)])
def test_a_process_that_may_want_a_processor_is_silent_later(state: str, allowed: int) -> None:
    last = look(MONDAY, 1)
    assert silent([last], MONDAY + allowed - 1, {last.pid: state}) == []
    (found,) = silent([last], MONDAY + allowed, {last.pid: state})
    assert (found.symptom.name, found.since) == ("process_silent", MONDAY)


def test_it_notices_memory_that_grows_towards_its_limit() -> None:
    diagnosis = Diagnosis()
    assert judged(diagnosis, sized(MONDAY, 900, 120)) == []
    began = MONDAY + 900
    (opened,) = judged(diagnosis, sized(began, 400, 120, 1.0))
    sentence = opened.incident.sentence
    assert sentence.startswith("The memory of the web process grows (")
    assert "usually 12" in sentence
    assert "because of memory that web processes do not release (60 MB per minute" in sentence
    assert abs(opened.incident.started_at - began) <= 30
    assert opened.incident.opened_at - began <= 150
    (closed,) = judged(diagnosis, sized(began + 400, 300, 130))
    assert closed.kind == "closed"


def test_it_keeps_quiet_about_a_process_that_finds_its_size() -> None:
    warming = [
        look(MONDAY + second, 1, memory=int((300 - 200 * math.exp(-second / 200)) * MB), memory_limit=4096 * MB)
        for second in range(3600)
    ]
    assert judged(Diagnosis(), warming) == []


def working(at: float, seconds: int, oldest: float, routes: dict[str, RouteLook]) -> Iterator[Look]:
    for second in range(seconds):
        waits = max(oldest + second, 0.0) if oldest else 0.5
        yield Look(at + second, 1.0, 2, "worker", routes=routes, tasks_due=7, tasks_oldest=waits, database="ok")


def test_it_notices_tasks_that_are_late_and_what_the_worker_does_meanwhile() -> None:
    diagnosis = Diagnosis()
    sending = RouteLook(running=1, ages=[30.0], now={Activity("mail"): Running(1, 30.0)})
    assert judged(diagnosis, working(MONDAY, 120, 0.0, {})) == []
    (opened,) = [
        event
        for event in judged(diagnosis, working(MONDAY + 120, 30, 1.0, {"task:send": sending}))
        if event.incident.symptom.name == "tasks_late"
    ]
    assert opened.incident.sentence.startswith("Background tasks are late (7 due, the oldest for ")
    assert "because of high latency of the mail server" in opened.incident.sentence
    assert abs(opened.incident.started_at - (MONDAY + 119)) <= 2


def test_tasks_that_a_worker_does_not_begin_are_its_fault() -> None:
    diagnosis = Diagnosis()
    (opened,) = judged(diagnosis, [*working(MONDAY, 60, 0.0, {}), *working(MONDAY + 60, 30, 1.0, {})])
    assert "because of a worker that starts no tasks" in opened.incident.sentence


def test_a_worker_that_was_killed_and_does_not_come_back_is_missed() -> None:
    diagnosis = Diagnosis()
    looks = list(working(MONDAY, 30, 0.0, {}))
    judged(diagnosis, looks)
    diagnosis.exited(MONDAY + 30, looks[-1])
    (opened,) = judged(diagnosis, arriving(1.0, 20, MONDAY + 30))
    assert opened.incident.sentence.startswith("No worker process is running because of processes that were killed")
    assert abs(opened.incident.started_at - (MONDAY + 29)) <= 1
    (closed,) = judged(diagnosis, working(MONDAY + 50, 20, 0.0, {}))
    assert closed.kind == "closed"


def browsing(at: float, minutes: int, lcp: float, failed: int = 0, ttfb: float = 0.1) -> Iterator[Look]:
    """Six visitors a minute look at a page."""
    chance = random.Random(int(at))
    for second in range(0, 60 * minutes, 10):
        vitals = {"LCP": [lcp * chance.uniform(0.6, 1.6)], "TTFB": [ttfb * chance.uniform(0.6, 1.6)]}
        page = Browsed(1, int(failed > 0 and second % 20 == 0), vitals)
        yield look(at + second, 1, browsers={"/shop/": page}, release="1" if not failed else "2")


def test_it_notices_that_scripts_fail_in_several_browsers() -> None:
    diagnosis = Diagnosis()
    assert judged(diagnosis, browsing(MONDAY, 40, 1.0)) == []
    began = MONDAY + 2400
    (opened,) = judged(diagnosis, browsing(began, 3, 1.0, failed=1))
    assert opened.incident.sentence.startswith("Browsers report errors on /shop/ (3 visitors, ")
    assert "because of a script that fails on /shop/ (release 2 started at" in opened.incident.sentence
    assert abs(opened.incident.started_at - began) <= 2
    (closed,) = judged(diagnosis, browsing(began + 180, 4, 1.0))
    assert closed.kind == "closed"
    one_more = look(began + 421, 1, browsers={"/shop/": Browsed(1, 1)})
    assert judged(diagnosis, [one_more, *browsing(began + 422, 1, 1.0)]) == [], "what is over does not count any more"


@pytest.mark.parametrize(
    ("lcp", "ttfb", "because"), [(3.0, 0.1, "what the page loads and runs"), (3.0, 2.0, "a slow first byte")]
)
def test_it_notices_a_page_that_visitors_get_late(lcp: float, ttfb: float, because: str) -> None:
    diagnosis = Diagnosis()
    assert judged(diagnosis, browsing(MONDAY, 40, 1.0)) == []
    (opened,) = judged(diagnosis, browsing(MONDAY + 2400, 5, lcp, ttfb=ttfb))
    assert opened.incident.sentence.startswith("Visitors get /shop/ later")
    assert f"because of {because}" in opened.incident.sentence


def test_one_client_that_reports_the_worst_changes_nothing() -> None:
    """Clients are counted where beacons are taken in: one of them is one value of a vital, and one failure."""
    diagnosis = Diagnosis()
    judged(diagnosis, browsing(MONDAY, 40, 1.0))
    forged = look(MONDAY + 2401, 1, browsers={"/shop/": Browsed(1, 1, {"LCP": [60.0], "INP": [9.0], "CLS": [5.0]})})
    assert judged(diagnosis, [forged, *browsing(MONDAY + 2402, 5, 1.0)]) == []


def test_an_outage_began_between_the_last_good_answer_and_the_first_bad_one() -> None:
    diagnosis = Diagnosis()
    judged(diagnosis, [look(MONDAY + second, 1, facts={"bank": "ok"}) for second in range(30)])
    bad = [
        look(MONDAY + 30 + second, 1, facts={"bank": "degraded"}, good_at={"bank": MONDAY + 26.5})
        for second in range(3)
    ]
    (opened,) = judged(diagnosis, bad)
    assert opened.incident.started_at == MONDAY + 28.25


def test_a_database_beside_the_default_one_that_is_down_is_one_incident_by_its_name() -> None:
    diagnosis, pools = Diagnosis(), {"default": Pool(), "archive": Pool()}
    judged(diagnosis, [look(MONDAY + n, 1, facts={"archive": "ok"}, pools=pools) for n in range(30)])
    failing = RouteLook(begun=5, ended=5, finished=[0.05] * 5, errors={"query:OperationalError": 5})
    bad = [look(MONDAY + 30 + n, facts={"archive": "degraded"}, pools=pools) for n in range(10)]
    for each in bad:
        each.routes = {"/old/": failing}
    (opened,) = judged(diagnosis, bad)
    assert opened.incident.sentence.startswith("The database `archive` is down")


def test_what_is_usual_survives_a_restart() -> None:
    diagnosis = Diagnosis()
    judged(diagnosis, browsing(MONDAY, 40, 1.0))
    judged(diagnosis, sized(MONDAY + 2400, 600, 120))
    kept = State.from_json(json.loads(json.dumps(diagnosis.state.to_json()))).watches
    now, before = kept.to_json(), diagnosis.state.watches.to_json()
    now["flows"]["requests"]["looked"] = before["flows"]["requests"]["looked"]  # a slot that was cut short
    assert now == before
    assert kept.memory.usual["web"] > 0
    assert Watches.from_json({}).memory.usual == {}, "an older release kept nothing of it"


def test_a_full_database_is_told_with_those_who_use_it() -> None:
    diagnosis = Diagnosis()
    judged(diagnosis, [look(MONDAY + second, 1) for second in range(30)])
    began = MONDAY + 30
    starved = look(began, 1, pid=1)
    starved.database, starved.database_since, starved.database_users = "full", began - 0.5, {"reporting": 90, "site": 7}
    others = look(began, 1, pid=2), look(began, 1, pid=3)
    (opened,) = judged(diagnosis, [*others, starved])
    assert opened.incident.sentence.startswith(
        "The database refuses connections because of its exhausted connection limit "
        "(97 in use: 90 by reporting, 7 by site)"
    )
    assert opened.incident.started_at == began - 0.5
