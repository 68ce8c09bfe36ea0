"""Asking for the password again, before what would let somebody else in permanently."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest

from bookings.ratelimit import limits


class PasswordAgainForm(forms.Form):
    """Valid with the user's own password. Wrong ones count as failed logins do, and lock as they do.

    Who gets here has given a password already, so the turns are those of known browsers: a flood of strangers at the
    login keeps nobody from ending a session or an account.
    """

    password = forms.CharField(
        label="Your password, again",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        error_messages={"required": "Enter your password."},
    )

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        self.request, self.user = request, user
        super().__init__(*args, **kwargs)

    def clean_password(self) -> str:
        given = str(self.cleaned_data["password"])
        if seconds := limits.wait(self.request, limits.Purpose.LOGIN_KNOWN):
            raise forms.ValidationError(f"There were too many tries. Wait {-(-seconds // 60)} min, then try again.")
        if authenticate(self.request, username=self.user.get_username(), password=given) != self.user:
            raise forms.ValidationError("That is not your password.")
        self.request.session.cycle_key()  # whoever holds the key from before holds no more than before
        return given
