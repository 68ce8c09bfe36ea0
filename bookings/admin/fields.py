"""Form fields that staff fill in."""

from decimal import Decimal
from typing import Any

from django import forms
from django.db import models
from django.utils.dateparse import parse_datetime


class PoundsField(forms.DecimalField):
    """An amount typed in pounds and kept in whole pence."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs = {"min_value": 0, "max_digits": 8, "decimal_places": 2} | kwargs
        # A model form offers these for its integer column.
        kwargs.pop("max_value", None)
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return Decimal(value) / 100 if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        pounds = super().clean(value)
        return None if pounds is None else int(pounds * 100)

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
