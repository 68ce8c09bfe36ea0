"""The one place with words: *symptom* because of *cause* (*evidence*) starting at *time*."""

from datetime import UTC, datetime

from telemetry import work
from telemetry.diagnosis.model import Cause, Lock, Symptom


def clock(moment: float, now: float) -> str:
    """Return a Unix time as 14:02:11 UTC, with its date when that is not today's."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC).date()
    return then.strftime("%H:%M:%S UTC" if then.date() == today else "%H:%M:%S UTC on %d %B %Y")


def sentence(symptom: Symptom, cause: Cause, started: float, now: float, changes: list[str] | None = None) -> str:
    """Say what is wrong, why, on what evidence, and since when."""
    evidence = [each for each in _evidence(cause, now) + (changes or []) if each]
    shown = f" ({', '.join(evidence)})" if evidence else ""
    return f"{_symptom(symptom)} because of {_cause(cause)}{shown} starting at {clock(started, now)}."


def summary(symptom: Symptom, cause: Cause) -> str:
    """Say what is wrong and why without figures: the same words for every incident of this kind."""
    return f"{_what(symptom)} because of {_cause(cause, 'many')}"


def _what(symptom: Symptom) -> str:
    return _symptom(symptom).partition(" (")[0]


def _symptom(symptom: Symptom) -> str:
    used = f"{symptom.in_use}/{symptom.size} in use, {symptom.waiting} waiting"
    match symptom.name:
        case "pool_exhausted":
            of = f" of `{symptom.database}`" if symptom.database else ""
            return f"The database pool{of} is exhausted ({used})"
        case "threads_exhausted":
            return f"All web threads are busy ({symptom.in_use}/{symptom.size}, {symptom.waiting} requests queued)"
        case "slow":
            usual = f" instead of {seconds(symptom.usual)}" if symptom.usual is not None else ""
            return f"Requests to {symptom.route or 'the site'} are slow ({seconds(symptom.now)}{usual})"
        case "slow_everywhere":
            return f"Requests are slow ({symptom.affected} affected, most on {symptom.route or 'other paths'})"
        case "errors":
            return f"Requests to {symptom.route} fail ({symptom.affected} of them, {symptom.now:.0%})"
        case "tasks_failing":
            return f"The background task {symptom.route} fails ({symptom.affected} times, {symptom.now:.0%})"
        case "tasks_late":
            return f"Background tasks are late ({symptom.waiting} due, the oldest for {seconds(symptom.now)})"
        case "database_down":
            return symptom.says or "The database is down"
        case "dependency":
            return symptom.says or f"The check of {symptom.route} fails"
        case "process_silent":
            return f"A {symptom.route} process does not respond"
        case "workers_dying":
            return f"Web workers keep exiting ({symptom.affected} in {seconds(symptom.now)})"
        case "process_gone":
            return f"No {symptom.route} process is running"
        case "stopped":
            usual = f", usually one every {seconds(symptom.usual)}" if symptom.usual else ""
            return f"{symptom.says or symptom.route} (none for {seconds(symptom.now)}{usual})"
        case "memory":
            return f"The memory of the {symptom.route} process grows ({_memory(symptom)})"
        case "browser_errors":
            return f"Browsers report errors on {symptom.route} ({symptom.affected} visitors, {symptom.now:.0%})"
        case "vitals":
            was, usual = _vital(symptom.says, symptom.now), _vital(symptom.says, symptom.usual or 0.0)
            return f"Visitors get {symptom.route} later or less steadily ({symptom.says} {was} instead of {usual})"
    return f"{symptom.name.replace('_', ' ').capitalize()}"


def _memory(symptom: Symptom) -> str:
    usual = f"{size(symptom.now)}, usually {size(symptom.usual)}" if symptom.usual else size(symptom.now)
    return f"{usual}; {size(symptom.in_use)} of {size(symptom.size)} in all" if symptom.size else usual


def _vital(name: str, value: float) -> str:
    return f"{value:.2f}" if name == "CLS" else seconds(value)


def size(value: float) -> str:
    """Return bytes as 412 MB or 1.5 GB."""
    return f"{value / (1 << 30):.1f} GB" if value >= 1 << 30 else f"{value / (1 << 20):.0f} MB"


_DATABASE = {
    "refused": "refused connections",
    "timeout": "a server that does not respond",
    "full": "its exhausted connection limit",
    "every query": "high latency in every query",
}


def _cause(cause: Cause, number: str = "") -> str:
    number = number or f"{cause.now:.0f}"
    match cause.kind, cause.factor:
        case "lock", _:
            return f"high latency in the `{cause.component}` query"
        case "query", "operations":
            return f"{number} `{cause.component}` queries per request"
        case "query" | "commit", _:
            return f"high latency in the `{cause.component}` query"
        case "database", _:
            return _DATABASE.get(cause.component, cause.component)
        case "requests", _:
            return "a surge of requests"
        case "cpu", _:
            return f"time in Python on {cause.component}"
        case "other", _:
            return f"blocked in Python on {cause.component}"
        case "held", _:
            return f"connections held {cause.component}"
        case "http", "operations":
            return f"{number} calls to {cause.component} per request"
        case "http", _:
            return f"high latency in calls to {cause.component}"
        case "mail", _:
            return "high latency of the mail server"
        case "processor", _:
            return f"a lack of CPU, which {cause.component} uses"
        case "dependency", _:
            return f"{cause.component}, which does not respond correctly"
        case "process", _:
            return {"stopped": "a process that was stopped", "killed": "processes that were killed or crashed"}.get(
                cause.detail, f"a process in state {cause.detail}"
            )
        case "memory", _:
            return f"memory that {cause.component} processes do not release"
        case "flow" | "browser", _:
            return cause.detail
        case "script", _:
            return f"a script that fails on {cause.component}"
        case "tasks", _:
            return f"more tasks than the worker can run, most of them {cause.component}"
        case "worker", _:
            return "a worker that starts no tasks"
        case "unknown", _:
            return "something that was not observed"
    if cause.kind.startswith("error:"):
        return f"{cause.component} on {cause.route}"
    known = work.kinds().get(cause.kind)
    does = " ".join(filter(None, [known.says if known else cause.kind, cause.component and f"`{cause.component}`"]))
    return f"{number} times {does} per request" if cause.factor == "operations" else f"time spent {does}"


def _evidence(cause: Cause, now: float) -> list[str]:
    usual = f"usually {_value(cause, cause.usual)}" if cause.usual is not None and cause.usual >= 1e-6 else ""
    match cause.factor:
        case "duration":
            found = [
                f"{seconds(cause.now)} each"
                if cause.kind not in ("cpu", "other")
                else f"{seconds(cause.now)} per request",
                usual,
                f"{cause.running} running, oldest {seconds(cause.oldest)}" if cause.running else "",
                f"from {cause.route}" if cause.kind not in ("cpu", "other") and cause.route else "",
                f"mostly in {cause.detail}" if cause.detail else "",
            ]
        case "operations":
            found = [usual, f"from {cause.route}" if cause.route else ""]
        case "requests":
            found = [f"{cause.now:.1f} per second", usual, f"mostly {cause.route}" if cause.route else ""]
        case "errors":
            found = [usual]
        case _:
            found = [f"{cause.now:.1f} processors"] if cause.kind == "processor" else []
            if cause.kind == "database" and cause.detail:
                found = [f"{cause.running} in use: {cause.detail}"]
            if cause.kind == "memory" and cause.now:
                left = f"the limit is reached in {cause.oldest / 60:.0f} min" if cause.oldest else ""
                found = [f"{size(cause.now * 60)} per minute", left]
            if cause.kind == "process" and cause.detail != "killed":
                found.append(f"pid {cause.running}")
    if cause.holder is not None:
        found.append(_lock(cause.holder, now))
    return found


def _lock(lock: Lock, now: float) -> str:
    doing = "idle in its transaction" if lock.idle else "in a transaction"
    what = [f"`{lock.last_query}`" if lock.last_query else "", f"{doing} since {clock(lock.since, now)}"]
    return f"waiting for a lock held by {lock.holder}: {', '.join(filter(None, what))}"


def _value(cause: Cause, value: float | None) -> str:
    if value is None:
        return ""
    if cause.factor == "duration":
        return seconds(value)
    return f"{value:.1f}" if cause.factor != "errors" else f"{value:.0%}"


def seconds(value: float | None) -> str:
    """Return a duration as 3.1 s or 12 ms."""
    if value is None:
        return ""
    return f"{value:.1f} s" if value >= 0.95 else f"{value * 1000:.0f} ms" if value >= 0.001 else "under 1 ms"
