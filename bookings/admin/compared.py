"""Forms that never undo what was changed after they were opened, neither by a customer nor by a colleague.

A form carries the value that each field had when it was shown (Django's hidden initial values), and digests of the
columns that it only shows. Both are compared with the row as it stands. Where they differ the form is not valid: it
comes back with both values, and staff decide.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Model
from django.forms.models import BaseInlineFormSet
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format

SHOWN = "_shown"


def digest(row: Model, names: Iterable[str] | None = None) -> str:
    """A short digest of a row's editable columns (or of `names`), which differs once any of them has changed."""
    columns = [field for field in row._meta.concrete_fields if field.editable]
    values = [field.value_to_string(row) for field in columns if names is None or field.name in names]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def shown(row: Model) -> str:
    """What a page with this row carries in the hidden field SHOWN: which row it is, and its digest."""
    return f"{row._meta.model_name}:{row.pk}:{digest(row)}"


_APPEARED = "Added meanwhile: {}. Save again if what you typed still fits."
_REMOVED = (
    "Rows were removed meanwhile: {}. What you had changed in them is kept below as new rows; nothing is saved yet."
)


class ShownField(forms.BoundField):
    """Carries the value that is kept now, where Django would repeat the one that was posted."""

    def as_widget(self, widget: Any = None, attrs: Any = None, only_initial: bool = False) -> Any:
        if not only_initial or widget is None:
            return super().as_widget(widget, attrs)
        value, attrs = self.field.prepare_value(self.initial), {"id": self.html_initial_id}
        return widget.render(self.html_initial_name, value, attrs, renderer=self.form.renderer)


class ComparedForm(forms.BaseModelForm):
    """Refuses to save over what was changed since it was shown, and shows both values.

    A field that only somebody else has changed takes their value; one that both have changed keeps what was typed.
    Saved again, the form writes what it then shows. `shown_as` names the columns that a field of another name shows.
    """

    bound_field_class = ShownField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            for field in self.fields.values():
                field.show_hidden_initial = True

    def columns_beside(self) -> list[Any]:
        """The editable columns that no field of the form shows, such as a status."""
        known = {*self.fields, *getattr(self, "shown_as", ())}
        return [
            column for column in self.instance._meta.concrete_fields if column.editable and column.name not in known
        ]

    def carried(self) -> str:
        """Digests of the columns beside the form, by name, for the hidden field SHOWN."""
        return " ".join(f"{column.name}:{digest(self.instance, [column.name])}" for column in self.columns_beside())

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.instance.pk:
            for name, sentence in self.conflicts():
                self.add_error(name, sentence)
        return cleaned

    def conflicts(self) -> Iterator[tuple[str | None, str]]:
        """Fields (None: beside the form) that were changed since the form was shown, with a sentence for staff."""
        for name, field in self.fields.items():
            compares = field.show_hidden_initial and not field.disabled
            if compares and (sentence := self._conflict(name, field)):
                yield name, sentence
        if self.prefix is None:
            yield from ((None, sentence) for sentence in self._conflicts_beside())

    def _conflict(self, name: str, field: forms.Field) -> str:
        bound = self[name]
        raw = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix(name))
        now = bound.initial
        if not field.has_changed(now, raw) or not field.has_changed(now, bound.data):
            return ""
        if name in self.changed_data:
            return (
                f"Changed meanwhile to {said(field, now)}. You chose {said(field, bound.data)}: save again to keep it."
            )
        # A copy of the form's own, which from here on shows what is kept.
        field.bound_data = _initial  # type: ignore[method-assign]  # of this field alone
        return f"Changed meanwhile from {said(field, raw)} to {said(field, now)}, which is now filled in."

    def _conflicts_beside(self) -> Iterator[str]:
        carried = dict(each.partition(":")[::2] for each in self.data.get(SHOWN, "").split())
        for column in self.columns_beside():
            if carried.get(column.name) != digest(self.instance, [column.name]):
                now = said(column.formfield() or forms.CharField(), column.value_from_object(self.instance))
                yield f"Changed meanwhile: {column.verbose_name} is now {now}. Save again if what you typed still fits."


def _initial(data: Any, initial: Any) -> Any:
    return initial


def said(field: Any, value: Any) -> str:
    """A form field's value as staff read it."""
    choices: Any = getattr(field, "choices", ())
    if isinstance(field, forms.MultiValueField) and isinstance(value, list | tuple):
        return " ".join(str(each) for each in value if each) or "nothing"
    if isinstance(field, forms.ModelMultipleChoiceField):
        chosen = {str(field.prepare_value(each)) for each in value or ()}
        return ", ".join(str(label) for pk, label in choices if str(pk) in chosen) or "nothing"
    if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
        wanted = str(field.prepare_value(value))
        return next((str(label) for key, label in choices if str(key) == wanted), "nothing")
    if isinstance(field, forms.BooleanField):
        return "yes" if field.to_python(value) else "no"
    if isinstance(value, datetime):
        return date_format(timezone.localtime(value), "D j M Y H:i")
    if isinstance(field, forms.TimeField):
        with suppress(forms.ValidationError, TypeError):
            return f"{field.to_python(value):%H:%M}"
    value = field.prepare_value(value)
    return "nothing" if value in (None, "") else f"“{value}”"


