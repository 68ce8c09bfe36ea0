"""Who waits for an earlier time: to look at. The line keeps itself; staff may take somebody out of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from bookings import crew
from bookings.admin.office import OfficeAdmin
from bookings.models import WaitlistEntry


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("waiting", "In line"), ("ended", "Over"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
        match self.value():
            case "waiting":
                return queryset.filter(confirmed_at__isnull=False, ended_at=None)
            case "ended":
                return queryset.exclude(ended_at=None)
            case _:
                return queryset


@admin.register(WaitlistEntry)
class WaitlistEntryAdmin(OfficeAdmin):
    list_display = ("who", "service", "wants", "since", "state")
    list_filter = (StateFilter, "service")
    list_select_related = ("service", "booking", "handyman")
    fields = ("who", "service", "handyman", "booking", "wants", "last_day", "since", "state", "offered")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistEntry]:
        return crew.visible(super().get_queryset(request), request.user, by="booking__handyman__user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: WaitlistEntry | None = None) -> bool:
        return False

    @admin.display(description="who")
    def who(self, entry: WaitlistEntry) -> str:
        return entry.booking.customer_name if entry.booking else entry.customer_name

    @admin.display(description="wants")
    def wants(self, entry: WaitlistEntry) -> str:
        return f"{entry.days}, {entry.hours}"

    @admin.display(description="since", ordering="created_at")
    def since(self, entry: WaitlistEntry) -> str:
        return timezone.localtime(entry.created_at).strftime("%a %d %b %Y, %H:%M")

    @admin.display(description="state")
    def state(self, entry: WaitlistEntry) -> str:
        if entry.ended_at:
            return entry.get_ended_display()
        return "In line" if entry.confirmed_at else "Not confirmed by e-mail yet"

    @admin.display(description="offered")
    def offered(self, entry: WaitlistEntry) -> str:
        return "; ".join(f"{offer} ({offer.get_outcome_display().lower()})" for offer in entry.offers.all()) or "-"
