"""The four dashboards."""

from ops.dashboards.panels import Dashboard, Panel


def _quantiles(metric: str, by: str) -> dict[str, str]:
    return {
        f"p{percent} {{{{{by}}}}}": f"histogram_quantile({percent / 100}, "
        f"sum by ({by}, le) (rate({metric}_bucket[5m])))"
        for percent in (50, 95, 99)
    }


def _p95(metric: str, by: str) -> str:
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket[5m])))"


def _counts(title: str, metric: str, by: str = "", description: str = "") -> Panel:
    """Events of an hour; 0 while there were none."""
    total = f"sum by ({by}) (increase({metric}[1h]))" if by else f"sum(increase({metric}[1h]))"
    return Panel(title, "short", {f"{{{{{by}}}}}" if by else title: f"{total} or vector(0)"}, description=description)


def _vital(vital: str, metric: str, unit: str, good: float, poor: float) -> Panel:
    return Panel(
        f"{vital} p75",
        unit,
        {"{{route}} {{device}}": f"histogram_quantile(0.75, sum by (route, device, le) (rate({metric}_bucket[15m])))"},
        limits=(good, poor),
        description=f"Good up to {good}, poor above {poor}.",
    )


SERVICE = Dashboard(
    "xfhandyman-service",
    "XFHandyman: service",
    {
        "Traffic": [
            Panel(
                "Requests by status",
                "reqps",
                {"{{status}}": "sum by (status) (rate(http_requests_total[1m]))"},
                stacked=True,
            ),
            Panel("Requests by route", "reqps", {"{{route}}": "sum by (route) (rate(http_requests_total[1m]))"}),
            Panel(
                "Errors by route",
                "reqps",
                {"{{route}} {{status}}": 'sum by (route, status) (rate(http_requests_total{status=~"5.."}[1m]))'},
                stacked=True,
            ),
        ],
        "Latency": [
            Panel("Latency by route", "s", _quantiles("http_request_duration_seconds", "route"), limits=(0.3, 1)),
            Panel(
                "Thread time by route",
                "short",
                {"{{route}}": "route:http_request_duration_seconds:busy1m"},
                description="1 is one thread, always busy.",
            ),
        ],
        "Saturation": [
            Panel("Threads", "short", {"busy": "sum(http_threads_busy)", "in all": "sum(http_threads)"}),
            Panel(
                "Wait for a thread (p95)",
                "s",
                {"p95": "histogram_quantile(0.95, sum by (le) (rate(http_request_queue_seconds_bucket[5m])))"},
            ),
            Panel("Requests in progress", "short", {"all": "sum(http_requests_in_progress)"}),
            Panel(
                "Where time goes",
                "short",
                {"{{on}}": "sum by (on) (rate(work_seconds_total[1m]))"},
                stacked=True,
                description="1 is one thread, always busy.",
            ),
            Panel("CPU", "percentunit", {"{{process}}": "sum by (process) (rate(worker_cpu_seconds[1m]))"}),
            Panel("Memory", "bytes", {"{{process}}": "sum by (process) (worker_resident_memory_bytes)"}, stacked=True),
        ],
        "Database": [
            Panel(
                "Pool",
                "short",
                {
                    "active": "sum(db_connections_active)",
                    "idle": "sum(db_connections_idle)",
                    "open": "sum(db_pool_size)",
                    "waiting": "sum(db_pool_requests_waiting)",
                    "most": "sum(db_pool_max_size)",
                },
            ),
            Panel(
                "Waiting for a connection",
                "s",
                {
                    "p95": "histogram_quantile(0.95, sum by (le) (rate(db_pool_wait_seconds_bucket[5m])))",
                    "given up per second": "sum(rate(db_pool_timeouts_total[1m]))",
                },
            ),
            Panel(
                "Queries per request (p95)",
                "short",
                {"{{route}}": "histogram_quantile(0.95, sum by (route, le) (rate(db_queries_per_request_bucket[5m])))"},
            ),
            Panel("Query latency p95", "s", {"{{query}}": "query:db_query_duration_seconds:p95_1m"}),
            Panel("Oldest running query", "s", {"{{query}}": "query:db_query_oldest_seconds:max"}),
            Panel(
                "Queries that failed",
                "short",
                {"{{query}} {{error}}": "sum by (query, error) (increase(db_query_errors_total[1h])) or vector(0)"},
            ),
            Panel(
                "Waits for a lock",
                "s",
                {"{{query}} for {{by}}": "max by (query, by) (db_lock_waited_seconds) or vector(0)"},
            ),
            Panel("Running queries", "short", {"{{query}}": "sum by (query) (db_queries_in_flight)"}),
        ],
        "Objectives": [
            Panel(
                "Budget left, 30 days",
                "percentunit",
                {
                    "{{slo}}": "1 - avg_over_time(slo:bad:rate5m[30d]) "
                    "/ (avg_over_time(slo:total:rate5m[30d]) > 0) / slo:budget"
                },
                description="1 is the whole budget, 0 none. Below 0 the objective is missed.",
                floor=None,
            ),
            Panel(
                "Budget burn, 1 h",
                "short",
                {"{{slo}}": "slo:burn:1h"},
                limits=(1, 14.4),
                description="1 spends the month's budget in a month.",
            ),
            Panel("Budget burn, 6 h", "short", {"{{slo}}": "slo:burn:6h"}, limits=(1, 6)),
        ],
    },
)

