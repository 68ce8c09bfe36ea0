"""Columns of text that any form of Django's cleans as bookings.fields does. To the database they are Django's own."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

from bookings import fields

if TYPE_CHECKING:  # Django's fields take no type arguments at run time.
    CharField = models.CharField[str, str]
    EmailBase = models.EmailField[str, str]
    TextField = models.TextField[str, str]
else:
    CharField, EmailBase, TextField = models.CharField, models.EmailField, models.TextField


class _Cleaned:
    """Offers a form field of ours; stands before Django's field."""

    field: type[forms.Field]

    def formfield(self, **options: Any) -> Any:
        return super().formfield(**{"form_class": self.field} | options)  # type: ignore[misc]  # Field's

    def deconstruct(self) -> Any:
        """As Django's own: what a form does is no matter of the database's."""
        name, _path, args, kwargs = super().deconstruct()  # type: ignore[misc]  # Field's
        plain = next(base for base in type(self).__mro__ if base.__module__.startswith("django.db.models"))
        return name, f"django.db.models.{plain.__name__}", args, kwargs


class LineField(_Cleaned, CharField):
    field = fields.LineField


class PhoneField(_Cleaned, CharField):
    field = fields.PhoneField


class AddressField(_Cleaned, CharField):
    """Of a place: some lines."""

    field = fields.ProseField


class ProseField(_Cleaned, TextField):
    field = fields.ProseField


class EmailField(_Cleaned, EmailBase):
    field = fields.EmailField
