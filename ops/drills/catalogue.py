"""Every drill, by name: what is done, and which diagnosis is expected."""

from dataclasses import dataclass

from ops.drills import database, faults, releases
from ops.drills.database import Fault

SLOW = ("slow", "slow_everywhere", "threads_exhausted", "pool_exhausted")
ERRORS = ("errors",)
TASKS = ("tasks_failing", "tasks_late", "slow", "slow_everywhere")


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected diagnosis: symptoms, kinds of cause, and a pattern of its component or route."""

    symptoms: tuple[str, ...]
    kinds: tuple[str, ...]
    component: str


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault, or several that have nothing to do with each other, of a class."""

    group: str
    fault: Fault
    expected: tuple[Expected, ...]
    extra: tuple[str, ...] = ()
    """Pages that are asked for all along."""
    decoy: bool = False
    """Whether an innocent release comes a few seconds before."""
    seconds: int = 18
    """That it lasts at least; 40 at most, unless no incident is expected."""


def _lock(component: str) -> tuple[Expected, ...]:
    return (Expected(SLOW, ("lock",), component),)


def _query(component: str) -> tuple[Expected, ...]:
    return (Expected(SLOW, ("query",), component),)


def _many(route: str) -> tuple[Expected, ...]:
    return (Expected(SLOW, ("query",), f"SELECT bookings_service.*{route}"),)


def _python(route: str) -> tuple[Expected, ...]:
    return (Expected(SLOW, ("cpu",), f"^({route}|every page)"),)


def _call(route: str) -> tuple[Expected, ...]:
    return (Expected(SLOW, ("http",), f"127.0.0.1.*{route}"),)


def _error(route: str, what: str = "") -> tuple[Expected, ...]:
    return (Expected(ERRORS, ("error",), f"{what}.*{route}"),)


WORK = "/broken/work/"
DOWN = ("database_down",)

PLAYS: dict[str, Drill] = {
    # Those that the mechanism was developed with.
    "lock": Drill("lock", database.locked("bookings_booking"), _lock("bookings_booking")),
    "another-lock": Drill("lock", database.locked("bookings_service"), _lock("bookings_service")),
    "slow-table": Drill("query", database.slow_table("bookings_workinghours"), _query("bookings_workinghours")),
    "database-stopped": Drill("database", database.stopped, (Expected(DOWN, ("database",), "refused"),)),
    "database-frozen": Drill("database", database.frozen, (Expected(DOWN, ("database",), "timeout"),)),
    "queries-work": Drill("operations", faults.page((WORK, "queries")), _many(WORK), (WORK,)),
    "python-work": Drill("cpu", faults.page((WORK, "python")), _python(WORK), (WORK,)),
    "call-work": Drill("call", faults.page((WORK, "call")), _call(WORK), (WORK,)),
    "error-work": Drill("errors", faults.page((WORK, "error")), _error(WORK, "LookupError"), (WORK,)),
    "surge-list": Drill("surge", faults.surge("/services/"), (Expected(SLOW, ("requests",), "requests"),)),
    "mail-down": Drill("mail", faults.mail_down, (Expected(("dependency",), ("dependency",), "email"),)),
    "web-worker-frozen": Drill(
        "process", faults.web_worker_frozen, (Expected(("process_silent",), ("process",), "web"),)
    ),
    "web-workers-killed": Drill(
        "process", faults.web_workers_killed, (Expected(("workers_dying", "process_gone"), ("process",), "web"),)
    ),
}
"""By name."""

