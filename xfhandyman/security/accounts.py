"""The accounts of staff in the admin: what logins hang on changes after a password, and sessions can be ended."""

from copy import copy
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize

from xfhandyman.security import sessions
from xfhandyman.security.step_up import PasswordAgainForm

_LOGINS_HANG_ON = {"username", "email", "is_active", "is_staff", "is_superuser", "groups", "user_permissions"}


class OwnPasswordField(forms.CharField):
    """The password of who changes the account; no change of the account itself."""

    def __init__(self, **options: Any) -> None:
        widget = forms.PasswordInput({"autocomplete": "current-password"})
        super().__init__(label="Your own password", required=False, strip=False, widget=widget, **options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class ConfirmedForm(forms.ModelForm):
    """Asks for the password of who is logged in when something is changed that logins and rights hang on."""

    request: HttpRequest
    own_password = OwnPasswordField(
        help_text="To change the user name, the e-mail address or what the account may do. Its owner gets an e-mail.",
    )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if _LOGINS_HANG_ON & set(self.changed_data):
            _confirm(self, self.request)
        return cleaned


class ConfirmedPasswordForm(forms.Form):
    """Asks for the password of who is logged in before an account, their own too, gets another one or none."""

    request: HttpRequest
    own_password = OwnPasswordField()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        _confirm(self, self.request)
        return cleaned


class NewPasswordForm(AdminPasswordChangeForm):
    """Django's form for one's own password; wrong tries at the old one count, and lock, as failed logins do."""

    request: HttpRequest

    def clean_old_password(self) -> str:
        _confirm(self, self.request, "old_password")
        return str(self.cleaned_data.get("old_password", ""))


def _confirm(form: forms.BaseForm, request: HttpRequest, field: str = "own_password") -> None:
    again = PasswordAgainForm(request, cast(User, request.user), {"password": form.cleaned_data.get(field)})
    for error in again.errors.get("password", ()):
        form.add_error(field, error)


class AppsMixin:
    """For the admin of apps and passkeys: taken away here, and set up by their owners alone, after the password."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AccountsMixin:
    """For the accounts' admin."""

    change_user_password_template = "admin/second_factor/password.html"  # noqa: S105  # a template

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django's page, which asks for no password before it sets one; with a form that knows who asks."""
        own: Any = copy(self)
        bases = (ConfirmedPasswordForm, own.change_password_form)
        own.change_password_form = type("PasswordForm", bases, {"request": request})
        page = super(AccountsMixin, own).user_change_password  # type: ignore[misc]  # ModelAdmin's
        return cast(HttpResponse, page(request, id, form_url))

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj and self.has_change_permission(request, obj):  # type: ignore[attr-defined]  # ModelAdmin's
            bases = (ConfirmedForm, self.form)  # type: ignore[attr-defined]  # ModelAdmin's
            kwargs["form"] = type("AccountForm", bases, {"request": request})
        return super().get_form(request, obj, change=change, **kwargs)  # type: ignore[misc]  # ModelAdmin's

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        kept = super().get_fieldsets(request, obj)  # type: ignore[misc]  # ModelAdmin's
        if obj and self.has_change_permission(request, obj):  # type: ignore[attr-defined]  # ModelAdmin's
            return (*kept, ("Confirm", {"fields": ("own_password",)}))
        return kept

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """With one that logs the chosen people out everywhere."""
        actions: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]  # ModelAdmin's
        if self.has_change_permission(request):  # type: ignore[attr-defined]  # ModelAdmin's
            actions["end_sessions"] = (_end_sessions, "end_sessions", "End all their sessions")
        return actions


def _end_sessions(model_admin: admin.ModelAdmin, request: HttpRequest, users: QuerySet[User]) -> None:
    ended = sum(sessions.end(user, but=sessions.key(request)) for user in users)
    owner = cast(User, request.user)
    LogEntry.objects.log_actions(owner.pk, users, CHANGE, "Ended all their sessions.")
    messages.success(request, f"{ended} session{pluralize(ended)} ended.")
