"""What somebody tells who waits for an earlier time: which days and hours suit, and until when."""

from datetime import date, time
from typing import Any

from django import forms
from django.utils import timezone

from bookings.forms import BookingForm, PersonForm
from bookings.models import Weekday
from bookings.scheduling import Customer
from bookings.scheduling.waitlist import Suits
from bookings.slots import calendars

_ANY = ""
_HOURS = range(7, 22)


def _clock(hour: int) -> str:
    return "noon" if hour == 12 else f"{hour % 12 or 12}{'am' if hour < 12 else 'pm'}"


_CLOCK = [(f"{hour:02}:00", _clock(hour)) for hour in _HOURS]


class SuitsForm(PersonForm):
    """Days and hours."""

    weekdays = forms.TypedMultipleChoiceField(
        label="Days that suit",
        choices=Weekday.choices,
        coerce=int,
        initial=Weekday.values,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one day."},
    )
    not_before = forms.ChoiceField(
        label="Not before",
        choices=[(_ANY, "Any time"), *_CLOCK[:-1]],
        required=False,
        help_text="We arrive after that.",
    )
    not_after = forms.ChoiceField(
        label="Not after", choices=[(_ANY, "Any time"), *_CLOCK[1:]], required=False, help_text="We arrive by then."
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = (cleaned.get(name) or "" for name in ("not_before", "not_after"))
        if first and last and first >= last:
            self.add_error("not_after", "Choose a later hour than the one before it.")
        return cleaned

    def suits(self) -> Suits:
        """What waitlist.join takes from a valid form."""
        first, last = self.cleaned_data["not_before"], self.cleaned_data["not_after"]
        return Suits(
            weekdays=sorted(self.cleaned_data["weekdays"]),
            not_before=time.fromisoformat(first) if first else time(0),
            not_after=time.fromisoformat(last) if last else time(23, 59),
        )


class WaitlistForm(SuitsForm, BookingForm):
    """The same and, for a visit that is not booked yet, until when it is needed, and all that a booking asks."""

    last_day = forms.DateField(
        label="Needed by",
        help_text="The last day that is of use.",
        widget=forms.DateInput({"type": "date", "class": "short"}, format="%Y-%m-%d"),  # what browsers read
        error_messages={
            "required": "Choose the last day that is of use.",
            "invalid": "Enter a day, such as 2030-01-31.",
        },
    )
    consent = forms.BooleanField(
        label="Keep these details to find me an earlier time and carry out the booking",
        error_messages={"required": "Tick the box, so that we may keep what we need to come."},
    )
    photos = None  # type: ignore[assignment]  # how Django takes a field out: they are sent once there is a visit
    field_order = ("weekdays", "not_before", "not_after", "last_day")

    def clean_last_day(self) -> date:
        day: date = self.cleaned_data["last_day"]
        rules, now = calendars.current_rules(), timezone.now()
        if day < rules.today(now):
            raise forms.ValidationError("Choose a day that is still ahead.")
        return min(day, rules.last_day(now))

    def customer(self) -> Customer:
        """Who waits."""
        return Customer(**{name: self.cleaned_data[name] for name in Customer.__dataclass_fields__})
