"""The pages on which a member of staff adds, names and removes their own passkeys."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from xfhandyman.security import passkeys
from xfhandyman.security.passkeys import ADD, MOST, RefusedError
from xfhandyman.security.step_up import PasswordAgainForm

_TEMPLATES = "admin/second_factor"


class NameField(forms.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(label="Name", max_length=64, error_messages={"required": "Enter a name."}, **options)


class NewPasskeyForm(PasswordAgainForm):
    """What the new passkey is called. Invalid where the account has as many as it may have."""

    name = NameField(help_text="Such as “Work phone”, to tell it from others.")
    field_order = ("name", "password")

    def clean(self) -> dict[str, Any] | None:
        if passkeys.of(self.user).count() >= MOST:
            raise forms.ValidationError(f"You have {MOST} passkeys. Remove one before you add another.")
        return super().clean()


class PasskeysForm(PasswordAgainForm):
    """The names of one's passkeys, and which of them go."""

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, user, *args, **kwargs)
        self.passkeys = list(passkeys.of(user))
        for passkey in self.passkeys:
            self.fields[f"name_{passkey.pk}"] = NameField(initial=passkey.name)
            self.fields[f"remove_{passkey.pk}"] = forms.BooleanField(label="Remove", required=False)

    def rows(self) -> list[tuple[WebAuthnCredential, forms.BoundField, forms.BoundField]]:
        """Each passkey with its two fields, for the template."""
        return [(each, self[f"name_{each.pk}"], self[f"remove_{each.pk}"]) for each in self.passkeys]

    def removed(self) -> list[WebAuthnCredential]:
        return [each for each in self.passkeys if self.cleaned_data[f"remove_{each.pk}"]]

    def renamed(self) -> list[WebAuthnCredential]:
        """Those of the rest whose name is another now, with it."""
        kept = [each for each in self.passkeys if not self.cleaned_data[f"remove_{each.pk}"]]
        changed = [each for each in kept if each.name != self.cleaned_data[f"name_{each.pk}"]]
        for each in changed:
            each.name = self.cleaned_data[f"name_{each.pk}"]
        return changed


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET lists one's passkeys; POST with the password names and removes them. 422 for what is wrong in the form."""
    user = cast(User, request.user)  # the admin lets no anonymous one in
    form = PasskeysForm(request, user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _changed(request, user, form)
    here = getattr(user, "otp_device", None)
    more = {
        "form": form,
        "here": here.pk if isinstance(here, WebAuthnCredential) else None,
        "offered": passkeys.offered(request),
        "elsewhere": settings.OTP_WEBAUTHN_ALLOWED_ORIGINS[0],
        "app": TOTPDevice.objects.devices_for_user(user, confirmed=True).exists(),
        "full": len(form.passkeys) >= MOST,
    }
    return _answer(request, "passkeys", context | more, bad=bool(form.errors))


def _changed(request: HttpRequest, user: User, form: PasskeysForm) -> HttpResponse:
    """Whoever is logged in by one that goes is logged out: what is left of their login is the password alone."""
    removed, renamed = form.removed(), form.renamed()
    ends = getattr(user, "otp_device", None) in removed
    with transaction.atomic():
        for passkey in renamed:
            passkey.save(update_fields=["name"])
        for passkey in removed:
            passkey.delete()  # whose owner is told
    for verb, changed in (("Named", renamed), ("Removed", removed)):
        for passkey in changed:
            LogEntry.objects.log_actions(user.pk, [user], CHANGE, f"{verb} the passkey “{passkey.name}”.")
    if ends:
        logout(request)
        messages.success(request, "The passkey is removed. You were logged in with it: please log in again.")
        return redirect("admin:login")
    messages.success(request, "Your passkeys are changed." if removed or renamed else "Nothing was changed.")
    return redirect("admin:passkeys")


def add(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET asks for a name; POST with the password goes on to what the browser asks. 422 for what is wrong."""
    user = cast(User, request.user)
    if not passkeys.offered(request):
        return redirect("admin:passkeys")
    form = NewPasskeyForm(request, user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        passkeys.ask(request, ADD, user, name=form.cleaned_data["name"])
        return redirect("admin:passkey_confirm")
    return _answer(request, "passkey_add", context | {"form": form}, bad=bool(form.errors))


def confirm(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET lets the browser make the passkey that was named; POST with what it made keeps it."""
    user = cast(User, request.user)
    question = passkeys.asked(request, ADD)
    if question is None:
        return redirect("admin:passkey_add")
    if request.method != "POST":
        return _answer(request, "passkey_confirm", context | {"question": question})
    try:
        passkeys.add(request, user, question["name"])
    except RefusedError:
        messages.error(request, "That passkey could not be added. Please try it again.")
        return redirect("admin:passkey_add")
    LogEntry.objects.log_actions(user.pk, [user], CHANGE, f"Added the passkey “{question['name']}”.")
    messages.success(request, f"“{question['name']}” is added. You can log in with it from now on.")
    return redirect("admin:passkeys")


def _answer(request: HttpRequest, template: str, context: dict[str, Any], *, bad: bool = False) -> HttpResponse:
    return TemplateResponse(request, f"{_TEMPLATES}/{template}.html", context, status=422 if bad else 200)
