"""Every play, by name: what is done, and what may be said of it."""

from dataclasses import dataclass

from ops.score import database, faults, releases
from ops.score.database import Fault

SLOW = ("slow", "slow_everywhere", "threads_exhausted", "pool_exhausted")
ERRORS = ("errors",)
TASKS = ("tasks_failing", "tasks_late", "slow", "slow_everywhere")


@dataclass(frozen=True, slots=True)
class Told:
    """What may be said: symptoms, kinds of cause, and a pattern of its component or route."""

    symptoms: tuple[str, ...]
    kinds: tuple[str, ...]
    component: str


@dataclass(frozen=True, slots=True)
class Play:
    """One fault, or several that have nothing to do with each other, of a class."""

    group: str
    fault: Fault
    told: tuple[Told, ...]
    extra: tuple[str, ...] = ()
    """Pages that are asked for all along."""
    decoy: bool = False
    """Whether an innocent release comes a few seconds before."""
    seconds: int = 18
    """That it lasts at least; 40 at most, unless there is nothing to tell."""


def _lock(component: str) -> tuple[Told, ...]:
    return (Told(SLOW, ("lock",), component),)


def _query(component: str) -> tuple[Told, ...]:
    return (Told(SLOW, ("query",), component),)


def _many(route: str) -> tuple[Told, ...]:
    return (Told(SLOW, ("query",), f"SELECT bookings_service.*{route}"),)


def _python(route: str) -> tuple[Told, ...]:
    return (Told(SLOW, ("cpu",), f"^({route}|every page)"),)


def _call(route: str) -> tuple[Told, ...]:
    return (Told(SLOW, ("http",), f"127.0.0.1.*{route}"),)


def _error(route: str, what: str = "") -> tuple[Told, ...]:
    return (Told(ERRORS, ("error",), f"{what}.*{route}"),)


WORK = "/broken/work/"
DOWN = ("database_down",)

PLAYS: dict[str, Play] = {
    # What the mechanism was written beside.
    "lock": Play("lock", database.locked("bookings_booking"), _lock("bookings_booking")),
    "another-lock": Play("lock", database.locked("bookings_service"), _lock("bookings_service")),
    "slow-table": Play("query", database.slow_table("bookings_workinghours"), _query("bookings_workinghours")),
    "database-stopped": Play("database", database.stopped, (Told(DOWN, ("database",), "refused"),)),
    "database-frozen": Play("database", database.frozen, (Told(DOWN, ("database",), "timeout"),)),
    "queries-work": Play("operations", faults.page((WORK, "queries")), _many(WORK), (WORK,)),
    "python-work": Play("cpu", faults.page((WORK, "python")), _python(WORK), (WORK,)),
    "call-work": Play("call", faults.page((WORK, "call")), _call(WORK), (WORK,)),
    "error-work": Play("errors", faults.page((WORK, "error")), _error(WORK, "LookupError"), (WORK,)),
    "surge-list": Play("surge", faults.surge("/services/"), (Told(SLOW, ("requests",), "requests"),)),
    "mail-down": Play("mail", faults.mail_down, (Told(("dependency",), ("dependency",), "email"),)),
    "web-worker-frozen": Play("process", faults.web_worker_frozen, (Told(("process_silent",), ("process",), "web"),)),
    "web-workers-killed": Play(
        "process", faults.web_workers_killed, (Told(("workers_dying", "process_gone"), ("process",), "web"),)
    ),
}
"""By name."""

