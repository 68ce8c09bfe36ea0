"""The incidents of the last months, to be read and taken along."""

import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from telemetry.conf import conf
from telemetry.diagnosis.records import IncidentRecord

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[IncidentRecord]
else:
    _Admin = admin.ModelAdmin  # subscriptable for the type checker alone

COLUMNS = ("id", "started_at", "ended_at", "symptom", "cause", "component", "route", "sentence", "consequences")


@admin.register(IncidentRecord)
class IncidentAdmin(_Admin):
    """A list that nobody changes: it is written by the diagnosis."""

    list_display = ("started_at", "sentence", "lasted", "symptom", "cause")
    list_filter = ("started_at", "symptom", "cause")
    search_fields = ("sentence", "component", "route")
    date_hierarchy = "started_at"
    actions = ("as_csv",)
    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return conf.enabled and super().has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: IncidentRecord | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: IncidentRecord | None = None) -> bool:
        return False

    @admin.action(description="Save the chosen ones as CSV", permissions=["view"])
    def as_csv(self, request: HttpRequest, chosen: QuerySet[IncidentRecord]) -> HttpResponse:
        """A row for each, times in UTC."""
        text = StringIO()
        rows: Any = csv.writer(text)
        rows.writerow(COLUMNS)
        for each in chosen:
            rows.writerow([_cell(getattr(each, name)) for name in COLUMNS])
        named = {"Content-Disposition": 'attachment; filename="incidents.csv"'}
        return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=named)


def _cell(value: Any) -> str:
    """As a spreadsheet reads it; what would begin a formula begins with an apostrophe."""
    text = "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
