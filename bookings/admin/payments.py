"""Deposits: looked up, and given back. Every step is in the booking's history; what Stripe reported is listed below."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from bookings import crew
from bookings.admin.audit import record, staff_user
from bookings.admin.office import OfficeAdmin
from bookings.admin.search import PeopleSearch
from bookings.models import Booking, Payment, StripeEvent, words_of_a_booking
from bookings.scheduling import deposits, errors

# A selection of more than this is a slip of the hand.
MOST_AT_ONCE = 20


class ToldInline(admin.TabularInline):
    """What Stripe reported of it, for reading only."""

    model = StripeEvent
    fields = readonly_fields = ("kind", "happened_at", "received_at", "event_id")
    verbose_name_plural = "reported by Stripe"
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("bookings.view_payment")


@admin.register(Payment)
class PaymentAdmin(PeopleSearch, OfficeAdmin):
    """Nobody edits money here; it is given back by the action."""

    list_display = ("reference", "amount", "status", "customer", "paid_at", "refunded_at")
    list_filter = ("status", "refund_reason")
    list_select_related = ("booking",)
    date_hierarchy = "created_at"
    search_fields = ("booking__reference", "booking__customer_name", "booking__customer_email", "intent_id")
    search_help_text = "What a booking is found by, or Stripe's payment id."
    found_by = words_of_a_booking("booking__")
    found_exactly = ("intent_id",)
    actions = ("refund",)
    inlines = (ToldInline,)
    fields = readonly_fields = (
        "visit", "amount", "status", "refund_reason", "session_id", "intent_id", "refund_id", "created_at", "paid_at",
        "refunded_at", "asked_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        return crew.visible(super().get_queryset(request), request.user, by="booking__handyman__user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        return False

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bookings.refund_payment")

    @admin.display(description="booking", ordering="booking__reference")
    def reference(self, payment: Payment) -> str:
        return payment.booking.reference

    @admin.display(description="amount", ordering="amount_pence")
    def amount(self, payment: Payment) -> str:
        return payment.amount

    @admin.display(description="customer", ordering="booking__customer_name")
    def customer(self, payment: Payment) -> str:
        return payment.booking.customer_name

    @admin.display(description="booking")
    def visit(self, payment: Payment) -> str:
        link = reverse("admin:bookings_booking_change", args=[payment.booking_id])
        return format_html('<a href="{}">{}, {}</a>', link, payment.booking.reference, payment.booking.customer_name)

    def get_urls(self) -> list[URLPattern]:
        own = [path("refund/", self.admin_site.admin_view(self.refund_view), name="bookings_payment_refund")]
        return own + super().get_urls()

    @admin.action(description="Refund and tell the customers ...", permissions=["refund"])
    def refund(self, request: HttpRequest, queryset: QuerySet[Payment]) -> HttpResponse:
        """Ask first: money that has left cannot be called back."""
        chosen = ",".join(str(pk) for pk in queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])
        return redirect(f"{reverse('admin:bookings_payment_refund')}?ids={chosen}")

    def refund_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows what is about to be refunded, POST refunds it."""
        if not self.has_refund_permission(request):
            raise PermissionDenied
        ids = [int(pk) for pk in request.GET.get("ids", "").split(",") if pk.isdecimal()][:MOST_AT_ONCE]
        chosen = self.get_queryset(request).filter(pk__in=ids).select_related("booking")
        if request.method == "POST":
            bookings = Booking.objects.filter(payment__in=chosen)
            with self.as_shown(request, bookings, chosen) as as_shown:
                if as_shown:
                    self._refund(request, chosen)
            return redirect("admin:bookings_payment_changelist" if as_shown else request.get_full_path())
        context = self.admin_site.each_context(request) | {
            "title": "Refund and tell the customers",
            "opts": self.opts,
            "chosen": [payment for payment in chosen if payment.is_kept],
            "others": [payment for payment in chosen if not payment.is_kept],
        }
        return TemplateResponse(request, "admin/bookings/payment/refund.html", context)

    def _refund(self, request: HttpRequest, chosen: QuerySet[Payment]) -> None:
        for payment in chosen:
            try:
                deposits.refund(payment=payment, user=staff_user(request))
            except errors.NotPossible:
                said = f"{payment.booking.reference} is not refunded: {payment.get_status_display().lower()}."
                messages.error(request, said)
            else:
                record(request, [payment, payment.booking], "refund ordered")
                messages.success(request, f"{payment.booking.reference}: the deposit is on its way back.")
