"""Form fields that staff fill in."""

from typing import Any

from django import forms
from django.db import models
from django.utils.dateparse import parse_datetime

from bookings import money


class MoneyField(forms.DecimalField):
    """An amount typed in BUSINESS_CURRENCY, with no more decimals than that has, and kept in its minor unit."""

    def __init__(self, **kwargs: Any) -> None:
        # A model form offers a max_value for its integer column.
        super().__init__(
            **kwargs | {"min_value": 0, "max_value": money.exact(money.MOST)}, decimal_places=money.digits()
        )

    def prepare_value(self, value: Any) -> Any:
        return money.exact(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else money.minor(amount)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


def picker(kind: str, *, step: int = 1) -> dict[str, str]:
    """Attributes that make an input the browser's own picker (kind: date or time); `step` is in minutes."""
    return {"type": kind, "aria-label": kind.capitalize()} | ({"step": str(step * 60)} if kind == "time" else {})


class MomentWidget(forms.SplitDateTimeWidget):
    """A date and a time; `step` is in minutes."""

    def __init__(self, *, step: int = 1) -> None:
        super().__init__(
            date_format="%Y-%m-%d",
            time_format="%H:%M",
            date_attrs=picker("date"),
            time_attrs=picker("time", step=step),
        )

    def decompress(self, value: Any) -> Any:
        """Also of a text, which an address may give as the first value; an unreadable one is none."""
        if isinstance(value, str):
            try:
                value = parse_datetime(value)
            except ValueError:
                value = None
        return super().decompress(value)


# Django's own pickers offer noon and midnight, show seconds, and are hard to hit with a finger.
NATIVE_PICKERS: dict[type[models.Field], dict[str, Any]] = {
    models.TimeField: {"widget": forms.TimeInput(attrs=picker("time"), format="%H:%M")},
    models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": MomentWidget()},
    models.DateField: {"widget": forms.DateInput(attrs=picker("date"), format="%Y-%m-%d")},
}
