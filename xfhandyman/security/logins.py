"""Staff logins: whom django-axes takes for one client, what a locked one reads, and what is logged: no names."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any

import structlog
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.contrib.auth.views import LoginView
from django.db.models.signals import pre_save
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from bookings.ratelimit import limits
from xfhandyman.security import sessions
from xfhandyman.wiring import metrics

log = structlog.get_logger("xfhandyman.logins")


def client_address(request: HttpRequest) -> str | None:
    """The address xfhandyman.security.proxies found, an IPv6 one as its /64: that many one client has for itself."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def nameless(*_who: Any) -> str:
    """How django-axes calls a client in its own log lines."""
    return "a client"


def locked(request: HttpRequest, _response: object = None, _credentials: object = None) -> HttpResponse:
    """429 with what to do; the same for a name that exists and one that does not."""
    minutes = round(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
    response = render(request, "admin/locked.html", {"minutes": minutes, "title": "Too many tries"}, status=429)
    response["Retry-After"] = str(minutes * 60)
    return response


_KNOWN_FOR = timedelta(days=90)


def know_again(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer to a step of the login; once that is whole, with a cookie by which the browser is known next time."""
    if request.method == "POST" and request.user.is_authenticated:
        response.set_signed_cookie(
            settings.KNOWN_COOKIE_NAME,
            "staff",
            salt=__name__,
            max_age=_KNOWN_FOR,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Strict",
        )
    return response


def purpose(request: HttpRequest) -> limits.Purpose:
    """Which turns a login takes: those of browsers known here, or those of everybody else."""
    known = request.get_signed_cookie(settings.KNOWN_COOKIE_NAME, default="", salt=__name__, max_age=_KNOWN_FOR)
    return limits.Purpose.LOGIN_KNOWN if known else limits.Purpose.LOGIN


_one_at_a_time = Lock()  # of this process: a burst of hashes would take every processor from the pages
_TIMEOUT = 0.5
"""Seconds to wait for one's turn, which is some hashes long."""


@contextmanager
def turn(seconds: int = 0) -> Iterator[int]:
    """Hash one password at a time. Gives `seconds`, or where that is 0 and no turn came in time, the 2 s to wait."""
    mine = not seconds and _one_at_a_time.acquire(timeout=_TIMEOUT)
    try:
        yield seconds if mine else seconds or 2
    finally:
        if mine:
            _one_at_a_time.release()


def wait(step: LoginView, seconds: int) -> HttpResponse:
    """429 with the login page, the name that was typed, and how long to wait. No password was looked at."""
    form = step.get_form_class()(step.request, initial={"username": step.request.POST.get("username", "")})
    minutes = -(-seconds // 60)
    told = f"{minutes} minute{pluralize(minutes)}" if seconds > 5 else f"{seconds} seconds"
    messages.error(step.request, f"There were too many tries to log in. Wait {told}, then try again.")
    context = step.get_context_data(form=form)
    response = TemplateResponse(step.request, step.get_template_names(), context, status=429)
    response["Retry-After"] = str(seconds)
    return response


def _forget_what_was_sent(instance: AccessAttempt, **_: Any) -> None:
    """django-axes would keep the query string and the form of each failure, where anything may stand."""
    instance.get_data = instance.post_data = ""


def watch_logins() -> None:
    """Count and log them; called once, when the apps are ready."""
    pre_save.connect(_forget_what_was_sent, sender=AccessAttempt, dispatch_uid="xfhandyman.logins")
    user_logged_in.connect(sessions.begun, dispatch_uid="xfhandyman.sessions")
    user_logged_in.connect(_logged_in, dispatch_uid="xfhandyman.logins")
    user_login_failed.connect(_failed, dispatch_uid="xfhandyman.logins")
    user_locked_out.connect(_locked_out, dispatch_uid="xfhandyman.logins")


_FACTORS = {TOTPDevice: "totp", StaticDevice: "static", WebAuthnCredential: "passkey"}


def _logged_in(user: User, **_: Any) -> None:
    device = getattr(user, "otp_device", None)
    factor = _FACTORS[type(device)] if device else "none"
    metrics.staff_logins.labels("ok").inc()
    log.info("staff_logged_in", user_id=user.pk, second_factor=factor)


def _failed(**_: Any) -> None:
    metrics.staff_logins.labels("failed").inc()
    log.warning("staff_login_failed")


def _locked_out(*_who: Any, **_: Any) -> None:
    metrics.staff_logins.labels("locked").inc()
    log.warning("staff_login_locked")
