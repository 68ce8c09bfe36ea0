"""/admin/operations/now/: what is wrong and where time goes, from memory alone.

It asks no database, so it answers while that is locked, down or frozen; the server gives it threads that no page can
hold. Who may see it is in a signed cookie that the Operations page sets for an hour, good beside the session's cookie
alone: who logs out takes it along.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import signing
from django.db import DatabaseError, InterfaceError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from telemetry.diagnosis import incidents
from telemetry.diagnosis.history import slice_of
from telemetry.diagnosis.model import Incident
from telemetry.diagnosis.runbook import runbook
from telemetry.diagnosis.sentence import clock
from xfhandyman.operations import timeline

COOKIE, SALT = "operations", "xfhandyman.operations"
ALLOWED = 3600
"""Seconds that the page opens without the database after the Operations page was seen."""
KINDS = ("query", "commit", "pool", "queue", "http", "mail", "cpu", "runnable", "other")
WIDTH, HEIGHT = 720, 160
LEAST = 600.0
"""Seconds that the chart is wide at least."""


def allow(request: HttpRequest, response: HttpResponse) -> None:
    """Let this browser see the page for an hour; for a response to staff who may see operations."""
    response.set_cookie(
        COOKIE,
        signing.dumps(_session(request), salt=SALT),
        max_age=ALLOWED,
        path="/admin/operations/",
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Strict",
    )


def allowed(request: HttpRequest) -> bool:
    """Whether `allow` was called within the hour for this browser, and nobody has logged out since. No database."""
    try:
        session = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=ALLOWED)
    except signing.BadSignature:
        return False
    return settings.SESSION_COOKIE_NAME in request.COOKIES and bool(session == _session(request))


def _session(request: HttpRequest) -> str:
    """What stands for the session that the browser names, whose key is a secret."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return salted_hmac(SALT, key, algorithm="sha256").hexdigest()[:20]


def or_live(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view; while the database does not let it answer, a redirect to the page that needs none."""

    @wraps(view)
    def answer(request: HttpRequest, *values: Any, **options: Any) -> HttpResponse:
        try:
            return view(request, *values, **options)
        except (DatabaseError, InterfaceError, PoolTimeout):
            if not allowed(request):
                raise
            return redirect("operations_now")

    return answer


@require_safe
@never_cache
def now(request: HttpRequest) -> HttpResponse:
    """The page; without the cookie, the Operations page, which asks for the login."""
    if not allowed(request):
        return redirect("operations")
    return HttpResponse(render_to_string("admin/operations/now.html", context()))


@require_safe
def stylesheet(request: HttpRequest) -> FileResponse:
    """Its stylesheet, which must not wait behind pages either."""
    path = finders.find("css/now.css") or settings.STATIC_ROOT / "css" / "now.css"
    try:
        return FileResponse(open(path, "rb"), content_type="text/css")
    except OSError as error:
        raise Http404 from error


def context() -> dict[str, Any]:
    """What the page shows, from the host's board."""
    board = incidents.board()
    at = datetime.now(UTC).timestamp()
    recent = board.recent()
    looks = board.latest()
    history = board.history()
    began = min(history[0]["at"] if history else at, at - LEAST)
    return {
        "at": clock(at, at),
        "name": settings.BUSINESS_NAME,
        "open": [_Shown.of(incident, at) for incident in recent if incident.ended_at is None],
        "closed": [_Shown.of(incident, at) for incident in reversed(recent) if incident.ended_at is not None],
        "timeline": timeline.draw(timeline.from_board(), at),
        "last": slice_of(looks, at, 5.0) if looks else None,
        "minute": history[-1] if history else None,
        "facts": sorted({(name, state) for look in looks for name, state in look.facts.items()}),
        "database": next((look.database for look in looks if look.database not in ("ok", "unknown")), "ok"),
        "areas": areas(history, began, at),
        "marks": [_x(incident.started_at, began, at) for incident in recent if incident.started_at > began],
        "width": WIDTH,
        "height": HEIGHT,
        "minutes": round((at - began) / 60),
    }


@dataclass(frozen=True, slots=True)
class _Shown:
    """An incident as the page shows it."""

    sentence: str
    lasted: str
    consequences: list[str]
    runbook: str

    @classmethod
    def of(cls, incident: Incident, at: float) -> "_Shown":
        seconds = round((incident.ended_at or at) - incident.started_at)
        lasted = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
        return cls(
            incident.sentence,
            lasted,
            [each.replace("_", " ").replace(":", ": ") for each in incident.consequences],
            f"docs/runbooks/{runbook(incident)}.md",
        )


@dataclass(frozen=True, slots=True)
class Area:
    """One band of the stacked area: seconds of work a second spent on `kind`, and the last figure."""

    kind: str
    points: str
    """Of a polygon, in the units of the drawing."""
    last: float


def areas(history: list[dict[str, Any]], began: float, at: float) -> list[Area]:
    """Stack where time went between two Unix times, in the order of KINDS; those that took nothing are left out."""
    if not history:
        return []
    totals = [sum(one["on"].get(kind, 0.0) for kind in KINDS) for one in history]
    top = max(*totals, 0.1)
    below = [0.0] * len(history)
    found = []
    for kind in KINDS:
        above = [low + one["on"].get(kind, 0.0) for low, one in zip(below, history, strict=True)]
        if above != below:
            upper = [(_x(one["at"], began, at), _y(value, top)) for one, value in zip(history, above, strict=True)]
            lower = [(_x(one["at"], began, at), _y(value, top)) for one, value in zip(history, below, strict=True)]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
            found.append(Area(kind, points, history[-1]["on"].get(kind, 0.0)))
        below = above
    return found


def _x(moment: float, began: float, at: float) -> float:
    return round(WIDTH * max(0.0, (moment - began) / (at - began)), 1)


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - value / top)