class ComparedFormSet(BaseInlineFormSet):
    """Rows of an inline. One that somebody removed meanwhile comes back as a new row if it was edited here.

    Where the page had no such table when it was opened, as there were no rows yet, they stay as they are.
    """

    data: Any
    model: Any
    removed: tuple[str, ...] = ()
    appeared: tuple[str, ...] = ()

    def __init__(self, data: Any = None, files: Any = None, **options: Any) -> None:
        super().__init__(data, files, **options)
        if data is not None:
            self._leave_rows_that_appeared()
            self._take_out_removed_rows()

    def _leave_rows_that_appeared(self) -> None:
        """Read a post without this table, which has rows now, as one that changes none of them."""
        if f"{self.prefix}-TOTAL_FORMS" in self.data:
            return
        self.appeared = tuple(str(row) for row in self.get_queryset())
        if self.appeared:
            self.data = self.data.copy()
            self.data[f"{self.prefix}-TOTAL_FORMS"] = self.data[f"{self.prefix}-INITIAL_FORMS"] = "0"

    def _take_out_removed_rows(self) -> None:
        """Make rows whose key is gone new ones, at the end; leave out those that nobody had touched here."""
        first, key = self.initial_form_count(), self.model._meta.pk.name
        kept = {str(row.pk) for row in self.get_queryset()}
        gone = [n for n in range(first) if self.data.get(f"{self.prefix}-{n}-{key}") not in kept]
        if not gone:
            return
        self.removed = tuple(self._row(n) for n in gone)
        again = [n for n in gone if self._touched(n)]
        order = [n for n in range(self.total_form_count()) if n not in gone] + again
        self.data = self._renumbered(self.data, order)
        for new in range(len(order) - len(again), len(order)):
            self.data[f"{self.prefix}-{new}-{key}"] = ""
        self.data[f"{self.prefix}-TOTAL_FORMS"] = str(len(order))
        self.data[f"{self.prefix}-INITIAL_FORMS"] = str(first - len(gone))
        self.__dict__.pop("management_form", None)  # read again from the new data

    def _renumbered(self, data: QueryDict, order: list[int]) -> QueryDict:
        """The posted data with these rows in this order, and no others."""
        place = {str(old): new for new, old in enumerate(order)}
        moved = QueryDict(mutable=True)
        for name, values in data.lists():
            row = re.fullmatch(rf"((?:initial-)?{re.escape(str(self.prefix))}-)(\d+)(-.+)", name)
            if row is None:
                moved.setlist(name, values)
            elif row[2] in place:
                moved.setlist(f"{row[1]}{place[row[2]]}{row[3]}", values)
        return moved

    def _row(self, number: int) -> str:
        """A row as it was shown."""
        return " ".join(said(field, shown_before) for field, shown_before, _typed in self._values(number))

    def _touched(self, number: int) -> bool:
        """Whether anything in a row was changed here."""
        return any(field.has_changed(field.to_python(before), typed) for field, before, typed in self._values(number))

    def _values(self, number: int) -> Iterator[tuple[forms.Field, Any, Any]]:
        """The fields of a row, with what had been shown in each and what was typed."""
        for name, field in self.form.base_fields.items():
            key = f"{self.prefix}-{number}-{name}"
            hidden = field.hidden_widget()
            if hidden.value_omitted_from_data(self.data, self.files, f"initial-{key}"):
                continue
            before = hidden.value_from_datadict(self.data, self.files, f"initial-{key}")
            yield field, before, field.widget.value_from_datadict(self.data, self.files, key)

    def clean(self) -> None:
        super().clean()
        if self.appeared:
            raise forms.ValidationError(_APPEARED.format("; ".join(self.appeared)))
        if self.removed:
            raise forms.ValidationError(_REMOVED.format("; ".join(self.removed)))
        form: Any
        for form in self.initial_forms:
            # Django does not look at the errors of a row that is to be deleted.
            if self.can_delete and self._should_delete_form(form) and list(form.conflicts()):  # type: ignore[attr-defined] # not in the stubs
                raise forms.ValidationError(
                    f"{form.instance} was changed meanwhile. Save again to delete it all the same."
                )


def compared(form: Any) -> Any:
    """The form class, made one that compares."""
    return form if issubclass(form, ComparedForm) else type(form.__name__, (ComparedForm, form), {})
