"""What the business offers, where and when it works, and what customers said of it."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from bookings.admin import clashes
from bookings.admin.fields import NATIVE_PICKERS, PoundsField
from bookings.models import Holiday, Priced, Review, Service, ServiceArea


@admin.display(description="price", ordering="price_pence")
def price(priced: Priced) -> str:
    """The price as staff say it, such as "£45.00 an hour"."""
    if priced.pricing == "quote":
        return f"Quote, £{priced.price_pence / 100:,.2f}" if priced.price_pence else "Quote"
    return f"£{priced.price_pence / 100:,.2f}" + (" an hour" if priced.pricing == "hourly" else "")


class ServiceForm(forms.ModelForm):
    class Meta:
        model = Service
        fields = "__all__"  # noqa: DJ007 - staff edit the whole catalogue; the admin decides who is staff
        field_classes = {"price_pence": PoundsField, "deposit_pence": PoundsField}
        labels = {"price_pence": "Price (£)", "deposit_pence": "Deposit (£)"}
        help_texts = {
            "price_pence": "The fixed price, or the price of one hour. 0 for a quote.",
            "deposit_pence": "Paid online to book, and taken off the price. 0 for none.",
        }


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin):
    form = ServiceForm
    list_display = ("name", "group", price, "duration_minutes", "buffer_minutes", "active", "position")
    list_editable = ("active", "position")
    list_filter = ("active", "group", "pricing")
    search_fields = ("name", "summary")
    prepopulated_fields = {"slug": ("name",)}
    fieldsets = (
        (None, {"fields": ("name", "slug", "group", "summary", "description", "active", "position")}),
        ("Price", {"fields": ("pricing", "price_pence", "minimum_minutes", "deposit_pence")}),
        ("Time", {"fields": ("duration_minutes", "buffer_minutes")}),
    )


@admin.register(Holiday)
class HolidayAdmin(admin.ModelAdmin):
    formfield_overrides = NATIVE_PICKERS
    list_display = ("name", "date")
    date_hierarchy = "date"
    ordering = ("-date",)

    def save_model(self, request: HttpRequest, obj: Holiday, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        start = timezone.make_aware(datetime.combine(obj.date, time.min))
        end = timezone.make_aware(datetime.combine(obj.date + timedelta(days=1), time.min))
        clashes.warn(request, clashes.between(start, end), "there are bookings on that day.")


@admin.register(Review)
class ReviewAdmin(admin.ModelAdmin):
    formfield_overrides = NATIVE_PICKERS
    list_display = ("author", "place", "rating", "service", "date", "published")
    list_editable = ("published",)
    list_filter = ("published", "rating", "service")
    list_select_related = ("service",)
    search_fields = ("author", "body")
    date_hierarchy = "date"


@admin.register(ServiceArea)
class ServiceAreaAdmin(admin.ModelAdmin):
    list_display = ("prefix", "name")
    search_fields = ("prefix", "name")