NEW: dict[str, Drill] = {
    # Written after it, and counted apart.
    "lock-hours": Drill("lock", database.locked("bookings_workinghours"), _lock("bookings_workinghours")),
    "lock-tasks": Drill("lock", database.locked("procrastinate_jobs"), _lock("procrastinate"), seconds=30),
    "rows-locked": Drill("lock", database.rows_locked("bookings_service"), _lock(""), seconds=35),
    "advisory-lock": Drill(
        "lock",
        faults.both(faults.page((WORK, "advisory")), database.advisory_lock),
        _lock("pg_advisory|SELECT"),
        (WORK,),
    ),
    "slow-services": Drill("query", database.slow_table("bookings_service", 1.0), _query("bookings_service")),
    "slow-holidays": Drill("query", database.slow_table("bookings_holiday", 2.0), _query("bookings_holiday")),
    "index-dropped": Drill(
        "query", faults.both(database.index_dropped, faults.page((WORK, "lookup"))), _query("broken_parts"), (WORK,)
    ),
    "slow-query-home": Drill("query", faults.page(("/", "deep")), _query("pg_sleep|SELECT"), seconds=30),
    "commits-hang": Drill(
        "query",
        database.set_to("synchronous_standby_names", "nobody"),
        (
            Expected(
                (*SLOW, "tasks_late"), ("commit", "query", "database"), "COMMIT|INSERT|UPDATE|procrastinate|every query"
            ),
        ),
        seconds=35,
    ),
    "queries-list": Drill("operations", faults.page(("/services/", "queries")), _many("/services/")),
    "queries-contact": Drill("operations", faults.page(("/contact/", "queries")), _many("/contact/")),
    "some-queries-home": Drill("operations", faults.page(("/", "some-queries")), _many("/$"), seconds=35),
    "python-list": Drill("cpu", faults.page(("/services/", "python")), _python("/services/")),
    "python-book": Drill("cpu", faults.page(("/book/<slug:slug>/", "python")), _python("/book/")),
    "sleep-contact": Drill(
        "call", faults.page(("/contact/", "sleep")), (Expected(SLOW, ("other",), "/contact/"),), seconds=30
    ),
    "sleep-release": Drill("call", releases.slow_page, (Expected(SLOW, ("other",), "/broken/sleep/"),), seconds=30),
    "call-list": Drill("call", faults.page(("/services/", "call")), _call("/services/")),
    "call-contact": Drill("call", faults.page(("/contact/", "call")), _call("/contact/"), seconds=30),
    "call-refused": Drill("errors", faults.page(("/services/", "refused")), _error("/services/")),
    "call-times-out": Drill(
        "call",
        faults.page(("/contact/", "short-call")),
        (Expected((*SLOW, *ERRORS), ("http", "error"), "/contact/"),),
        seconds=30,
    ),
    "error-list": Drill("errors", faults.page(("/services/", "error")), _error("/services/", "LookupError")),
    "error-third": Drill(
        "errors",
        faults.page(("/services/<slug:slug>/", "third-error")),
        _error("/services/<slug>/", "KeyError"),
        seconds=40,
    ),
    "error-release": Drill("errors", releases.failing_page, _error("/broken/raise/<what>/", "RuntimeError")),
    "statement-times-out": Drill("errors", faults.page(("/contact/", "timeout")), _error("/contact/")),
    "column-renamed": Drill(
        "errors", database.column_renamed("bookings_service", "summary"), _error("", "Programming|UndefinedColumn")
    ),
    "read-only": Drill(
        "errors", database.set_to("default_transaction_read_only", "on"), _error("", "ReadOnly|Internal"), seconds=40
    ),
    "database-full": Drill("database", database.full, (Expected(DOWN, ("database",), "full"),), seconds=30),
    "transaction-left-open": Drill(
        "held",
        releases.leaked_transaction,
        (Expected(SLOW, ("held", "other"), "idle in a transaction|/broken/transaction/"),),
        seconds=30,
    ),
    "hold-work": Drill(
        "held",
        faults.page((WORK, "hold")),
        (Expected(SLOW, ("held", "other"), f"idle in a transaction|{WORK}"),),
        (WORK, WORK),
    ),
    "surge-all": Drill(
        "surge", faults.surge("/", "/services/", "/contact/", clients=48), (Expected(SLOW, ("requests",), "requests"),)
    ),
    "surge-booking": Drill(
        "surge", faults.surge("/book/tap-repair/", clients=32), (Expected(SLOW, ("requests",), "requests"),)
    ),
    "processors-taken": Drill("surge", faults.processors_taken, (Expected(SLOW, ("processor",), ""),), seconds=35),
    "mail-silent": Drill(
        "mail", faults.mail_silent, (Expected(("dependency",), ("dependency",), "email"),), seconds=35
    ),
    "mail-slow": Drill("mail", faults.mail_slow, (Expected(TASKS, ("mail",), ""),), seconds=40),
    "stripe-down": Drill(
        "mail", faults.stripe_down, (Expected(("dependency",), ("dependency",), "stripe"),), seconds=35
    ),
    "stripe-silent": Drill(
        "mail", faults.stripe_silent, (Expected(("dependency",), ("dependency",), "stripe"),), seconds=35
    ),
    "script-fails": Drill(
        "browsers", faults.script_fails, (Expected(("browser_errors",), ("script",), "/book/"),), seconds=40
    ),
    "late-paint": Drill(
        "browsers", faults.late_paint, (Expected(("vitals",), ("browser",), "/services/"),), seconds=40
    ),
    "task-fails": Drill(
        "tasks",
        faults.page(("working_task", "error")),
        (Expected(("tasks_failing",), ("error",), "LookupError.*working_task"),),
    ),
    "task-sleeps": Drill(
        "tasks", faults.page(("working_task", "sleep")), (Expected(TASKS, ("other",), "working_task"),), seconds=30
    ),
    "task-queries": Drill(
        "tasks",
        faults.page(("working_task", "queries")),
        (Expected(TASKS, ("query",), "SELECT bookings_service.*working_task"),),
        seconds=30,
    ),
    "task-worker-frozen": Drill(
        "process", faults.task_worker_frozen, (Expected(("process_silent",), ("process",), "worker"),)
    ),
    "memory-grows": Drill(
        "process", faults.page(("/services/", "memory")), (Expected(("memory",), ("memory",), ""),), seconds=45
    ),
    # Innocent releases, and two faults at once.
    "decoy-lock": Drill("decoys", database.locked("bookings_holiday"), _lock("bookings_holiday"), decoy=True),
    "decoy-queries": Drill("decoys", faults.page(("/contact/", "queries")), _many("/contact/"), decoy=True),
    "pair-lock-call": Drill(
        "pairs",
        faults.both(database.locked("bookings_workinghours"), faults.page(("/contact/", "call"))),
        _lock("bookings_workinghours") + _call("/contact/"),
        seconds=45,
    ),
    "pair-error-mail": Drill(
        "pairs",
        faults.both(faults.page(("/services/", "error")), faults.mail_down),
        (*_error("/services/", "LookupError"), Expected(("dependency",), ("dependency",), "email")),
        seconds=35,
    ),
    "pair-queries-tasks": Drill(
        "pairs",
        faults.both(faults.page(("/services/", "queries"), ("working_task", "error"))),
        (*_many("/services/"), Expected(("tasks_failing",), ("error",), "LookupError.*working_task")),
        seconds=35,
    ),
    # Nothing that customers meet: where the telemetry goes is gone.
    "collector-silent": Drill("healthy", faults.collector_silent, (), seconds=40),
    "sentry-down": Drill("healthy", faults.sentry_down, (), seconds=40),
    # Nothing at all, in each kind of hour.
    "steady": Drill("healthy", faults.nothing, (), seconds=300),
    "growing": Drill("healthy", faults.growing, (), seconds=10),
    "night": Drill("healthy", faults.nothing, (), seconds=420),
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
"""The drills that run one after another on one site."""
