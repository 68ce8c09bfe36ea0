"""The base of every ModelAdmin of the business: nothing is done to a row that was changed since it was shown.

The comparison is made inside the transaction that writes, with the rows locked.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from bookings.admin.compared import SHOWN, ComparedFormSet, compared, shown


def lock(rows: QuerySet[Any] | list[Any]) -> list[Any]:
    """The rows, locked until the transaction ends; in the order of their keys, so that two of these never deadlock."""
    keys = [row.pk for row in rows]
    model = rows.model if isinstance(rows, QuerySet) else type(rows[0])
    return list(model._base_manager.filter(pk__in=keys).order_by("pk").select_for_update()) if keys else []


def changed_since_shown(request: HttpRequest, rows: Iterable[Model]) -> list[Model]:
    """Those of the rows (read after they were locked) that are not as the posted page had shown them."""
    carried = set(request.POST.getlist(SHOWN))
    return [row for row in rows if shown(row) not in carried]


class InlineForReading(admin.TabularInline):
    """Rows of a page that are shown to whoever sees the page, and changed elsewhere."""

    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


class OfficeAdmin(admin.ModelAdmin):
    """The base of every ModelAdmin of the business."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; in a POST locked first and read afterwards, so that it stays as it is until all is written."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not transaction.get_connection().in_atomic_block:
            return row
        lock([row])
        return super().get_object(request, object_id, from_field)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return compared(super().get_form(request, obj, change, **kwargs))

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return compared(super().get_changelist_form(request, **kwargs))

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            yield type(formset.__name__, (ComparedFormSet, formset), {"form": compared(formset.form)}), inline

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. Where a POST is refused, what was written while it was judged, such as a move, is rolled back."""
        page = super().render_change_form(request, *args, **kwargs)
        if request.method == "POST":
            transaction.set_rollback(True)
        return page

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        options = super().get_formset_kwargs(request, obj, inline, prefix)
        if request.method == "POST" and inline.has_change_permission(request, obj):
            options["queryset"] = options["queryset"].select_for_update(of=("self",))
        return options

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; a POST in one transaction, with the rows that it edits locked before they are read."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            rows = [value for name, value in request.POST.items() if re.fullmatch(r"form-\d+-id", name)]
            lock(self.model._base_manager.filter(pk__in=[pk for pk in rows if str(pk).isdecimal()]))
            return super().changelist_view(request, extra_context)

    @admin.display(description=mark_safe('<input type="checkbox" id="action-toggle">'))  # Django's own
    def action_checkbox(self, obj: Any) -> SafeString:
        """The box that chooses a row, and the row as the list shows it."""
        return format_html(
            '{}<input type="hidden" name="{}" value="{}">', super().action_checkbox(obj), SHOWN, shown(obj)
        )

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        """Do what was chosen, if all the chosen rows are as the list had shown them."""
        chosen = queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        with self.as_shown(request, chosen) as as_shown:
            if as_shown:
                return super().response_action(request, queryset, *args)
        return HttpResponseRedirect(request.get_full_path())

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask, and delete the row if it is as the question had shown it."""
        row = self.get_object(request, object_id) if request.method == "POST" else None
        if row is None or not self.has_delete_permission(request, row):
            return super().delete_view(request, object_id, extra_context)
        with self.as_shown(request, self.model._base_manager.filter(pk=row.pk)) as as_shown:
            if as_shown:
                return super().delete_view(request, object_id, extra_context)
        return HttpResponseRedirect(request.get_full_path())

    @contextmanager
    def as_shown(self, request: HttpRequest, *chosen: QuerySet[Any]) -> Iterator[bool]:
        """A transaction with the rows locked, and whether each of them is as the posted page had shown it.

        Where one is not, staff are told which.
        """
        with transaction.atomic():
            stale = [row for rows in chosen for row in changed_since_shown(request, lock(rows))]
            if stale:
                names = ", ".join(str(row) for row in stale)
                messages.error(request, f"Nothing was done: {names} changed meanwhile. Look again, and choose again.")
            yield not stale
