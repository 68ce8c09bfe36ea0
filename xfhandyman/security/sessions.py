"""Where a member of staff is logged in, and how that is ended: by themselves after their password, or by the owner."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from xfhandyman.security import second_factor
from xfhandyman.security.step_up import PasswordAgainForm

_BEGUN = "login"
_NOTED_EVERY = 60  # s
_BROWSERS = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac", "Linux")


@dataclass(frozen=True)
class OpenSession:
    """A session as its owner sees it. `name` stands for its key, which is a secret."""

    name: str
    since: datetime | None
    browser: str
    key: str

    @classmethod
    def of(cls, session: Session, data: dict[str, Any]) -> "OpenSession":
        begun = data.get(_BEGUN, {})
        since = datetime.fromtimestamp(begun["at"], UTC) if begun else None
        name = salted_hmac("xfhandyman.sessions", session.session_key, algorithm="sha256").hexdigest()[:20]
        return cls(name, since, begun.get("browser", "unknown"), session.session_key)


def begun(request: HttpRequest, **_: Any) -> None:
    """Note in a new session when it began and in what browser; a receiver of user_logged_in.

    Its end is fixed here: Django would move it on with every message that is kept in the session.
    """
    now = timezone.now()
    agent = browser(request.headers.get("User-Agent", ""))
    request.session[_BEGUN] = {"at": int(now.timestamp()), "browser": agent}
    request.session.set_expiry(now + timedelta(seconds=settings.SESSION_COOKIE_AGE))


def is_in_use(request: HttpRequest) -> bool:
    """Whether the session was used in the last STAFF_IDLE_MINUTES; one that was not is ended. Notes a use a minute."""
    now = int(timezone.now().timestamp())
    kept: dict[str, Any] = request.session.get(_BEGUN) or {"at": now}  # an earlier release noted nothing
    idle = now - kept.get("seen", kept["at"])
    if idle > settings.STAFF_IDLE_MINUTES * 60:
        logout(request)
        return False
    if idle > _NOTED_EVERY:
        request.session[_BEGUN] = kept | {"seen": now}
    return True


def browser(agent: str) -> str:
    """Such as "Firefox on Linux": two words of what the browser says of itself."""
    name = next((name for sign, name in _BROWSERS if sign in agent), "Another browser")
    system = re.search("|".join(_SYSTEMS), agent)
    return f"{name} on {system[0]}" if system else name


def open_sessions(user: User) -> list[OpenSession]:
    """All of the user's, the latest first. Only staff have sessions, so all are read."""
    found = [OpenSession.of(session, data) for session, data in _of(user) if SESSION_KEY in data]
    return sorted(found, key=lambda each: each.since or datetime.min.replace(tzinfo=UTC), reverse=True)


def end(user: User, *, names: set[str] | None = None, but: str | None = None) -> int:
    """End the user's sessions and logins half done: those named, or all, but never the one with the key `but`."""
    keys = [
        session.session_key
        for session, data in _of(user)
        if session.session_key != but and (names is None or OpenSession.of(session, data).name in names)
    ]
    return Session.objects.filter(pk__in=keys).delete()[0]


def key(request: HttpRequest) -> str | None:
    """Of the session that asks; it is new after the password was asked for again."""
    return request.session.session_key


def _of(user: User) -> Iterator[tuple[Session, dict[str, Any]]]:
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        data = session.get_decoded()
        if str(user.pk) in (data.get(SESSION_KEY), str(second_factor.pending_user(data))):
            yield session, data


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET lists where one is logged in; POST with the password ends the chosen ones. 422 for a wrong password."""
    user = cast(User, request.user)  # the admin lets no anonymous one in
    form = PasswordAgainForm(request, user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        chosen = None if "all" in request.POST else set(request.POST.getlist("session"))
        ended = end(user, names=chosen, but=key(request))
        LogEntry.objects.log_actions(user.pk, [user], CHANGE, f"Ended {ended} other session{pluralize(ended)}.")
        messages.success(request, f"{ended} other session{pluralize(ended)} ended.")
        return redirect("admin:own_sessions")
    listed, here = open_sessions(user), key(request)
    more = {
        "form": form,
        "here": [each for each in listed if each.key == here],
        "others": [each for each in listed if each.key != here],
    }
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/second_factor/sessions.html", context | more, status=status)
