"""Every metric, declared once. docs/telemetry.md is the list for people; a test keeps the two equal.

Labels are bounded: a route template, a query summary, a slug or a word of a fixed list; never what a client sent.
Under gunicorn each metric lives in files shared by the workers (see multiprocess.py), so this module must be
imported after `PROMETHEUS_MULTIPROC_DIR` is set. Gauges are `live*`: a dead worker's value goes with it.
With TELEMETRY=off every metric is a null object.
"""

from typing import Any

from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from telemetry.metrics import files

files.install()
disable_created_metrics()  # a second series for each, which nobody asks for
ENABLED: bool = getattr(settings, "TELEMETRY", True)


class _Null:
    """Takes every call of a metric and does nothing."""

    def labels(self, *_values: Any, **_labels: Any) -> "_Null":
        return self

    def _nothing(self, *_args: Any, **_kwargs: Any) -> None: ...

    inc = dec = set = observe = remove = clear = _nothing


class BoundedLabel:
    """Admits the first `limit` distinct values of a label and calls the rest "other"."""

    def __init__(self, limit: int) -> None:
        self._limit, self._seen = limit, set[str]()

    def __call__(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._limit:
            return "other"
        self._seen.add(value)
        return value


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(name, text, labels) if ENABLED else _Null()  # type: ignore[return-value]  # the null object


def _gauge(name: str, text: str, labels: tuple[str, ...] = (), mode: Any = "livesum") -> Gauge:
    return Gauge(name, text, labels, multiprocess_mode=mode) if ENABLED else _Null()  # type: ignore[return-value]  # ditto


def _histogram(name: str, text: str, edges: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(name, text, labels, buckets=edges) if ENABLED else _Null()  # type: ignore[return-value]  # ditto


# Edges in seconds. 0.3 and 1 are the objectives' thresholds (fast enough, tolerable).
REQUEST_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
QUERY_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
WAIT_EDGES = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

# HTTP
http_requests = _counter("http_requests_total", "Requests answered.", ("method", "route", "status"))
http_request_duration = _histogram(
    "http_request_duration_seconds",
    "From the first middleware to the last byte.",
    REQUEST_EDGES,
    ("method", "route", "status"),
)
http_requests_in_progress = _gauge("http_requests_in_progress", "Requests being answered now.")
http_threads_busy = _gauge("http_threads_busy", "Threads of each web worker that answer a request.", mode="liveall")
http_threads_total = _gauge("http_threads_total", "Threads of each web worker.", mode="liveall")

# Pool
db_pool_size = _gauge("db_pool_size", "Connections the pools hold.")
db_connections_active = _gauge("db_connections_active", "Connections checked out.")
db_connections_idle = _gauge("db_connections_idle", "Connections in the pools, ready.")
db_pool_max_size = _gauge("db_pool_max_size", "Connections the pools may hold.")
db_pool_requests_waiting = _gauge("db_pool_requests_waiting", "Threads that wait for a connection.")
db_pool_wait = _histogram(
    "db_pool_wait_seconds", "Waiting for a connection (outcome: ok, timeout, error).", WAIT_EDGES, ("outcome",)
)
db_replica_requests = _counter(
    "db_replica_requests_total", "Requests that may be answered from a replica (by: replica, primary).", ("by",)
)
db_pool_timeouts = _counter("db_pool_timeouts_total", "Waits for a connection that were given up.")

# Set by the watchdog when an incident begins, back to 0 when it ends; alerts take their sentence from the labels.
# incident: pool_exhausted, database_down. cause: what the blame found (slow_query, surge ...). Unix seconds.
db_incident_started = _gauge(
    "db_incident_started_timestamp_seconds",
    "When a running incident began; 0 when it is over.",
    ("incident", "cause", "query", "route"),
    mode="livemax",
)

# Queries
db_query_duration = _histogram("db_query_duration_seconds", "By query summary.", QUERY_EDGES, ("query",))
db_query_errors = _counter(
    "db_query_errors_total", "Queries that PostgreSQL could not do, by its word for why.", ("query", "error")
)
db_queries_in_flight = _gauge("db_queries_in_flight", "Queries running now.", ("query",))
db_query_oldest = _gauge("db_query_oldest_seconds", "Age of the oldest running query.", ("query",), mode="livemax")
# by: "another session" or "a connection of" a route, with "that idles in its transaction" where it does.
db_lock_waited = _gauge(
    "db_lock_waited_seconds",
    "Age of the oldest running query while it waits for a lock, and who holds that.",
    ("query", "by"),
    mode="livemax",
)
db_queries_per_request = _histogram(
    "db_queries_per_request", "Queries one request made.", (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89), ("route",)
)

# Business
bookings_created = _counter("bookings_created_total", "Bookings made.", ("service",))
bookings_rejected = _counter("bookings_rejected_total", "Bookings refused.", ("reason",))
bookings_cancelled = _counter("bookings_cancelled_total", "Bookings cancelled.", ("by",))
contact_forms_submitted = _counter("contact_forms_submitted_total", "Contact messages received.", ("topic",))
emails = _counter("emails_total", "E-mails handed to the mail server, or failed to be.", ("kind", "outcome"))
limits = _counter("rate_limits_total", "Requests asked to wait, or let through unchecked.", ("limit", "whose"))
payments = _counter("payments_total", "Deposits by what became of them.", ("outcome",))
stripe_calls = _histogram(
    "stripe_call_seconds",
    "Calls to Stripe (outcome: ok, unavailable, refused).",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ("action", "outcome"),
)
webhook_lag = _histogram(
    "payment_webhook_lag_seconds",
    "From what happened at Stripe to the webhook that tells of it.",
    (1, 2.5, 5, 10, 30, 60, 300, 3600, 86400),
    ("kind",),
)
webhooks_refused = _counter(
    "payment_webhooks_refused_total", "Posts to the webhook that were not Stripe's.", ("reason",)
)
tasks_waiting = _gauge("tasks_waiting", "Background tasks that are due and not begun.", mode="livemostrecent")
tasks_oldest = _gauge("tasks_oldest_seconds", "How long the oldest due task has waited.", mode="livemostrecent")
tasks_finished = _counter("tasks_total", "Background tasks run (outcome: ok, failed).", ("task", "outcome"))
task_duration = _histogram(
    "task_duration_seconds", "How long a background task ran.", (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60), ("task",)
)

# Staff
staff_logins = _counter("staff_logins_total", "Logins of staff (outcome: ok, failed, locked).", ("outcome",))

# Browser; the edges include the thresholds people judge by.
_ROUTE_DEVICE = ("route", "device")
rum_lcp = _histogram("rum_lcp_seconds", "Largest Contentful Paint.", (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10), _ROUTE_DEVICE)
rum_cls = _histogram("rum_cls", "Cumulative Layout Shift.", (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1), _ROUTE_DEVICE)
rum_inp = _histogram(
    "rum_inp_seconds", "Interaction to Next Paint.", (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2), _ROUTE_DEVICE
)
rum_fcp = _histogram("rum_fcp_seconds", "First Contentful Paint.", (0.25, 0.5, 1, 1.8, 2.4, 3, 5, 10), _ROUTE_DEVICE)
rum_ttfb = _histogram("rum_ttfb_seconds", "Time to First Byte.", (0.1, 0.2, 0.4, 0.8, 1.2, 1.8, 3, 5), _ROUTE_DEVICE)
rum_navigation = _histogram(
    "rum_navigation_seconds",
    "Phases of a navigation as the browser saw them.",
    (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ("route", "phase"),
)
rum_fetch_duration = _histogram(
    "rum_fetch_duration_seconds",
    "Same-origin fetches as the browser saw them.",
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ("endpoint", "status"),
)
rum_js_errors = _counter("rum_js_errors_total", "Clients in whose browser a script of the site failed.", ("route",))
rum_foreign_errors = _counter("rum_foreign_errors_total", "Errors of extensions and of scripts put into the pages.")
rum_events_dropped = _counter("rum_events_dropped_total", "Events that browsers had no room for.")
rum_unverified = _counter("rum_unverified_total", "What beacons and reports held that no token vouches for.", ("kind",))
rum_csp_violations = _counter(
    "rum_csp_violations_total", "What the content security policy stopped in browsers.", ("directive",)
)
rum_beacons = _counter("rum_beacons_total", "Beacons by what became of them.", ("outcome",))

# The watchers themselves
telemetry_dropped = _counter(
    "telemetry_dropped_total", "Telemetry thrown away so that nobody waits.", ("pipeline", "reason")
)
dependency_up = _gauge("dependency_up", "1 while the dependency answers.", ("dependency",), mode="livemostrecent")
app_info = _gauge("app_info", "Always 1; the labels say what runs.", ("version", "environment"), mode="livemax")
process_resident_memory = _gauge("worker_resident_memory_bytes", "Of each process.", ("process",), mode="liveall")
process_seen = _gauge(
    "worker_seen_timestamp_seconds", "When each process last looked around (Unix time).", ("process",), mode="liveall"
)
process_cpu = _gauge("worker_cpu_seconds", "CPU time each process has used.", ("process",), mode="liveall")
