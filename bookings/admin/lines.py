"""The jobs of a visit in the admin: visits found by any of them, and the prices of the further ones."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from bookings.admin.forms import LineForm, LineFormSet
from bookings.admin.office import InlineForReading
from bookings.models import Booking, BookingLine, Service


class LineInline(InlineForReading):
    """The further jobs of a visit. Their prices can be corrected, as the first one's can."""

    model = BookingLine
    form = LineForm
    formset = LineFormSet
    fields = ("name", "minutes", "pricing", "price_pence", "minimum_minutes")
    readonly_fields = ("name", "minutes")
    verbose_name_plural = "further jobs"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("bookings.change_booking") and (obj is None or obj.erased_at is None)


class JobFilter(admin.SimpleListFilter):
    """Visits with a service as any of their jobs."""

    title = parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return Service.objects.values_list("slug", "name")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Booking]) -> QuerySet[Booking]:
        if not (slug := self.value()):
            return queryset
        further = BookingLine.objects.filter(booking=OuterRef("pk"), service__slug=slug)
        return queryset.filter(Q(service__slug=slug) | Exists(further))
