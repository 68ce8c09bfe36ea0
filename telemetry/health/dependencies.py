"""What the site leans on besides the database, asked in the background: a request reads the last answer.

Answers: "ok", "degraded", "disabled" (not configured), "unknown" (not asked yet).
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
import requests
import structlog
from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend

from telemetry.metrics import catalogue

State = Literal["ok", "degraded", "disabled", "unknown"]

PATIENCE = 3
"""Seconds a dependency gets to answer."""
MEMORY_SHARE = 0.9
"""Of the limit, from which memory is short."""

log = structlog.get_logger(__name__)


class Check:
    """One dependency: asked at most once per `ttl` seconds, in a thread that nobody waits for."""

    def __init__(self, name: str, ask: Callable[[], State], ttl: float) -> None:
        self.name, self._ask, self._ttl = name, ask, ttl
        self.state: State = "unknown"
        self._asked = -ttl
        self._running = threading.Lock()

    def refresh(self) -> None:
        """Ask again when the answer is old and nobody is asking."""
        if time.monotonic() - self._asked < self._ttl or not self._running.acquire(blocking=False):
            return
        self._asked = time.monotonic()
        threading.Thread(target=self._run, name=f"telemetry-check-{self.name}", daemon=True).start()

    def _run(self) -> None:
        why = {}
        try:
            state = self._ask()
        except Exception as error:  # any fault of a dependency is its state, not ours
            state, why = "degraded", {"error": type(error).__name__}
        finally:
            self._running.release()
        before, self.state = self.state, state
        if state == "degraded" != before:
            log.warning("dependency_degraded", dependency=self.name, **why)
        if state != "disabled":
            catalogue.dependency_up.labels(self.name).set(state == "ok")


def email() -> State:
    """Connect to the mail server and log in, as the next message would. Raises OSError, smtplib.SMTPException."""
    # Past `telemetry.observe.mail`, which stands before the backend that delivers.
    backend = get_connection(getattr(settings, "EMAIL_DELIVERY_BACKEND", settings.EMAIL_BACKEND), timeout=PATIENCE)
    if not isinstance(backend, EmailBackend) or not backend.host:
        return "disabled"  # messages go to a file or the console
    backend.open()
    backend.close()
    return "ok"


def stripe() -> State:
    """Ask Stripe for the account's balance: proves the way there and the key.

    Raises requests.RequestException.
    """
    key = getattr(settings, "STRIPE_SECRET_KEY", "")
    if not key:
        return "disabled"
    base = (getattr(settings, "STRIPE_API_BASE", "") or "https://api.stripe.com").rstrip("/")
    answer = requests.get(f"{base}/v1/balance", auth=(key, ""), timeout=PATIENCE, allow_redirects=False)
    answer.json()  # or it is somebody else who answers
    # A restricted key may not read the balance (403); it is Stripe that answered.
    return "degraded" if answer.status_code in (401, 429) or answer.status_code >= 500 else "ok"


def memory() -> State:
    """Compare what the process group uses with the limit of its control group (or the machine's memory)."""
    short = MEMORY_SHARE * memory_limit()
    # Resident sizes count shared pages once for each process: never too little, and a hundred times as fast to read.
    return "ok" if _of_group(_resident) < short or group_memory() < short else "degraded"


def group_memory() -> int:
    """Bytes the processes of this group (the arbiter and its workers) use; shared pages count once among them."""
    return _of_group(_proportional)


def _of_group(size: Callable[[int], int]) -> int:
    own, total = os.getpgrp(), 0
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == own:
                total += size(pid)
        except (psutil.Error, OSError):
            continue  # it has ended, or is not ours to look into
    return total


def _resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _proportional(pid: int) -> int:
    return int(psutil.Process(pid).memory_full_info().pss)


def memory_limit(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes: the lowest limit of the control group and its parents (version 2, else 1), else the machine's memory."""
    limits = [psutil.virtual_memory().total]
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        lines = []
    for _, controllers, path in lines:
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        base, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        here = base / path.lstrip("/")
        for directory in [here, *here.parents]:
            try:
                value = (directory / name).read_text().strip()
            except OSError:
                value = ""
            if value.isdigit():
                limits.append(int(value))
            if directory == base:
                break
    return min(limits)


EVERY = 10
"""Seconds between two questions: an alert names the start of an outage no more exactly than this."""

checks = [Check("stripe", stripe, EVERY), Check("email", email, EVERY), Check("memory", memory, EVERY)]


def refresh() -> None:
    """Ask whatever has not been asked for its time; returns at once."""
    for check in checks:
        check.refresh()