BUSINESS = Dashboard(
    "xfhandyman-operations",
    "Handyman operations",
    {
        "Bookings": [
            Panel(
                "Bookings per hour",
                "short",
                {"{{service}}": "sum by (service) (increase(bookings_created_total[1h]))"},
                stacked=True,
            ),
            Panel(
                "Refused bookings by reason",
                "short",
                {"{{reason}}": "sum by (reason) (increase(bookings_rejected_total[1h]))"},
                stacked=True,
            ),
            _counts("Jobs added", "booking_jobs_added_total", "service"),
            _counts("Unknown postcodes", "bookings_place_unknown_total", "by"),
            _counts("Waiting list", "waitlist_total", "step"),
            _counts("Reports from visits", "visit_reports_total", "kind"),
            _counts("Quotes", "quotes_total", "step"),
            _counts("Photos", "visit_photos_total", "sender"),
            _counts("Reviews", "reviews_total", "rating"),
            _counts("Links to own visits", "customer_links_total", "step"),
            Panel("Cancellations", "short", {"by {{by}}": "sum by (by) (increase(bookings_cancelled_total[1h]))"}),
        ],
        "Deposits": [
            Panel("Deposits", "short", {"{{outcome}}": "sum by (outcome) (increase(payments_total[1h]))"}),
            Panel(
                "Calls to Stripe",
                "short",
                {"{{action}} {{outcome}}": "sum by (action, outcome) (increase(stripe_call_seconds_count[1h]))"},
            ),
            _counts("Webhooks refused", "payment_webhooks_refused_total", "reason"),
            Panel(
                "Webhooks come after (p95)",
                "s",
                {
                    "{{kind}}": "histogram_quantile(0.95, "
                    "sum by (kind, le) (rate(payment_webhook_lag_seconds_bucket[1h])))"
                },
            ),
        ],
        "Messages": [
            Panel(
                "Contact forms",
                "short",
                {"{{topic}}": "sum by (topic) (increase(contact_forms_submitted_total[1h]))"},
            ),
            _counts("Messages answered", "contact_messages_answered_total"),
            Panel("E-mails", "short", {"{{kind}} {{outcome}}": "sum by (kind, outcome) (increase(emails_total[1h]))"}),
            _counts("Notifications to phones", "pushes_total", "outcome"),
            _counts("Logins of staff", "staff_logins_total", "outcome"),
            _counts("Asked to wait", "rate_limits_total", "limit"),
            Panel("Time of a task (p95)", "s", {"{{task}}": _p95("task_duration_seconds", "task")}),
            Panel("Tasks waiting", "short", {"waiting": "max(tasks_waiting)"}),
            Panel("Oldest waiting task", "s", {"age": "max(tasks_oldest_seconds)"}),
            Panel(
                "Tasks run",
                "short",
                {"{{task}} {{outcome}}": "sum by (task, outcome) (increase(tasks_total[1h]))"},
            ),
        ],
    },
)

