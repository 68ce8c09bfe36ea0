"""Handymen, their hours and their time off."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from bookings import crew
from bookings.admin import clashes
from bookings.admin.catalogue import warn_of_impossible
from bookings.admin.fields import NATIVE_PICKERS
from bookings.admin.office import OfficeAdmin
from bookings.fields import PostcodeField
from bookings.models import CalendarFeed, Handyman, OfficeContact, Service, TimeOff, WorkingHours


class WorkingHoursInline(admin.TabularInline):
    model = WorkingHours
    formfield_overrides = NATIVE_PICKERS
    extra = 0
    ordering = ("weekday", "start")


class TimeOffInline(admin.TabularInline):
    """Time off to come and of the last month; older rows stand under "Time off"."""

    model = TimeOff
    formfield_overrides = NATIVE_PICKERS
    extra = 1
    verbose_name_plural = "time off to come"

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimeOff]:
        return super().get_queryset(request).filter(ends_at__gte=timezone.now() - timedelta(days=30))


@admin.register(Handyman)
class HandymanAdmin(OfficeAdmin):
    list_display = ("name", "active", "email", "notifications", "does")
    fields = (
        "name",
        "slug",
        "bio",
        "checked_for",
        "active",
        "email",
        "notifications",
        "start_postcode",
        "end_postcode",
        "skills",
        "user",
    )
    list_filter = ("active", "skills")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}
    filter_horizontal = ("skills",)
    inlines = (WorkingHoursInline, TimeOffInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Handyman]:
        shown = crew.visible(super().get_queryset(request), request.user, by="user")
        return shown.prefetch_related(Prefetch("skills", Service.objects.only("name")))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Postcodes, as they are written in BUSINESS_COUNTRY."""
        if db_field.name in ("start_postcode", "end_postcode"):
            label, help_text = db_field.verbose_name.capitalize(), db_field.help_text
            return PostcodeField(required=False, label=label, help_text=help_text)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Handyman | None = None) -> bool:
        """Handymen choose for themselves how often they are notified, and no more."""
        own = obj is not None and obj.user_id == request.user.pk and self.has_view_permission(request, obj)
        return own or super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Handyman | None = None) -> Any:
        if super().has_change_permission(request, obj):
            return super().get_readonly_fields(request, obj)
        return tuple(name for name in self.fields if name != "notifications")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Handyman | None = None) -> Any:
        return self.prepopulated_fields if super().has_change_permission(request, obj) else {}

    @admin.display(description="does")
    def does(self, handyman: Handyman) -> str:
        return ", ".join(service.name for service in handyman.skills.all()) or "-"

    def save_model(self, request: HttpRequest, obj: Handyman, form: Any, change: bool) -> None:
        for current in Handyman.objects.filter(pk=obj.pk).for_change():
            obj.given_at, obj.notified_at = current.given_at, current.notified_at
            if current.user_id != obj.user_id:  # the address and the phones are those of who had the account
                CalendarFeed.objects.filter(handyman=obj).delete()
                obj.subscriptions.all().delete()
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        clashes.warn(request, clashes.expected().filter(handyman=form.instance))
        warn_of_impossible(request)


@admin.register(TimeOff)
class TimeOffAdmin(OfficeAdmin):
    formfield_overrides = NATIVE_PICKERS
    list_display = ("handyman", "starts_at", "ends_at", "reason")
    list_filter = ("handyman",)
    list_select_related = ("handyman",)
    date_hierarchy = "starts_at"
    ordering = ("-starts_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimeOff]:
        return crew.visible(super().get_queryset(request), request.user)

    def save_model(self, request: HttpRequest, obj: TimeOff, form: Any, change: bool) -> None:
        Handyman.objects.filter(pk=obj.handyman_id).for_change()
        super().save_model(request, obj, form, change)
        clashes.warn(request, clashes.expected().filter(handyman=obj.handyman_id))


@admin.register(OfficeContact)
class OfficeContactAdmin(OfficeAdmin):
    """Who in the office is notified of bookings."""

    list_display = ("address", "notifications")
    list_editable = ("notifications",)
    fields = ("email", "notifications")

    @admin.display(description="address", ordering="email")
    def address(self, contact: OfficeContact) -> str:
        return contact.address if contact.email else f"{contact.address} (STAFF_EMAIL)"
