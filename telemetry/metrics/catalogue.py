"""Telemetry's own metrics, declared once. A test keeps the list for people equal to what was declared.

Labels are bounded: a route template, a query summary or a word of a fixed list; never what a client sent. Gauges are
`live*`: the value of a worker that has ended goes with it.
"""

from typing import Any

from telemetry.conf import databases
from telemetry.metrics import counter, gauge, histogram

# Edges in seconds.
QUERY_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
WAIT_EDGES = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

# HTTP; of the requests themselves: requests.py
http_threads_busy = gauge("http_threads_busy", "Threads of each web worker that answer a request.", mode="liveall")
http_threads = gauge("http_threads", "Threads of each web worker.", mode="liveall")
http_request_queue = histogram(
    "http_request_queue_seconds", "From a request's last byte to the thread that begins with it.", WAIT_EDGES
)

# Where time goes. on: what requests and tasks did or waited for, a kind of `telemetry.work`.
work_seconds = counter("work_seconds_total", "Seconds that requests and tasks spent.", ("route", "on"))
work_operations = counter("work_operations_total", "Operations that ended: queries, calls, waits.", ("route", "on"))

# Pool; database: the alias, where there is more than one.
_OF = ("database",) if databases() else ()
db_pool_size = gauge("db_pool_size", "Connections the pools hold.", _OF)
db_connections_active = gauge("db_connections_active", "Connections checked out.", _OF)
db_connections_idle = gauge("db_connections_idle", "Connections in the pools, ready.", _OF)
db_pool_max_size = gauge("db_pool_max_size", "Connections the pools may hold.", _OF)
db_pool_requests_waiting = gauge("db_pool_requests_waiting", "Threads that wait for a connection.", _OF)
db_pool_wait = histogram(
    "db_pool_wait_seconds", "Waiting for a connection (outcome: ok, timeout, error).", WAIT_EDGES, ("outcome", *_OF)
)
db_pool_timeouts = counter("db_pool_timeouts_total", "Waits for a connection that were given up.", _OF)


def of_database(metric: Any, alias: str, *labels: str) -> Any:
    """The series of a pool's metric for an alias; `labels`: its other ones."""
    values = (*labels, *([alias] if _OF else []))
    return metric.labels(*values) if values else metric


# Incidents; the labels are the sentence without its figures, and the page that says what to do. The value is Unix
# seconds, 0 once it is over.
incident_started = gauge(
    "incident_started_timestamp_seconds",
    "When a running incident began; 0 when it is over.",
    ("symptom", "cause", "component", "route", "summary", "runbook"),
    mode="livemax",
    most=300,
)
# What wears out slowly; kind: a word of the checks'.
tickets_open = gauge("tickets_open", "Things to look after in the next days.", ("kind",), mode="livemax", most=50)

# Queries
db_query_duration = histogram("db_query_duration_seconds", "By query summary.", QUERY_EDGES, ("query",))
db_query_errors = counter(
    "db_query_errors_total", "Queries that PostgreSQL could not do, by its word for why.", ("query", "error")
)
db_queries_in_flight = gauge("db_queries_in_flight", "Queries running now.", ("query",))
db_query_oldest = gauge("db_query_oldest_seconds", "Age of the oldest running query.", ("query",), mode="livemax")
# by: "another session" or "a connection of" a route, with "that idles in its transaction" where it does.
db_lock_waited = gauge(
    "db_lock_waited_seconds",
    "Age of the oldest running query while it waits for a lock, and who holds that.",
    ("query", "by"),
    mode="livemax",
)

# Background tasks
tasks_waiting = gauge("tasks_waiting", "Background tasks that are due and not begun.", mode="livemostrecent")
tasks_oldest = gauge("tasks_oldest_seconds", "How long the oldest due task has waited.", mode="livemostrecent")
tasks_finished = counter("tasks_total", "Background tasks run (outcome: ok, failed).", ("task", "outcome"))
task_duration = histogram(
    "task_duration_seconds", "How long a background task ran.", (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60), ("task",)
)

# Browser; the edges include the thresholds people judge by.
_ROUTE_DEVICE = ("route", "device")
rum_lcp = histogram("rum_lcp_seconds", "Largest Contentful Paint.", (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10), _ROUTE_DEVICE)
rum_cls = histogram("rum_cls", "Cumulative Layout Shift.", (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1), _ROUTE_DEVICE)
rum_inp = histogram(
    "rum_inp_seconds", "Interaction to Next Paint.", (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2), _ROUTE_DEVICE
)
rum_fcp = histogram("rum_fcp_seconds", "First Contentful Paint.", (0.25, 0.5, 1, 1.8, 2.4, 3, 5, 10), _ROUTE_DEVICE)
rum_ttfb = histogram("rum_ttfb_seconds", "Time to First Byte.", (0.1, 0.2, 0.4, 0.8, 1.2, 1.8, 3, 5), _ROUTE_DEVICE)
rum_navigation = histogram(
    "rum_navigation_seconds",
    "Phases of a navigation as the browser saw them.",
    (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ("route", "phase"),
)
rum_fetch_duration = histogram(
    "rum_fetch_duration_seconds",
    "Same-origin fetches as the browser saw them.",
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ("endpoint", "status"),
)
rum_js_errors = counter("rum_js_errors_total", "Clients in whose browser a script of the site failed.", ("route",))
rum_foreign_errors = counter("rum_foreign_errors_total", "Errors of extensions and of scripts put into the pages.")
rum_events_dropped = counter("rum_events_dropped_total", "Events that browsers had no room for.")
rum_unverified = counter("rum_unverified_total", "What beacons and reports held that no token vouches for.", ("kind",))
rum_csp_violations = counter(
    "rum_csp_violations_total", "Clients in whose browser the security policy stopped something.", ("directive",)
)
rum_page_views = counter(
    "rum_page_views_total", "Page views by how the page came and the family of the browser.", ("navigation", "browser")
)
rum_beacons = counter("rum_beacons_total", "Beacons by what became of them.", ("outcome",))

# The watchers themselves
_DROPPED = {
    "requests": "internal_error",
    "queries": "internal_error",
    "logs": "sink_blocked sink_gone format queue_full export_failed shutdown",
    "traces": "queue_full export_failed shutdown",
    "sentry": "not_resolved rate_limited refused queue_overflow network_error shutdown",
    "rum": "queue_full rate_limited refused stopped",
}
telemetry_dropped = counter(
    "telemetry_dropped_total",
    "Telemetry thrown away so that nobody waits.",
    ("pipeline", "reason"),
    known=[(pipeline, reason) for pipeline, reasons in _DROPPED.items() for reason in reasons.split()],
)
dependency_up = gauge("dependency_up", "1 while the dependency answers.", ("dependency",), mode="livemostrecent")
app_info = gauge("app_info", "Always 1; the labels say what runs.", ("version", "environment"), mode="livemax")
process_resident_memory = gauge("worker_resident_memory_bytes", "Of each process.", ("process",), mode="liveall")
process_seen = gauge(
    "worker_seen_timestamp_seconds", "When each process was last sampled (Unix time).", ("process",), mode="liveall"
)
process_cpu = gauge("worker_cpu_seconds", "CPU time each process has used.", ("process",), mode="liveall")