USERS = Dashboard(
    "xfhandyman-users",
    "Real users",
    {
        "Web vitals": [
            _vital("LCP", "rum_lcp_seconds", "s", 2.5, 4),
            _vital("CLS", "rum_cls", "short", 0.1, 0.25),
            _vital("INP", "rum_inp_seconds", "s", 0.2, 0.5),
            _vital("FCP", "rum_fcp_seconds", "s", 1.8, 3),
            _vital("TTFB", "rum_ttfb_seconds", "s", 0.8, 1.8),
        ],
        "On the page": [
            Panel(
                "Fetch latency p75",
                "s",
                {
                    "{{endpoint}}": "histogram_quantile(0.75, "
                    "sum by (endpoint, le) (rate(rum_fetch_duration_seconds_bucket[15m])))"
                },
            ),
            Panel(
                "Navigation phases p75",
                "s",
                {
                    "{{phase}}": "histogram_quantile(0.75, "
                    "sum by (phase, le) (rate(rum_navigation_seconds_bucket[15m])))"
                },
            ),
            Panel(
                "Page views by how the page came",
                "short",
                {"{{navigation}}": "sum by (navigation) (increase(rum_page_views_total[15m]))"},
                stacked=True,
            ),
            Panel(
                "Clients with JavaScript errors",
                "short",
                {"{{route}}": "sum by (route) (increase(rum_js_errors_total[15m]))"},
            ),
            _counts("Clients with violations of the security policy", "rum_csp_violations_total", "directive"),
        ],
    },
)

WATCHERS = Dashboard(
    "xfhandyman-telemetry",
    "Telemetry",
    {
        "Loss": [
            Panel(
                "Dropped",
                "short",
                {"{{pipeline}}: {{reason}}": "sum by (pipeline, reason) (increase(telemetry_dropped_total[5m]))"},
            ),
            Panel(
                "Beacons", "short", {"{{outcome}}": "sum by (outcome) (increase(rum_beacons_total[5m]))"}, stacked=True
            ),
            Panel(
                "Browsers' reports set aside",
                "short",
                {
                    "no token: {{kind}}": "sum by (kind) (increase(rum_unverified_total[5m]))",
                    "errors of extensions": "sum(increase(rum_foreign_errors_total[5m]))",
                    "no room in the browser": "sum(increase(rum_events_dropped_total[5m]))",
                },
            ),
        ],
        "Watching": [
            Panel(
                "Incidents",
                "short",
                {
                    "{{symptom}}: {{cause}}": "count by (symptom, cause) (incident_started_timestamp_seconds > 0) "
                    "or vector(0)"
                },
            ),
            Panel("Tickets", "short", {"{{kind}}": "max by (kind) (tickets_open) or vector(0)"}),
            Panel("Last heartbeat", "s", {"{{process}}": "time() - max by (process) (worker_seen_timestamp_seconds)"}),
            Panel("Targets up", "short", {"{{component}}": "up"}),
            Panel("Dependencies up", "short", {"{{dependency}}": "min by (dependency) (dependency_up)"}),
            Panel("Releases", "short", {"{{version}}": "count by (version) (app_info)"}),
            Panel("Time of a scrape", "s", {"{{component}}": "scrape_duration_seconds"}),
            Panel("Series", "short", {"{{component}}": "scrape_samples_post_metric_relabeling"}),
        ],
    },
)

NOT_SHOWN = {
    "work_operations_total": "how often, of what Where time goes shows in seconds",
    "db_replica_requests_total": "only where there is a replica",
}
"""Metrics on no panel, and why."""
PAGES = (SERVICE, BUSINESS, USERS, WATCHERS)