NEW: dict[str, Play] = {
    # Written after it, and counted apart.
    "lock-hours": Play("lock", database.locked("bookings_workinghours"), _lock("bookings_workinghours")),
    "lock-tasks": Play("lock", database.locked("procrastinate_jobs"), _lock("procrastinate"), seconds=30),
    "rows-locked": Play("lock", database.rows_locked("bookings_service"), _lock(""), seconds=35),
    "advisory-lock": Play(
        "lock",
        faults.both(faults.page((WORK, "advisory")), database.advisory_lock),
        _lock("pg_advisory|SELECT"),
        (WORK,),
    ),
    "slow-services": Play("query", database.slow_table("bookings_service", 1.0), _query("bookings_service")),
    "slow-holidays": Play("query", database.slow_table("bookings_holiday", 2.0), _query("bookings_holiday")),
    "index-dropped": Play(
        "query", faults.both(database.index_dropped, faults.page((WORK, "lookup"))), _query("broken_parts"), (WORK,)
    ),
    "slow-query-home": Play("query", faults.page(("/", "deep")), _query("pg_sleep|SELECT"), seconds=30),
    "commits-hang": Play(
        "query",
        database.set_to("synchronous_standby_names", "nobody"),
        (
            Told(
                (*SLOW, "tasks_late"), ("commit", "query", "database"), "COMMIT|INSERT|UPDATE|procrastinate|every query"
            ),
        ),
        seconds=35,
    ),
    "queries-list": Play("operations", faults.page(("/services/", "queries")), _many("/services/")),
    "queries-contact": Play("operations", faults.page(("/contact/", "queries")), _many("/contact/")),
    "some-queries-home": Play("operations", faults.page(("/", "some-queries")), _many("/$"), seconds=35),
    "python-list": Play("cpu", faults.page(("/services/", "python")), _python("/services/")),
    "python-book": Play("cpu", faults.page(("/book/<slug:slug>/", "python")), _python("/book/")),
    "sleep-contact": Play(
        "call", faults.page(("/contact/", "sleep")), (Told(SLOW, ("other",), "/contact/"),), seconds=30
    ),
    "sleep-release": Play("call", releases.slow_page, (Told(SLOW, ("other",), "/broken/sleep/"),), seconds=30),
    "call-list": Play("call", faults.page(("/services/", "call")), _call("/services/")),
    "call-contact": Play("call", faults.page(("/contact/", "call")), _call("/contact/"), seconds=30),
    "call-refused": Play("errors", faults.page(("/services/", "refused")), _error("/services/")),
    "call-times-out": Play(
        "call",
        faults.page(("/contact/", "short-call")),
        (Told((*SLOW, *ERRORS), ("http", "error"), "/contact/"),),
        seconds=30,
    ),
    "error-list": Play("errors", faults.page(("/services/", "error")), _error("/services/", "LookupError")),
    "error-third": Play(
        "errors",
        faults.page(("/services/<slug:slug>/", "third-error")),
        _error("/services/<slug>/", "KeyError"),
        seconds=40,
    ),
    "error-release": Play("errors", releases.failing_page, _error("/broken/raise/<what>/", "RuntimeError")),
    "statement-times-out": Play("errors", faults.page(("/contact/", "timeout")), _error("/contact/")),
    "column-renamed": Play(
        "errors", database.column_renamed("bookings_service", "summary"), _error("", "Programming|UndefinedColumn")
    ),
    "read-only": Play(
        "errors", database.set_to("default_transaction_read_only", "on"), _error("", "ReadOnly|Internal"), seconds=40
    ),
    "database-full": Play("database", database.full, (Told(DOWN, ("database",), "full"),), seconds=30),
    "transaction-left-open": Play(
        "held",
        releases.leaked_transaction,
        (Told(SLOW, ("held", "other"), "idle in a transaction|/broken/transaction/"),),
        seconds=30,
    ),
    "hold-work": Play(
        "held",
        faults.page((WORK, "hold")),
        (Told(SLOW, ("held", "other"), f"idle in a transaction|{WORK}"),),
        (WORK, WORK),
    ),
    "surge-all": Play(
        "surge", faults.surge("/", "/services/", "/contact/", clients=48), (Told(SLOW, ("requests",), "requests"),)
    ),
    "surge-booking": Play(
        "surge", faults.surge("/book/tap-repair/", clients=32), (Told(SLOW, ("requests",), "requests"),)
    ),
    "processors-taken": Play("surge", faults.processors_taken, (Told(SLOW, ("processor",), ""),), seconds=35),
    "mail-silent": Play("mail", faults.mail_silent, (Told(("dependency",), ("dependency",), "email"),), seconds=35),
    "mail-slow": Play("mail", faults.mail_slow, (Told(TASKS, ("mail",), ""),), seconds=40),
    "stripe-down": Play("mail", faults.stripe_down, (Told(("dependency",), ("dependency",), "stripe"),), seconds=35),
    "stripe-silent": Play(
        "mail", faults.stripe_silent, (Told(("dependency",), ("dependency",), "stripe"),), seconds=35
    ),
    "script-fails": Play(
        "browsers", faults.script_fails, (Told(("browser_errors",), ("script",), "/book/"),), seconds=40
    ),
    "late-paint": Play("browsers", faults.late_paint, (Told(("vitals",), ("browser",), "/services/"),), seconds=40),
    "task-fails": Play(
        "tasks",
        faults.page(("working_task", "error")),
        (Told(("tasks_failing",), ("error",), "LookupError.*working_task"),),
    ),
    "task-sleeps": Play(
        "tasks", faults.page(("working_task", "sleep")), (Told(TASKS, ("other",), "working_task"),), seconds=30
    ),
    "task-queries": Play(
        "tasks",
        faults.page(("working_task", "queries")),
        (Told(TASKS, ("query",), "SELECT bookings_service.*working_task"),),
        seconds=30,
    ),
    "task-worker-frozen": Play(
        "process", faults.task_worker_frozen, (Told(("process_silent",), ("process",), "worker"),)
    ),
    "memory-grows": Play(
        "process", faults.page(("/services/", "memory")), (Told(("memory",), ("memory",), ""),), seconds=45
    ),
    # Innocent releases, and two faults at once.
    "decoy-lock": Play("decoys", database.locked("bookings_holiday"), _lock("bookings_holiday"), decoy=True),
    "decoy-queries": Play("decoys", faults.page(("/contact/", "queries")), _many("/contact/"), decoy=True),
    "pair-lock-call": Play(
        "pairs",
        faults.both(database.locked("bookings_workinghours"), faults.page(("/contact/", "call"))),
        _lock("bookings_workinghours") + _call("/contact/"),
        seconds=45,
    ),
    "pair-error-mail": Play(
        "pairs",
        faults.both(faults.page(("/services/", "error")), faults.mail_down),
        (*_error("/services/", "LookupError"), Told(("dependency",), ("dependency",), "email")),
        seconds=35,
    ),
    "pair-queries-tasks": Play(
        "pairs",
        faults.both(faults.page(("/services/", "queries"), ("working_task", "error"))),
        (*_many("/services/"), Told(("tasks_failing",), ("error",), "LookupError.*working_task")),
        seconds=35,
    ),
    # Nothing that customers meet: where the telemetry goes is gone.
    "collector-silent": Play("healthy", faults.collector_silent, (), seconds=40),
    "sentry-down": Play("healthy", faults.sentry_down, (), seconds=40),
    # Nothing at all, in each kind of hour.
    "steady": Play("healthy", faults.nothing, (), seconds=300),
    "growing": Play("healthy", faults.growing, (), seconds=10),
    "night": Play("healthy", faults.nothing, (), seconds=420),
}

SESSIONS: dict[str, tuple[str, ...]] = {
    "first": tuple(PLAYS),
    "database": (
        "lock-hours", "slow-services", "advisory-lock", "slow-holidays", "index-dropped", "rows-locked",
        "slow-query-home", "lock-tasks", "commits-hang", "column-renamed", "read-only", "database-full",
    ),
    "pages": (
        "queries-list", "python-list", "call-list", "error-list", "queries-contact", "call-refused", "python-book",
        "call-contact", "error-third", "some-queries-home", "call-times-out", "statement-times-out", "sleep-contact",
        "hold-work", "surge-all", "surge-booking",
    ),
    "others": (
        "task-fails", "task-sleeps", "task-queries", "mail-silent", "mail-slow", "stripe-down", "stripe-silent",
        "task-worker-frozen", "script-fails", "collector-silent", "sentry-down", "processors-taken", "decoy-lock",
        "decoy-queries", "pair-lock-call", "pair-error-mail", "pair-queries-tasks", "error-release", "sleep-release",
        "transaction-left-open", "memory-grows",
    ),
    "day": ("steady", "growing", "late-paint"),
    "night": ("night",),
}  # fmt: skip
"""What is played one after another on one site."""
