"""Where the time of requests and tasks goes: exact sums of those that ended, and what those in flight have done so far.

What a request does is known from what it went through: queries, the pool, outgoing calls. The rest is Python, which is
on a processor by the clock of its thread, and otherwise waits: for the interpreter, for a processor, or unobserved.
"""

import os
import sys
import sysconfig
import threading
import time
from pathlib import Path
from types import TracebackType

from telemetry.context import Observation, in_flight
from telemetry.metrics.labels import BoundedLabel
from telemetry.observe import proc
from telemetry.observe.activity import Activity, RouteLook, Running, Spent

MOST = 50
"""Durations and ages kept of a route in one look, and distinct activities: those beyond are added up by kind."""
MOST_ROUTES = 1000
"""Routes and tasks that are told apart; the rest are "other"."""
QUEUED = ""
"""The route of requests that wait for a thread: nobody has looked at them yet."""
_LIBRARIES = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"], str(Path(__file__).parents[1]))

CPU, OTHER, QUEUE = Activity("cpu"), Activity("other"), Activity("queue")


def begin(observation: Observation) -> None:
    """Note whose thread works on it from now on, and what that thread's clock says. Not for work of an event loop."""
    observation.thread = _thread()
    observation.cpu = time.thread_time()


def _thread() -> int:
    """The system's number of this thread, which it is asked for once."""
    return threading.current_thread().native_id or 0


class Ledger:
    """The time of this process's work since the last look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[str, RouteLook] = {}
        self._charged: dict[int, dict[Activity, Spent]] = {}
        """What earlier looks have been told of observations in flight."""

    def finished(self, observation: Observation, failure: str = "") -> None:
        """Add what an observation spent, and how it failed."""
        if observation.apart:
            return
        elapsed = time.perf_counter() - observation.started
        used = time.thread_time() - observation.cpu if observation.thread == _thread() else 0.0
        spent, name = _whole(observation, elapsed, used), route_of(observation)
        with self._lock:
            charged = self._charged.pop(id(observation), None)
            route = self._routes.get(name)
            if route is None:
                route = self._routes[name] = RouteLook()
            route.begun += charged is None
            route.ended += 1
            if len(route.finished) < MOST:
                route.finished.append(elapsed + observation.queued)
            if failure:
                route.errors[failure] = route.errors.get(failure, 0) + 1
            _charge(route, spent, charged)

    def look(self, waiting: list[float]) -> dict[str, RouteLook]:
        """Return what was spent since the last look, by route. `waiting`: see `queueing.waiting`."""
        now = time.perf_counter()
        frames = sys._current_frames()  # noqa: SLF001 - documented under this name
        native = {thread.native_id: thread.ident for thread in threading.enumerate()}
        with self._lock:
            routes, self._routes = self._routes, {}
            alive = {id(each): each for each in list(in_flight.values()) if not each.apart}
            self._charged = {key: spent for key, spent in self._charged.items() if key in alive}
            for key, each in alive.items():
                if not each.finished:
                    route = routes.setdefault(route_of(each), RouteLook())
                    self._charged[key] = _in_flight(route, each, now, self._charged.get(key))
                    _place(route, each, now, frames.get(native.get(each.thread) or 0))
        if waiting:
            queue = routes.setdefault(QUEUED, RouteLook())
            queue.running, queue.ages = len(waiting), waiting[:MOST]
            queue.now[QUEUE] = Running(len(waiting), max(waiting))
            queue.spent[QUEUE] = Spent(sum(min(age, 1.0) for age in waiting), 0)
        return routes


_bounded = BoundedLabel(MOST_ROUTES)


def route_of(observation: Observation) -> str:
    """The name under which it is accounted; a task's says that it is one."""
    return _bounded(observation.route if observation.kind == "request" else f"task:{observation.route}")


def busy() -> int:
    """How many requests that customers wait for are being answered."""
    return sum(each.kind == "request" and not each.apart for each in list(in_flight.values()))


def _whole(observation: Observation, elapsed: float, cpu: float) -> dict[Activity, Spent]:
    """Split the time so far: what was observed, and of the rest what the thread's clock says."""
    spent = {Activity(*activity): Spent(*sums) for activity, sums in list(observation.spent.items())}
    python = elapsed
    for seconds, _ in spent.values():
        python -= seconds
    on_processor = min(cpu, max(python, 0.0))
    spent[CPU] = Spent(on_processor, 1)
    spent[OTHER] = Spent(max(python, 0.0) - on_processor, 1)
    if observation.queued:
        spent[QUEUE] = Spent(observation.queued, 1)
    return spent


