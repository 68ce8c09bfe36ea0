"""The second factor of staff: a code of an authenticator app (TOTP), a passkey, or a recovery code where both are away.

Between the password and the code nobody is logged in: the session knows who has given a password, and for how long.
Django's LogEntry tells who set up what, when.
"""

import time
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import BACKEND_SESSION_KEY, login
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timeuntil
from django_otp import verify_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from xfhandyman.security import notices, passkeys
from xfhandyman.security.passkeys import LOG_IN, VERIFY, RefusedError
from xfhandyman.security.step_up import PasswordAgainForm

RECOVERY_CODES = 8
_TIMEOUT = 600.0
"""Seconds from the password to the code."""
_PENDING = "second_factor"


@dataclass(frozen=True)
class Pending:
    """Somebody who has given the right password: where they wanted to go, and which backend let them in."""

    user: User
    backend: str
    next: str


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
        error_messages={"required": "Enter the code."},
    )

    def clean_code(self) -> str:
        return "".join(self.cleaned_data["code"].split()).replace("-", "").lower()


class SetUpForm(CodeForm, PasswordAgainForm):
    """The first code of an app, and the password again: an open page is not enough to choose the second factor."""

    field_order = ("code", "password")


def begin(request: HttpRequest, user: User, go_on: str) -> None:
    """Remember in a fresh session that this user has given the password.

    A key that was shown before and never confirmed is forgotten: whoever saw it then does not know the next one.
    """
    request.session.flush()
    TOTPDevice.objects.filter(user=user, confirmed=False).delete()
    backend = user.backend  # authenticate() leaves it there
    request.session[_PENDING] = {"user": user.pk, "backend": backend, "next": go_on, "at": time.time()}


def begin_with_passkey(request: HttpRequest, go_on: str) -> HttpResponse:
    """Ask for any passkey of the site, in a fresh session that ends when the question does."""
    request.session.flush()
    passkeys.ask(request, LOG_IN, next=go_on)
    request.session.set_expiry(passkeys.TIMEOUT)
    return redirect("admin:passkey_login")


def pending_user(session: Mapping[str, Any]) -> int | None:
    """Who has given a password in this session, and no code yet."""
    kept = session.get(_PENDING)
    return kept["user"] if kept else None


def _pending(request: HttpRequest) -> Pending | None:
    kept = request.session.get(_PENDING)
    if not kept or not 0 <= time.time() - kept["at"] <= _TIMEOUT:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True, is_staff=True).first()
    return Pending(user, kept["backend"], kept["next"]) if user else None


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET asks for the code or a passkey, or shows how to set the app up; POST with the right one logs in, else 422."""
    pending = _pending(request)
    if pending is None:
        return redirect("admin:login")
    app, has_passkey = _app(pending.user), passkeys.of(pending.user).exists()
    if app is None and not has_passkey:
        return _set_up(request, pending, context)
    by_passkey = "passkey" in request.POST
    form = CodeForm(None if by_passkey else request.POST or None)
    if request.method == "POST":
        used = _passkey(request, pending) if by_passkey else _device(pending, app, form)
        if used:
            _log_in(request, pending, used)
            if isinstance(used, StaticDevice):
                notices.notify(pending.user, "code_used")
            return redirect(pending.next)
    more = {"form": form, "app": app, "refused": by_passkey}
    if has_passkey and passkeys.offered(request):
        passkeys.ask(request, VERIFY, pending.user)
        more["question"] = passkeys.asked(request, VERIFY)
    status = 422 if form.errors or by_passkey else 200
    return TemplateResponse(request, "admin/second_factor/code.html", context | more, status=status)


def passkey_login(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET lets the browser ask for a passkey; POST with its answer logs the passkey's owner in. Else to the login."""
    question = passkeys.asked(request, LOG_IN)
    if question is None:
        return redirect("admin:login")
    if request.method != "POST":
        return TemplateResponse(request, "admin/second_factor/passkey_login.html", context | {"question": question})
    try:
        passkey = passkeys.used(request, LOG_IN)
    except RefusedError:
        messages.error(request, "That passkey was not taken. Try it again, or log in with your password.")
        return redirect("admin:login")
    _log_in(request, Pending(passkey.user, "django.contrib.auth.backends.ModelBackend", question["next"]), passkey)
    return redirect(question["next"])


def app_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """For who is logged in by a passkey and has no app any more: how to set one up, as at the first login."""
    user = cast(User, request.user)  # the admin lets no anonymous one in
    if _app(user):
        return redirect("admin:passkeys")
    pending = Pending(user, request.session[BACKEND_SESSION_KEY], reverse("admin:passkeys"))
    return _set_up(request, pending, context)


