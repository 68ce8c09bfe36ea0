"""What handymen report from their visits, to be read; and the time off that they ask for, to be decided."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from bookings import crew
from bookings.admin import clashes
from bookings.admin.audit import record
from bookings.admin.office import InlineForReading, OfficeAdmin
from bookings.crew import absences
from bookings.models import TimeOffRequest, VisitReport


class ReportInline(InlineForReading):
    """What the handyman reported from the visit, what had no effect included."""

    model = VisitReport
    fk_name = "booking"
    fields = readonly_fields = ("at", "handyman", "kind", "minutes", "words", "materials", "refused")
    verbose_name_plural = "reports of the handyman"

    def get_queryset(self, request: HttpRequest) -> QuerySet[VisitReport]:
        return super().get_queryset(request).select_related("handyman")


@admin.register(TimeOffRequest)
class TimeOffRequestAdmin(OfficeAdmin):
    """Asked for at /crew/; approved or declined here, and not written again."""

    list_display = ("handyman", "starts_at", "ends_at", "reason", "status", "asked_at")
    list_filter = ("status", "handyman")
    list_select_related = ("handyman",)
    fields = readonly_fields = (
        "handyman", "starts_at", "ends_at", "reason", "status", "asked_at", "decided_at", "decided_by",
    )  # fmt: skip
    actions = ("approve", "decline")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimeOffRequest]:
        return crew.visible(super().get_queryset(request), request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Approve: it becomes time off", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[TimeOffRequest]) -> None:
        self.decide(request, queryset, approved=True)

    @admin.action(description="Decline", permissions=["change"])
    def decline(self, request: HttpRequest, queryset: QuerySet[TimeOffRequest]) -> None:
        self.decide(request, queryset, approved=False)

    def decide(self, request: HttpRequest, queryset: QuerySet[TimeOffRequest], *, approved: bool) -> None:
        """Decide each, and list the visits that an approved one is in the way of."""
        done, user = "approved" if approved else "declined", cast(User, request.user)
        decided = [each for each in queryset if absences.decide(request=each, approved=approved, user=user)]
        record(request, decided, f"{done.capitalize()}.")
        messages.success(request, f"{len(decided)} request{pluralize(len(decided))} {done}.")
        if approved:
            clashes.warn(request, clashes.expected().filter(handyman__in=[each.handyman_id for each in decided]))
