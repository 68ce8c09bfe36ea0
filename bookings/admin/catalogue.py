"""What the business offers, where and when it works, and what customers said of it."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from bookings import crew, money
from bookings.admin import clashes
from bookings.admin.fields import NATIVE_PICKERS, MoneyField
from bookings.admin.office import OfficeAdmin
from bookings.models import LEAST_DEPOSIT, Handyman, Holiday, Priced, Review, Service, ServiceArea
from bookings.payments import amounts
from bookings.slots import calendars


@admin.display(description="price", ordering="price_pence")
def price(priced: Priced) -> str:
    """The price as staff say it, such as "£45 an hour"."""
    if priced.pricing == "quote":
        return f"Quote, {money.text(priced.price_pence)}" if priced.price_pence else "Quote"
    return money.text(priced.price_pence) + (" an hour" if priced.pricing == "hourly" else "")


class ServiceForm(forms.ModelForm):
    class Meta:
        model = Service
        fields = "__all__"  # noqa: DJ007 - staff edit the whole catalogue; the admin decides who is staff
        field_classes = {"price_pence": MoneyField, "deposit_pence": MoneyField}
        labels = {"price_pence": f"Price ({money.symbol()})", "deposit_pence": f"Deposit ({money.symbol()})"}
        help_texts = {
            "price_pence": "The fixed price, or the price of one hour. 0 for a quote.",
            "deposit_pence": "Paid online to book, and taken off the price. 0 for none.",
        }

    def clean(self) -> dict[str, Any]:
        """Judge the deposit beside its field; the constraint `service_deposit_within_price` would name none."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        deposit, step = data.get("deposit_pence") or 0, amounts.step(settings.BUSINESS_CURRENCY)
        if deposit and data.get("pricing") == "quote":
            self.add_error("deposit_pence", "A quote has no price yet, so it cannot ask for a deposit.")
        elif deposit and (deposit < LEAST_DEPOSIT or deposit > data.get("price_pence", deposit)):
            least, most = money.text(LEAST_DEPOSIT), "the price, or the price of one hour"
            self.add_error("deposit_pence", f"A deposit is at least {least} and at most {most}.")
        elif deposit % step:
            self.add_error("deposit_pence", f"Cards are charged in steps of {money.text(step)}.")
        return data


def warn_of_impossible(request: HttpRequest) -> None:
    """Name the services that customers see and cannot book, because nobody can be sent."""
    found = calendars.impossible()
    if found:
        links = format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            ((reverse("admin:bookings_service_change", args=[each.pk]), each.name) for each in found),
        )
        messages.warning(
            request,
            format_html(
                "Customers cannot book {}: no active handyman does it, or works long enough in one go. Give a "
                "handyman the skill or the hours, or make the service inactive.",
                links,
            ),
        )


@admin.register(Service)
class ServiceAdmin(OfficeAdmin):
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

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_view_or_change_permission(request):
            warn_of_impossible(request)
        return super().changelist_view(request, extra_context)

    def view_on_site(self, obj: Service) -> str:
        """The page that everybody sees."""
        return obj.get_absolute_url()


@admin.register(Holiday)
class HolidayAdmin(OfficeAdmin):
    formfield_overrides = NATIVE_PICKERS
    list_display = ("name", "date")
    date_hierarchy = "date"
    ordering = ("-date",)

    def save_model(self, request: HttpRequest, obj: Holiday, form: Any, change: bool) -> None:
        Handyman.objects.active().for_change()
        super().save_model(request, obj, form, change)
        clashes.warn(request, clashes.on_day(obj.date))


class ApprovalFilter(admin.SimpleListFilter):
    title = "approval"
    parameter_name = "approval"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("waits", "To approve"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(looked_at=None, published=False) if self.value() == "waits" else queryset


@admin.register(Review)
class ReviewAdmin(OfficeAdmin):
    """Whoever saves a review has looked at it: it is shown or not as the box says, and waits for nobody."""

    formfield_overrides = NATIVE_PICKERS
    list_display = ("author", "place", "rating", "service", "date", "published")
    list_editable = ("published",)
    list_filter = (ApprovalFilter, "published", "rating", "service")
    readonly_fields = ("visit",)
    list_select_related = ("service",)
    search_fields = ("author", "body")
    date_hierarchy = "date"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        """Those that staff have typed in belong to no visit."""
        every = super().get_queryset(request)
        return crew.visible(every, request.user, by="booking__handyman__user") | every.filter(booking=None)

    def save_model(self, request: HttpRequest, obj: Review, form: Any, change: bool) -> None:
        obj.looked_at = obj.looked_at or timezone.now()
        super().save_model(request, obj, form, change)

    @admin.display(description="visit")
    def visit(self, review: Review) -> str:
        if review.booking is None:
            return "-"
        address = reverse("admin:bookings_booking_change", args=[review.booking.pk])
        return format_html('<a href="{}">{}</a>', address, review.booking)


@admin.register(ServiceArea)
class ServiceAreaAdmin(OfficeAdmin):
    list_display = ("prefix", "name")
    search_fields = ("prefix", "name")
