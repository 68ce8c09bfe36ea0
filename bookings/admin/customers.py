"""Giving out and erasing what is kept about a customer, from one of their bookings or messages."""

from io import BytesIO
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from bookings import crew
from bookings.admin.audit import record, staff_user
from bookings.admin.compared import SHOWN, shown
from bookings.admin.office import lock
from bookings.models import Booking, ContactMessage
from bookings.personal_data import archive, erasure, records

PERMISSION = "bookings.erase_customer"


class CustomerAction:
    """The action that leads from one chosen row to the page about its customer."""

    def has_erase_customer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    @admin.action(description="Export or erase the customer ...", permissions=["erase_customer"])
    def customer_data(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        if queryset.count() != 1:
            messages.error(request, "Choose one row: each customer has a page of their own.")
            return None
        chosen = queryset.get()
        return redirect(f"{reverse('admin:bookings_customer')}?{chosen._meta.model_name}={chosen.pk}")


def customer(request: HttpRequest) -> HttpResponse:
    """`?booking=` or `?contactmessage=` names a row, so that no address stands in a URL. POST exports or erases.

    Not for who sees his own visits only: the customer may have had others.
    """
    if not request.user.has_perm(PERMISSION) or crew.sees_own_only(request.user):
        raise PermissionDenied
    kept = _chosen(request)
    if request.method == "POST" and request.POST.get("do") == "export":
        return _export(kept)
    if request.method == "POST" and request.POST.get("do") == "erase":
        return _erase(request, kept)
    context = admin.site.each_context(request) | {
        "title": "What is kept about a customer",
        "kept": kept,
        "bookings": kept.bookings.select_related("service").prefetch_related("lines").order_by("starts_at"),
        "upcoming": kept.upcoming(timezone.now())
        .select_related("service")
        .prefetch_related("lines")
        .order_by("starts_at"),
        "messages_kept": kept.messages.order_by("created_at"),
    }
    return TemplateResponse(request, "admin/bookings/customer.html", context)


def _chosen(request: HttpRequest) -> records.Records:
    """The customer of the row; 404 when they are known no more."""
    for model, columns in ((Booking, ("customer_email", "reference")), (ContactMessage, ("email",))):
        pk = request.GET.get(str(model._meta.model_name), "")
        row = model._default_manager.filter(pk=int(pk[:18])).values_list(*columns).first() if pk.isdecimal() else None
        if row:
            try:
                return records.of(next(filter(None, row)))
            except ValueError:
                break
    raise Http404


def _export(kept: records.Records) -> HttpResponse:
    file = BytesIO()
    archive.write(kept.who, file)
    name = f"customer-{timezone.localdate()}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(file.getvalue(), content_type="application/zip", headers=headers)


@transaction.atomic
def _erase(request: HttpRequest, kept: records.Records) -> HttpResponse:
    bookings, letters = lock(kept.bookings), lock(kept.messages)
    if {shown(row) for row in (*bookings, *letters)} != set(request.POST.getlist(SHOWN)):
        messages.error(request, "Nothing was erased: there is something new. Look at it, and decide again.")
        return redirect(request.get_full_path())
    try:
        erased = erasure.erase(kept.who, cancel="cancel" in request.POST, user=staff_user(request))
    except erasure.UpcomingVisits as visits:
        messages.error(request, f"Nothing was erased: visits are still ahead ({visits}). Tick the box to cancel them.")
        return redirect(request.get_full_path())
    record(request, bookings, "personal data erased")
    LogEntry.objects.log_actions(staff_user(request).pk, letters, DELETION, "Erased with the customer.")
    messages.success(request, f"Erased: {erased.bookings} booking(s), {erased.messages} message(s).")
    if erased.cancelled:
        messages.warning(request, f"{erased.cancelled} visit(s) cancelled without an e-mail: tell the customer.")
    return redirect("admin:bookings_booking_changelist")
