"""CSV files that are safe to open in a spreadsheet."""

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from import_export import resources
from import_export.admin import ExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV

from bookings import money
from bookings.admin.audit import record_export
from bookings.models import Booking, ContactMessage

# A cell that starts so is taken for a formula (OWASP, "CSV Injection"). A plain number is left alone.
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def inert(cell: Any) -> str:
    """The cell's text, with an apostrophe before what a spreadsheet would calculate.

    The library's own escape removes a leading "=" and leaves "+", "-" and "@" as they are.
    """
    text = "" if cell is None else str(cell)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


class SafeCSV(CSV):
    CONTENT_TYPE = "text/csv; charset=utf-8"

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        for index, row in enumerate(list(dataset)):
            dataset[index] = [inert(cell) for cell in row]
        return str(super().export_data(dataset, **kwargs))


class CSVExport(ExportMixin):
    """A change list whose "Export" gives what is listed (filters and search kept) as CSV to who may change it."""

    export_formats = (SafeCSV,)
    skip_export_form = True
    to_encoding = "utf-8-sig"  # the mark by which Excel knows UTF-8

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_change_permission(request))

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any) -> Any:
        record_export(request, queryset)
        return super().get_export_data(file_format, request, queryset, **kwargs)


class BookingResource(resources.ModelResource):
    """A booking as a row, with service and price of its first job. Times are the business's wall clock."""

    service = Field(attribute="service__name")
    handyman = Field(attribute="handyman__name")
    status = Field(attribute="get_status_display")
    starts_at = Field()
    ends_at = Field()
    created_at = Field()
    price = Field()
    jobs = Field(attribute="what")
    total_from = Field()
    currency = Field()

    class Meta:
        model = Booking
        fields = (
            "reference", "status", "starts_at", "ends_at", "service", "handyman", "customer_name", "customer_email",
            "customer_phone", "address", "postcode", "notes", "pricing", "price", "currency", "created_at",
            "jobs", "total_from",
        )  # fmt: skip
        export_order = fields

    def dehydrate_starts_at(self, booking: Booking) -> str:
        return local(booking.starts_at)

    def dehydrate_ends_at(self, booking: Booking) -> str:
        return local(booking.ends_at)

    def dehydrate_created_at(self, booking: Booking) -> str:
        return local(booking.created_at)

    def dehydrate_price(self, booking: Booking) -> str:
        return f"{money.exact(booking.price_pence):f}"

    def dehydrate_total_from(self, booking: Booking) -> str:
        """The least that all jobs cost; nothing where none has a price yet."""
        return f"{money.exact(booking.total.least):f}" if booking.total.has_price else ""

    def dehydrate_currency(self, booking: Booking) -> str:
        return settings.BUSINESS_CURRENCY


class MessageResource(resources.ModelResource):
    """A message as a row."""

    topic = Field(attribute="get_topic_display")
    handled_by = Field(attribute="handled_by__username")
    created_at = Field()
    handled_at = Field()

    class Meta:
        model = ContactMessage
        fields = (
            "created_at", "topic", "name", "email", "phone", "body", "suspected_spam", "handled_at", "handled_by",
        )  # fmt: skip
        export_order = fields

    def dehydrate_created_at(self, message: ContactMessage) -> str:
        return local(message.created_at)

    def dehydrate_handled_at(self, message: ContactMessage) -> str:
        return local(message.handled_at) if message.handled_at else ""


def local(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")
