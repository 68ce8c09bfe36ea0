"""Passkeys of staff: WebAuthn as django-otp-webauthn judges it, in forms of our own.

A page has what the browser is to be asked in an attribute, and a hidden field of its form brings the answer back
(static/js/passkeys.js): no address answers scripts, and each step has the form's token, the session and the limits of
the login. The challenge is in the session, for one kind of question, and taken out before an answer is judged.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, OperationalError, ProgrammingError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_otp_webauthn.exceptions import OTPWebAuthnApiError
from django_otp_webauthn.helpers import WebAuthnHelper
from django_otp_webauthn.models import WebAuthnCredential
from webauthn.helpers.exceptions import WebAuthnException

from xfhandyman.wiring import metrics

log = structlog.get_logger("xfhandyman.passkeys")

ADD, VERIFY, LOG_IN = "add", "verify", "log_in"
"""What a browser is asked for: a new passkey, one of a user's after the password, or any in the place of both."""
MOST = 10
"""Passkeys of an account."""
TIMEOUT = 300
"""Seconds from the question to the answer; browsers are told the same."""
_ASKED = "passkey"
_LONGEST_ANSWER = 16_384  # characters; a credential's id has 1,023 bytes at most, the rest of an answer about 1,000
_UNREADABLE = (
    OTPWebAuthnApiError,
    WebAuthnException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)
# A counter beyond PostgreSQL's integer, a passkey that is known already; one, or a session, that is gone by now.
_NOT_KEPT = (DatabaseError, UpdateError)
_FAULTS = (OperationalError, ProgrammingError)  # of the database, not of the answer


class RefusedError(Exception):
    """An answer that is not taken; logged already."""


def offered(request: HttpRequest) -> bool:
    """Whether browsers give this site's passkeys at the address that was asked."""
    return f"{request.scheme}://{request.get_host()}" in settings.OTP_WEBAUTHN_ALLOWED_ORIGINS


def of(user: User) -> QuerySet[WebAuthnCredential]:
    """The user's passkeys, in the order in which they were added."""
    found: QuerySet[WebAuthnCredential] = WebAuthnCredential.objects.filter(user=user, confirmed=True)
    return found.order_by("pk")


def ask(request: HttpRequest, kind: str, user: User | None = None, **kept: Any) -> None:
    """Remember a new question in the session, and `kept` with it. Only LOG_IN has no user."""
    helper = WebAuthnHelper(request)
    if kind == ADD:
        options, state = helper.register_begin(user)
    else:
        # In the place of the password too, the device asks for a finger, a face or a PIN.
        options, state = helper.authenticate_begin(user, require_user_verification=kind == LOG_IN)
    question = {"kind": kind, "at": time.time(), "state": state, "options": json.dumps(options)}
    request.session[_ASKED] = question | kept


def asked(request: HttpRequest, kind: str) -> dict[str, Any] | None:
    """The question of that kind that is open: its `options` as JSON, and what was kept with it."""
    question: dict[str, Any] | None = request.session.get(_ASKED)
    if question and question["kind"] == kind and 0 <= time.time() - question["at"] <= TIMEOUT:
        return question
    return None


def used(request: HttpRequest, kind: str, user: User | None = None) -> WebAuthnCredential:
    """The passkey that was used. Raises RefusedError, also where its owner may not log in."""
    with _judged(request, kind) as (state, answer):
        passkey = WebAuthnHelper(request).authenticate_complete(user, state, answer)
        if not (passkey.confirmed and passkey.user.is_active and passkey.user.is_staff):
            raise OTPWebAuthnApiError
    return passkey


def add(request: HttpRequest, user: User, name: str) -> WebAuthnCredential:
    """Keep the passkey that the browser has made. Raises RefusedError."""
    with _judged(request, ADD) as (state, answer):
        passkey = WebAuthnHelper(request).register_complete(user, state, answer)  # whose owner is told
        passkey.name = name
        passkey.save(update_fields=["name"])
    return passkey


@contextmanager
def _judged(request: HttpRequest, kind: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Gives the question's state and the answer; what is refused within the block leaves no trace in the database."""
    question = asked(request, kind)
    try:
        if request.session.pop(_ASKED, None):
            request.session.save()  # before anything can fail, so that no question is answered twice
        with transaction.atomic():
            if question is None:
                raise OTPWebAuthnApiError
            yield question["state"], _read(request.POST.get("passkey", ""))
    except _FAULTS:
        raise
    except (*_UNREADABLE, *_NOT_KEPT) as error:
        if kind != ADD:
            metrics.staff_logins.labels("failed").inc()
        log.warning("staff_passkey_refused", asked_for=kind, error=type(error).__name__)
        raise RefusedError from error


def _read(answer: str) -> Any:
    if len(answer) > _LONGEST_ANSWER:
        raise ValueError("longer than any answer of a browser")
    return json.loads(answer)
