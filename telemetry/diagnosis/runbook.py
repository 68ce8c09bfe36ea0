"""Which page says what to do about an incident: by its cause, else by its symptom."""

from telemetry.diagnosis.model import Incident

BY_CAUSE = {
    "query": "DatabaseQuerySlow",
    "lock": "DatabaseQuerySlow",
    "commit": "DatabaseQuerySlow",
    "held": "DatabasePoolExhausted",
    "cpu": "CpuSaturated",
    "processor": "CpuSaturated",
    "other": "RouteSlow",
    "http": "DependencyDown",
    "mail": "EmailsFailing",
    "requests": "RequestThreadsSaturated",
    "database": "DatabaseDown",
    "dependency": "DependencyDown",
    "process": "WebWorkerDied",
    "memory": "MemoryHigh",
    "tasks": "TasksDelayed",
    "worker": "TasksDelayed",
    "flow": "FlowStopped",
    "script": "JavaScriptErrors",
    "browser": "WebVitalRegressed",
    "error:query": "DatabaseRefusesQueries",
    "error:commit": "DatabaseRefusesQueries",
    "error:pool": "DatabasePoolExhausted",
    "error:http": "DependencyDown",
    "error:mail": "EmailsFailing",
}
BY_SYMPTOM = {
    "slow": "RouteSlow",
    "slow_everywhere": "RouteSlow",
    "errors": "HttpErrorBurst",
    "pool_exhausted": "DatabasePoolExhausted",
    "threads_exhausted": "RequestThreadsSaturated",
    "database_down": "DatabaseDown",
    "tasks_failing": "TasksFailing",
    "tasks_late": "TasksDelayed",
    "dependency": "DependencyDown",
    "process_silent": "WebWorkerDied",
    "process_gone": "WebWorkerDied",
    "workers_dying": "WebWorkerDied",
    "memory": "MemoryHigh",
    "browser_errors": "JavaScriptErrors",
    "vitals": "WebVitalRegressed",
    "stopped": "FlowStopped",
}
ANY = "RouteSlow"
"""Where neither is known: a host has registered an activity of its own, most often."""


def runbook(incident: Incident) -> str:
    """Return the name of the page."""
    symptom, cause = incident.symptom, incident.cause
    if cause.kind == "dependency" and cause.component == "email":
        return "EmailsFailing"
    return BY_CAUSE.get(cause.kind) or BY_SYMPTOM.get(symptom.name, ANY)