def _app(user: User) -> TOTPDevice | None:
    app: TOTPDevice | None = TOTPDevice.objects.devices_for_user(user, confirmed=True).first()
    return app


def _passkey(request: HttpRequest, pending: Pending) -> WebAuthnCredential | None:
    try:
        return passkeys.used(request, VERIFY, pending.user)
    except RefusedError:
        return None


def _device(pending: Pending, app: TOTPDevice | None, form: CodeForm) -> TOTPDevice | StaticDevice | None:
    """What the code in the form is of; None, with an error in the form, where it is of nothing."""
    if not form.is_valid():
        return None
    used = _verified(pending.user, app, form.cleaned_data["code"])
    if not used:
        form.add_error("code", _refusal(app))
    return used


def _set_up(request: HttpRequest, pending: Pending, context: dict[str, Any]) -> HttpResponse:
    """The QR code until its first code is right; then the recovery codes, once."""
    device, _ = TOTPDevice.objects.get_or_create(user=pending.user, confirmed=False, name="Authenticator app")
    form = SetUpForm(request, pending.user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if verify_token(pending.user, device.persistent_id, form.cleaned_data["code"]):
            with transaction.atomic():
                device.refresh_from_db()
                device.confirmed = True
                device.save()  # whose owner is told
                codes = _new_recovery_codes(pending.user)
            _log_in(request, pending, device)
            LogEntry.objects.log_actions(pending.user.pk, [pending.user], CHANGE, "Set up the second factor.")
            shown = context | {"codes": codes, "next": pending.next}
            return TemplateResponse(request, "admin/second_factor/codes.html", shown)
        form.add_error("code", _refusal(device))
    secret = b32encode(device.bin_key).decode()
    more = {
        "form": form,
        "picture": _picture(device.config_url),
        "address": device.config_url,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
    }
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/second_factor/set_up.html", context | more, status=status)


def recovery_codes(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET tells how many are left, POST with the password makes new ones and shows them once. 422 for a wrong one."""
    user = cast(User, request.user)  # the admin lets no anonymous one in
    form = PasswordAgainForm(request, user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        codes = _new_recovery_codes(user)
        notices.notify(user, "codes_made")
        LogEntry.objects.log_actions(user.pk, [user], CHANGE, "Made new recovery codes.")
        return TemplateResponse(request, "admin/second_factor/codes.html", context | {"codes": codes})
    left = StaticToken.objects.filter(device__user=user).count()
    status = 422 if form.errors else 200
    return TemplateResponse(
        request, "admin/second_factor/codes.html", context | {"left": left, "form": form}, status=status
    )


def _verified(user: User, device: TOTPDevice | None, code: str) -> TOTPDevice | StaticDevice | None:
    """The device the code is of. Codes of the app are digits, recovery codes are longer."""
    if device and code.isdecimal() and len(code) == device.digits:
        return verify_token(user, device.persistent_id, code)
    codes = StaticDevice.objects.devices_for_user(user, confirmed=True).first()
    return codes and verify_token(user, codes.persistent_id, code)


def _refusal(device: TOTPDevice | None) -> str:
    if device is None:
        return "That is not one of your recovery codes, or it was used before."
    device.refresh_from_db()
    allowed, why = device.verify_is_allowed()
    until = (why or {}).get("locked_until")
    if allowed or until is None or until <= timezone.now():
        return "That code is not right, or was used before. Take the next one your app shows."
    seconds = max(1, round((until - timezone.now()).total_seconds()))
    wait = f"{seconds} second{pluralize(seconds)}" if seconds < 60 else timeuntil(until, depth=1)
    return f"That code is not right. Wait {wait} before you try the next one."


def _log_in(request: HttpRequest, pending: Pending, device: TOTPDevice | StaticDevice | WebAuthnCredential) -> None:
    pending.user.otp_device = device  # type: ignore[attr-defined]  # django-otp keeps it in the session
    request.session.pop(_PENDING, None)
    login(request, pending.user, backend=pending.backend)


def _new_recovery_codes(user: User) -> list[str]:
    """Make them; the ones before stop working."""
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        device = StaticDevice.objects.create(user=user, name="Recovery codes")
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def _picture(address: str) -> SafeString:
    """A QR code as inline SVG without styles, which the policy would stop."""
    import qrcode  # when it is used: it brings Pillow, which no other page needs
    from qrcode.image.svg import SvgPathImage

    drawn: str = qrcode.make(address, image_factory=SvgPathImage, border=2).to_string(encoding="unicode")
    return mark_safe(drawn)  # noqa: S308  # made of paths alone
