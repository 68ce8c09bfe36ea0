"""What a handyman types on his phone."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from bookings.fields import LineField, ProseField
from bookings.forms import PhotosField, photos_input, read_instant
from bookings.models import VisitReport, new_idempotency_key
from bookings.scheduling.reports import Tap
from bookings.slots.calendars import midnight

Kind = VisitReport.Kind
MOST_MINUTES = 24 * 60


class TapForm(forms.Form):
    """A report of a visit. `key` makes one that is sent twice count once; `at` is when it was tapped (ISO 8601)."""

    kind = forms.ChoiceField(choices=Kind, error_messages={"required": "Choose what to report."})
    key = forms.CharField(max_length=64)
    at = forms.CharField(max_length=40, required=False)
    minutes = forms.IntegerField(
        min_value=0,
        max_value=MOST_MINUTES,
        required=False,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), "Enter the minutes as a number."),
    )
    words = ProseField(max_length=2000, required=False)
    materials = ProseField(max_length=1000, required=False)
    photos = PhotosField(required=False, widget=photos_input())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = cleaned.get("kind")
        if kind in (Kind.ON_THE_WAY, Kind.LATE) and not cleaned.get("minutes") and "minutes" not in self.errors:
            self.add_error("minutes", "Choose how many minutes.")
        if kind == Kind.COULD_NOT and not cleaned.get("words") and "words" not in self.errors:
            self.add_error("words", "Write why it could not be done.")
        return cleaned

    def tap(self) -> Tap:
        """What was tapped, of a valid form."""
        cleaned = self.cleaned_data
        return Tap(
            kind=Kind(cleaned["kind"]),
            at=read_instant(cleaned["at"]) or timezone.now(),
            minutes=cleaned["minutes"],
            words=cleaned["words"],
            materials=cleaned["materials"],
        )

    @property
    def problem(self) -> str:
        """The first of what is wrong."""
        return next((str(each[0]) for each in self.errors.values()), "")


class TimeOffForm(forms.Form):
    """Whole days, from the first to the last."""

    first = forms.DateField(
        label="First day",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        error_messages={"required": "Choose the first day.", "invalid": "Choose the first day."},
    )
    last = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text="Leave empty for a single day.",
        error_messages={"invalid": "Choose the last day."},
    )
    reason = LineField(label="Reason", required=False, max_length=80, help_text="The office reads it.")
    key = forms.CharField(max_length=64, widget=forms.HiddenInput, required=False)

    def clean_first(self) -> date:
        first: date = self.cleaned_data["first"]
        if not timezone.localdate() <= first <= timezone.localdate() + timedelta(days=730):
            raise forms.ValidationError("Choose a day from today on, within two years.")
        return first

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and not first <= last <= first + timedelta(days=366):
            self.add_error("last", "The last day must not be before the first, nor more than a year after it.")
        return cleaned

    def span(self) -> tuple[datetime, datetime]:
        """From the beginning of the first day until the end of the last, of a valid form."""
        first: date = self.cleaned_data["first"]
        last: date = self.cleaned_data["last"] or first
        return midnight(first), midnight(last + timedelta(days=1))

    @property
    def form_key(self) -> str:
        return self.cleaned_data["key"] or new_idempotency_key()