def _in_flight(
    route: RouteLook, observation: Observation, now: float, charged: dict[Activity, Spent] | None
) -> dict[Activity, Spent]:
    """Charge what an unfinished observation has done so far; return that."""
    current, turned = list(observation.doing), observation.turned
    elapsed = now - observation.started
    spent = {Activity(*activity): Spent(*sums) for activity, sums in list(observation.spent.items())}
    doing = Activity(*current[-1]) if current else None
    if doing is not None:
        spent[doing] = spent.get(doing, Spent()) + Spent(max(now - turned, 0.0), 0)
    python = max(elapsed - sum(each.seconds for each in spent.values()), 0.0)
    known = charged or {}
    before = known.get(CPU, Spent()).seconds
    cpu = min(max(_cpu(observation.thread) - observation.cpu, before), python) if observation.thread else 0.0
    spent[CPU], spent[OTHER] = Spent(cpu, 0), Spent(max(python - cpu, known.get(OTHER, Spent()).seconds), 0)
    if doing is None:  # on a processor, or not: by what most of its time since the last look was
        doing = CPU if cpu - before >= (spent[OTHER].seconds - known.get(OTHER, Spent()).seconds) else OTHER
        turned = max(turned, observation.started)
    running = route.now.get(doing, Running(0, 0.0))
    route.now[doing] = Running(running.number + 1, max(running.oldest, now - turned))
    route.begun += charged is None
    route.running += 1
    if len(route.ages) < MOST:
        route.ages.append(elapsed + observation.queued)
    _charge(route, spent, known)
    return spent


def _charge(route: RouteLook, spent: dict[Activity, Spent], charged: dict[Activity, Spent] | None) -> None:
    """Add what is new. At the end of every request: so no object is made that is not kept."""
    total = route.spent
    for activity, (seconds, operations) in spent.items():
        if charged and (before := charged.get(activity)) is not None:
            if seconds <= before.seconds and operations <= before.operations:
                continue
            seconds, operations = max(seconds - before.seconds, 0.0), operations - before.operations
        elif seconds <= 0.0 and operations <= 0:
            continue
        sofar = total.get(activity)
        if sofar is None and len(total) >= MOST:
            activity = Activity(activity.kind, "other")
            sofar = total.get(activity)
        total[activity] = (
            Spent(seconds, operations) if sofar is None else Spent(sofar[0] + seconds, sofar[1] + operations)
        )


def _cpu(thread: int) -> float:
    """CPU seconds a thread has used, to a hundredth; 0 where the system does not tell."""
    known = proc.stat(f"/proc/self/task/{thread}/stat")
    return known.cpu if known is not None else 0.0


def _place(route: RouteLook, observation: Observation, now: float, frame: object) -> None:
    """Note the function of the host's own code that is at work, where Python is."""
    if observation.doing or now - observation.started < 0.1:
        return
    while frame is not None:
        code = frame.f_code  # type: ignore[attr-defined]  # a frame, which has no public type
        if not code.co_filename.startswith((*_LIBRARIES, "<")):
            path = Path(code.co_filename)
            name = f"{code.co_name} ({'/'.join(path.parts[-2:])})"
            if name in route.code or len(route.code) < MOST:
                route.code[name] = route.code.get(name, 0) + 1
            return
        frame = frame.f_back  # type: ignore[attr-defined]  # as above


_FAMILIES = {
    "psycopg_pool": "pool",
    "psycopg": "query",
    "smtplib": "mail",
    "requests": "http",
    "urllib3": "http",
    "http": "http",
    "urllib": "http",
}


def failure(error: BaseException | None, status: int) -> str:
    """Return `kind:class` of what made work fail: the kind of activity that fails so, or "code"."""
    if error is None:
        return f"code:{status}"
    chain, seen = [error], 0
    while seen < 10 and (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
        seen += 1
    for each in chain:
        family = _FAMILIES.get(type(each).__module__.partition(".")[0])
        if family is None and isinstance(each, OSError):  # of the network: whoever called out raised it
            family = _raised_in(each.__traceback__)
        if family:
            return f"{family}:{type(each).__name__}"
    return f"code:{type(error).__name__}"


def _raised_in(stack: TracebackType | None) -> str | None:
    """Return the family of the innermost library in which an exception was raised."""
    found = None
    while stack is not None:
        name = str(stack.tb_frame.f_globals.get("__name__", ""))
        found = _FAMILIES.get(name.partition(".")[0], found)
        stack = stack.tb_next
    return found


ledger = Ledger()
os.register_at_fork(after_in_child=ledger.__init__)  # type: ignore[misc]  # a child shares no work with its parent
