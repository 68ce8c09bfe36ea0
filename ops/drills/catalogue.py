"""Every drill, by name."""

from ops.drills import faults, releases
from ops.drills.play import Drill

DRILLS: dict[str, Drill] = {
    "lock": Drill(faults.lock, "DatabasePoolExhausted", ("high latency", "`SELECT bookings_booking`")),
    "another-lock": Drill(faults.another_lock, "DatabasePoolExhausted", ("high latency", "`SELECT bookings_service`")),
    "lock-on-tasks": Drill(
        faults.lock_on_tasks,
        "DatabaseQuerySlow|DatabasePoolExhausted",
        ("high latency", "procrastinate", "a lock held"),
    ),
    "slow-query": Drill(faults.slow_query, "DatabasePoolExhausted", ("high latency", "`SELECT bookings_workinghours`")),
    "transaction-left-open": Drill(
        faults.transaction_left_open,
        "DatabaseQuerySlow|DatabasePoolExhausted",
        ("high latency", "a lock held by another session that idles in its transaction"),
    ),
    "leaked-transaction": Drill(
        releases.leaked_transaction, "DatabasePoolExhausted", ("idle in a transaction", "/broken/transaction/")
    ),
    "database-down": Drill(faults.database_down, "DatabaseDown", ("database is down", "refused")),
    "database-frozen": Drill(faults.database_frozen, "DatabaseDown", ("database is down", "no answer")),
    "database-read-only": Drill(
        faults.database_read_only, "DatabaseRefusesQueries", ("refuses queries", "ReadOnlySqlTransaction")
    ),
    "surge": Drill(faults.surge, "DatabasePoolExhausted|RequestThreadsSaturated", ("surge", "/services/")),
    "bad-release": Drill(
        releases.failing_page, "HttpErrorBurst", ("/broken/raise/<what>/", "release 1.1", "which is new")
    ),
    "slow-page": Drill(releases.slow_page, "RouteSlow", ("/broken/sleep/", "outside the database")),
    "growing-memory": Drill(releases.growing_memory, "MemoryHigh", ("web process", "release 1.3", "/broken/memory/")),
    "mail-down": Drill(faults.mail_down, "EmailsFailing", ("E-mails", "mail server")),
    "mail-silent": Drill(faults.mail_silent, "EmailsFailing", ("E-mails", "mail server")),
    "mail-slow": Drill(faults.mail_slow, "TasksDelayed", ("slow runs", "send_booking_email")),
    "stripe-down": Drill(faults.stripe_down, "DependencyDown", ("stripe", "failed checks")),
    "stripe-silent": Drill(faults.stripe_silent, "DependencyDown", ("stripe", "failed checks")),
    "otlp-black-hole": Drill(faults.collector_silent, "TelemetryDropped", ("traces",)),
    "sentry-down": Drill(faults.sentry_down, "TelemetryDropped", ("sentry",)),
    "task-worker-frozen": Drill(faults.task_worker_frozen, "TargetMissing", ("worker process",)),
    "web-worker-frozen": Drill(faults.web_worker_frozen, "WebWorkerDied", ("answers nobody", "stopped or stuck")),
    "web-worker-killed": Drill(faults.web_worker_killed, "WebWorkerDied", ("killed",)),
    "script-error": Drill(faults.script_fails, "JavaScriptErrors", ("/book/<slug>/", "a script that fails")),
    "late-paint": Drill(faults.late_paint, "WebVitalRegressed", ("/services/", "LCP")),
    "bookings-stop": Drill(faults.bookings_stop, "BookingsStopped", ("Nobody has booked", "do not finish")),
    "healthy": Drill(faults.nothing, "", ()),
}
