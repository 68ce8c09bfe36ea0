"""The diagnosis on a simulated site: each fault is named, once, with its start, and nothing else is."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.diagnosis import attribution
from telemetry.diagnosis.baseline import Baseline
from telemetry.diagnosis.engine import Diagnosis, Event, State
from telemetry.diagnosis.model import Incident, Lock, Look
from telemetry.diagnosis.window import merge
from telemetry.observe.activity import Activity, RouteLook, Running, Spent
from tests.simulated import Site, watch

HEALTHY, FAULTY = 120, 30
"""Seconds."""


def lock(site: Site) -> None:
    site.held["SELECT booking"] = Lock("SELECT booking", "another session", site.at, "LOCK booking", idle=True)


def slow_query(site: Site) -> None:
    site.slow[Activity("query", "SELECT service")] = 1.0


def many_queries(site: Site) -> None:
    site.often["/services/", Activity("query", "SELECT service")] = 400


def some_more_queries(site: Site) -> None:
    site.often["/services/", Activity("query", "SELECT service")] = 120  # 0.4 s instead of 40 ms


def slow_python(site: Site) -> None:
    site.slow[Activity("cpu")] = 0.8


def slow_call(site: Site) -> None:
    site.slow[Activity("http", "bank")] = 8.0


def surge(site: Site) -> None:
    site.rates = dict.fromkeys(site.pages, 60.0)


def failing_page(site: Site) -> None:
    site.failing["/pay/"], site.release = "code:KeyError", "2"
    site.pages["/pay/"].rate = 1.0


def played(fault: Callable[[Site], None], *, healthy: int = HEALTHY, seed: int = 1) -> tuple[Site, float, list[Event]]:
    """Play a fault after healthy time; return the site, when it began, and what was found."""
    diagnosis, site = Diagnosis(), Site(seed)
    assert watch(diagnosis, site, healthy) == []
    began = site.at
    fault(site)
    return site, began, watch(diagnosis, site, FAULTY)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lock, "high latency in the `SELECT booking` query"),
        (lock, "waiting for a lock held by another session: `LOCK booking`, idle in its transaction since"),
        (slow_query, "high latency in the `SELECT service` query"),
        (many_queries, "`SELECT service` queries per request (usually 3.0, from /services/)"),
        (some_more_queries, "`SELECT service` queries per request (usually 3.0, from /services/)"),
        (slow_python, "time in Python on "),
        (slow_call, "high latency in calls to bank"),
        (surge, "a surge of requests"),
        (failing_page, "because of KeyError on /pay/ (release 2 started at "),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_it_names_what_grew_and_when(fault: Callable[[Site], None], words: str, seed: int) -> None:
    _, began, events = played(fault, seed=seed)
    assert [event.kind for event in events] == ["opened"], [event.incident.sentence for event in events]
    incident = events[0].incident
    assert words in incident.sentence
    assert incident.opened_at - began <= 12
    assert abs(incident.started_at - began) <= 3


def test_it_knows_a_slow_query_from_the_first_second() -> None:
    _, began, events = played(lock, healthy=0)
    assert "high latency in the `SELECT booking` query" in events[0].incident.sentence
    assert "usually" not in events[0].incident.sentence, "nothing is known of what is usual"
    assert abs(events[0].incident.started_at - began) <= 3


@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_quiet_about_an_ordinary_hour(seed: int) -> None:
    assert watch(Diagnosis(), Site(seed), 600) == []


def at_night(seed: int) -> Site:
    """A site with a visitor every ten seconds."""
    site = Site(seed)
    site.rates = dict.fromkeys(site.pages, 0.03)
    return site


@pytest.mark.parametrize("fault", [slow_query, many_queries, slow_python])
def test_it_explains_a_slow_page_that_is_seldom_asked_for(fault: Callable[[Site], None]) -> None:
    diagnosis, site = Diagnosis(), at_night(1)
    watch(diagnosis, site, 600)
    began = site.at
    fault(site)
    events = watch(diagnosis, site, 240)
    assert [event.kind for event in events] == ["opened"], [event.incident.sentence for event in events]
    incident = events[0].incident
    assert incident.cause.component in ("SELECT service", "every page", "/services/")
    assert began - 3 <= incident.started_at <= incident.opened_at
    site.slow.clear()
    site.often.clear()
    assert [event.kind for event in watch(diagnosis, site, 240)] == ["closed"]


@pytest.mark.parametrize("seed", range(2))
def test_it_keeps_quiet_through_a_night(seed: int) -> None:
    assert watch(Diagnosis(), at_night(seed), 1800) == []


def test_it_closes_an_incident_once_with_the_time_it_ended() -> None:
    diagnosis, site = Diagnosis(), Site(1)
    watch(diagnosis, site, HEALTHY)
    slow_query(site)
    watch(diagnosis, site, FAULTY)
    site.slow.clear()
    ended = site.at
    events = watch(diagnosis, site, 30)
    assert [event.kind for event in events] == ["closed"]
    assert events[0].incident.ended_at is not None
    assert abs(events[0].incident.ended_at - ended) <= 5
    assert diagnosis.open == []


def test_what_begins_after_the_last_worker_was_killed_is_an_incident_of_its_own() -> None:
    """That workers are killed is counted for a while after the last, which must explain nothing that begins then."""
    diagnosis, site = Diagnosis(), Site(1)
    watch(diagnosis, site, HEALTHY)
    for _ in range(3):
        diagnosis.exited(site.at, diagnosis.looks[-1])
    killed = site.at
    opened, closed = watch(diagnosis, site, 40)
    assert opened.incident.symptom.name == "workers_dying"
    assert (closed.kind, closed.incident.ended_at) == ("closed", killed)
    surge(site)
    assert [event.incident.cause.factor for event in watch(diagnosis, site, FAULTY)] == ["requests"]


def test_an_answer_from_before_the_trouble_does_not_clear_a_database() -> None:
    """Two processes had an answer just before it froze, and have no query that hangs yet."""
    diagnosis, site = Diagnosis(), Site(1)
    watch(diagnosis, site, HEALTHY)
    froze = site.at
    site.slow = {Activity("query", f"SELECT {name}"): 60.0 for name in ("booking", "service", "customer", "message")}
    opened = []
    for second, look in enumerate(site.looks(12)):
        if second >= 3:
            look.database, look.database_since, look.database_at = "timeout", froze, froze + 1
        quiet = [Look(look.at, 1.0, pid=pid, database="ok", database_at=froze - 2) for pid in (2, 3)]
        if second >= 5:  # asked every five seconds
            for other in quiet:
                other.database, other.database_since, other.database_at = "timeout", froze + 3, froze + 3
        opened += diagnosis.judge(look.at, [look, *quiet])
    assert [(event.kind, event.incident.symptom.name) for event in opened] == [("opened", "database_down")]


def test_it_tells_two_independent_faults_apart() -> None:
    diagnosis, site = Diagnosis(), Site(3, threads=32)
    watch(diagnosis, site, HEALTHY)
    lock(site)
    slow_call(site)
    causes = {event.incident.cause.kind for event in watch(diagnosis, site, FAULTY) if event.kind == "opened"}
    assert causes == {"lock", "http"}


def test_an_innocent_release_is_evidence_and_not_the_cause() -> None:
    diagnosis, site = Diagnosis(), Site(1)
    watch(diagnosis, site, HEALTHY)
    site.release = "2"
    watch(diagnosis, site, 10)
    lock(site)
    (event,) = watch(diagnosis, site, FAULTY)
    assert event.incident.cause.kind == "lock"
    assert "release 2 started at" in event.incident.sentence


def test_it_goes_on_where_an_earlier_leader_stopped() -> None:
    diagnosis, site = Diagnosis(), Site(1)
    watch(diagnosis, site, HEALTHY)
    lock(site)
    (opened,) = watch(diagnosis, site, 15)
    successor = Diagnosis(State.from_json(json.loads(json.dumps(diagnosis.state.to_json()))))
    assert watch(successor, site, 15) == [], "it is known already"
    site.held.clear()
    (closed,) = watch(successor, site, 30)
    assert (closed.kind, closed.incident.id) == ("closed", opened.incident.id)


def test_looks_and_incidents_survive_their_way_through_a_file() -> None:
    site, _, events = played(lock)
    look = next(site.looks(1))
    assert Look.from_json(json.loads(json.dumps(look.to_json()))) == look
    incident = events[0].incident
    assert Incident.from_json(json.loads(json.dumps(incident.to_json()))) == incident


NAMES = ["a", "b", "c", "d"]


@settings(max_examples=200)
@given(
    culprit=st.sampled_from(NAMES),
    factor=st.sampled_from(["operations", "duration"]),
    by=st.floats(4, 200),
    durations=st.lists(st.floats(0.01, 0.2), min_size=4, max_size=4),
    numbers=st.lists(st.integers(1, 6), min_size=4, max_size=4),
)
def test_the_activity_with_the_largest_excess_is_the_cause(
    culprit: str, factor: str, by: float, durations: list[float], numbers: list[int]
) -> None:
    def second(scaled: str = "") -> dict[str, RouteLook]:
        spent = {}
        for name, duration, number in zip(NAMES, durations, numbers, strict=True):
            times = by if name == scaled else 1.0
            operations = number * 20 * (times if factor == "operations" else 1.0)
            each = duration * (times if factor == "duration" else 1.0)
            spent[Activity("query", name)] = Spent(operations * each, operations)
        now = {activity: Running(0, 0.0) for activity in spent}
        return {"/page/": RouteLook(begun=20, ended=20, finished=[0.1] * 20, spent=spent, now=now)}

    baseline = Baseline()
    for _ in range(60):
        baseline.learn(second(), 1.0)
    window = merge([Look(1000.0, 1.0, 1, routes=second(culprit))], 1000.0, 1.0)
    found = attribution.causes(window, baseline)
    assert (found[0].component, found[0].factor) == (culprit, factor)
