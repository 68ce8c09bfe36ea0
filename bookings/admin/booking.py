"""Bookings: found, changed, taken on the phone. Every change of time or status goes through bookings.scheduling."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join

from bookings import crew, scheduling, text
from bookings.admin import pages, quotes
from bookings.admin.audit import record, staff_user
from bookings.admin.catalogue import price
from bookings.admin.customers import CustomerAction
from bookings.admin.export import BookingResource, CSVExport
from bookings.admin.forms import CUSTOMER_FIELDS, STAFF, BookingForm, VisitForm, refusal
from bookings.admin.lines import JobFilter, LineInline
from bookings.admin.office import InlineForReading, OfficeAdmin
from bookings.admin.phone_booking import book
from bookings.admin.reports import ReportInline
from bookings.admin.search import PeopleSearch
from bookings.models import WORDS_OF_A_BOOKING, Booking, BookingEvent, Payment, Status
from bookings.phrases import price as said_price
from bookings.scheduling import corrections
from bookings.slots.calendars import midnight

# A selection of more than this is a slip of the hand.
MOST_AT_ONCE = 100
NOTE_LENGTH = 200


class WhenFilter(admin.SimpleListFilter):
    title = "when"
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("today", "Today"), ("tomorrow", "Tomorrow"), ("week", "Next 7 days"), ("todo", "Past, not closed"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Booking]) -> QuerySet[Booking]:
        begins = midnight(timezone.localdate())
        days = {"today": (0, 1), "tomorrow": (1, 2), "week": (0, 7)}
        match self.value():
            case "today" | "tomorrow" | "week" as chosen:
                first, end = days[chosen]
                span = (begins + timedelta(days=first), begins + timedelta(days=end))
                return queryset.filter(starts_at__gte=span[0], starts_at__lt=span[1]).order_by("starts_at")
            case "todo":
                return queryset.filter(status=Status.CONFIRMED, ends_at__lt=timezone.now())
            case _:
                return queryset


class HistoryInline(InlineForReading):
    """What happened to the booking, for reading only."""

    model = BookingEvent
    fields = readonly_fields = ("at", "kind", "by", "user", "note")
    verbose_name_plural = "history"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BookingEvent]:
        return super().get_queryset(request).select_related("user")


@admin.register(Booking)
class BookingAdmin(PeopleSearch, CSVExport, CustomerAction, OfficeAdmin):
    """Bookings are cancelled, never deleted: their history is the business's memory."""

    list_display = ("when", "state", "customer", "customer_phone", "jobs", "handyman", "reference")
    list_display_links = ("when", "reference")
    list_filter = (WhenFilter, "status", "handyman", JobFilter)
    list_select_related = ("service", "handyman")
    list_per_page = 50
    date_hierarchy = "starts_at"
    search_fields = ("reference", "customer_name", "customer_email", "customer_phone", "address", "postcode")
    search_help_text = "Reference, name, e-mail, phone, address or postcode, or how they begin."
    found_by = WORDS_OF_A_BOOKING
    actions = ("confirm", "complete", "no_show", "undo", "send_again", "cancel", "customer_data")
    inlines = (HistoryInline, ReportInline)
    resource_classes = (BookingResource,)
    change_list_template = "admin/bookings/booking/change_list.html"
    readonly_fields = (
        *("reference", "what", "state", "times", "agreed_price", "quoted", "deposit", "proof", "created_at", "photos"),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Without the side bar: seven columns want the width."""
        return super().changelist_view(request, {"is_nav_sidebar_enabled": False} | (extra_context or {}))

    def get_fieldsets(self, request: HttpRequest, obj: Booking | None = None) -> Any:
        customer = ("Customer", {"fields": CUSTOMER_FIELDS})
        made = (*quotes.field_of(request, obj), "deposit", "proof", "created_at", "photos")
        if not self.has_change_permission(request, obj):
            visit = ("reference", "state", "what", "handyman", "times", "agreed_price", *made)
            return ((None, {"fields": visit}), customer)
        total = ("agreed_price",) if obj and obj.lines.exists() else ()
        return (
            (
                None,
                {
                    "fields": (
                        "reference",
                        "state",
                        "what",
                        *total,
                        "times",
                        "starts",
                        "who",
                        "however_far",
                        "add",
                        *made,
                    )
                },
            ),
            customer,
            ("Price", {"fields": ("pricing", "price_pence", "minimum_minutes")}),
        )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return book(request, self)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = BookingForm
        form = cast(type[VisitForm], super().get_form(request, obj, change, **kwargs))
        form.user = staff_user(request)
        return form

    def save_model(self, request: HttpRequest, obj: Booking, form: Any, change: bool) -> None:
        """Write the corrected details alone, lest a status that changed meanwhile be written back."""
        details = {name: getattr(obj, name) for name in form.changed_data if name in corrections.FIELDS}
        if details:
            user = staff_user(request)
            corrections.correct(booking=obj, details=details, by=STAFF, user=user, however_far=True)  # they were warned
        price = [name for name in form.changed_data if name in ("pricing", "price_pence", "minimum_minutes")]
        if price:
            obj.save(update_fields=price)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        return crew.visible(super().get_queryset(request).prefetch_related("lines"), request.user)

    def get_inlines(self, request: HttpRequest, obj: Booking | None) -> Any:
        """A visit of one job has no table of others."""
        return (LineInline, *self.inlines) if obj and obj.lines.exists() else self.inlines

    def has_view_permission(self, request: HttpRequest, obj: Booking | None = None) -> bool:
        return super().has_view_permission(request, obj) or request.user.has_perm(crew.OWN)

    def has_change_permission(self, request: HttpRequest, obj: Booking | None = None) -> bool:
        """What was erased is not written again."""
        return super().has_change_permission(request, obj) and (obj is None or obj.erased_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Booking | None = None) -> bool:
        return False

    @admin.display(description="when", ordering="starts_at")
    def when(self, booking: Booking) -> str:
        start = timezone.localtime(booking.starts_at)
        return date_format(start, "D j M, H:i" if start.year == timezone.localdate().year else "D j M Y, H:i")

    @admin.display(description="customer", ordering="customer_name")
    def customer(self, booking: Booking) -> str:
        return f"{booking.customer_name}, {booking.postcode}"

    @admin.display(description="status", ordering="status")
    def state(self, booking: Booking) -> str:
        return format_html('<span class="status {}">{}</span>', booking.status, booking.get_status_display())

    @admin.display(description="job", ordering="service__name")
    def jobs(self, booking: Booking) -> str:
        return booking.title

    @admin.display(description="jobs")
    def what(self, booking: Booking) -> str:
        return booking.what

    @admin.display(description="visit")
    def times(self, booking: Booking) -> str:
        moments = (booking.starts_at, booking.arrival_until, booking.planned_at, booking.ends_at)
        start, until, planned, end = (timezone.localtime(at) for at in moments)
        window = f"{start:%a %d %b %Y}, arrival {start:%H:%M}-{until:%H:%M}"
        unknown = Booking.objects.filter(pk=booking.pk).of_unknown_place().exists()
        why = "; its postcode is not known, so the buffer stands for the way" if unknown else ""
        return f"{window}, planned for {planned:%H:%M}, done by {end:%H:%M} if begun then{why}"

    @admin.display(description="price")
    def agreed_price(self, booking: Booking) -> str:
        return said_price(booking) if booking.has_several_jobs else price(booking)

    @admin.display(description="quote")
    def quoted(self, booking: Booking) -> str:
        return quotes.link(booking)

    @admin.display(description="photos")
    def photos(self, booking: Booking) -> str:
        sent = booking.photos.values_list("pk", "handyman__name")
        pictures = ((reverse("visit_photo", args=[pk]), name or "the customer") for pk, name in sent)
        picture = '<a href="{0}" title="From {1}"><img src="{0}" alt="Photo from {1}" height="160" loading="lazy"></a> '
        return format_html_join("", picture, pictures) or "-"

    @admin.display(description="e-mail")
    def proof(self, booking: Booking) -> str:
        if not booking.customer_email:
            return "None"
        proven_at = booking.proven_at and timezone.localtime(booking.proven_at)
        return f"Proven {date_format(proven_at, 'D j M Y, H:i')}" if proven_at else "E-mail not proven"

    @admin.display(description="deposit")
    def deposit(self, booking: Booking) -> str:
        payment = Payment.objects.filter(booking=booking).first()
        if payment is None:
            return "None"
        link = reverse("admin:bookings_payment_change", args=[payment.pk])
        return format_html('<a href="{}">{}</a>', link, payment)

    def get_urls(self) -> list[URLPattern]:
        return pages.urls(self, cancel=self.cancel_view, done=_done) + super().get_urls()

    def view_on_site(self, obj: Booking) -> str:
        """The read-only preview. The customer's own link acts, and would make them the author of what staff do."""
        return reverse("admin:bookings_booking_preview", args=[obj.pk])

    @admin.action(description="Confirm", permissions=["change"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        self.apply(request, queryset, "confirmed", partial(scheduling.confirm, by=STAFF))

    @admin.action(description="Mark as completed", permissions=["change"])
    def complete(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        self.apply(request, queryset, "completed", scheduling.complete)

    @admin.action(description="Mark as no-show", permissions=["change"])
    def no_show(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        self.apply(request, queryset, "marked as no-show", scheduling.no_show)

    @admin.action(description="Undo completed, no-show or cancelled, within a day", permissions=["change"])
    def undo(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        self.apply(request, queryset, "confirmed again", scheduling.undo)

    @admin.action(description="Send the e-mail with the link again", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        self.apply(request, queryset, "sent again", corrections.send_again)

    @admin.action(description="Cancel and notify the customers ...", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Booking]) -> HttpResponse:
        """Ask first: the customers get an e-mail that cannot be called back."""
        chosen = ",".join(str(pk) for pk in queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])
        return redirect(f"{reverse('admin:bookings_booking_cancel')}?ids={chosen}")

    def cancel_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows what is about to be cancelled, POST cancels it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        ids = [int(pk) for pk in request.GET.get("ids", "").split(",") if pk.isdecimal()][:MOST_AT_ONCE]
        chosen = self.get_queryset(request).filter(pk__in=ids).select_related("service", "handyman")
        if request.method == "POST":
            note, keep = text.line(request.POST.get("note", ""))[:NOTE_LENGTH], "keep" in request.POST
            asked = "asked" in request.POST
            cancel = partial(scheduling.cancel, by=STAFF, note=note, asked=asked, keep_deposit=keep)
            with self.as_shown(request, chosen) as as_shown:
                if as_shown:
                    self.apply(request, chosen, "cancelled", cancel)
            return redirect("admin:bookings_booking_changelist" if as_shown else request.get_full_path())
        context = self.admin_site.each_context(request) | {
            "title": "Cancel and notify the customers",
            "opts": self.opts,
            "chosen": chosen.prefetch_related("lines").order_by("starts_at"),
            "deposits": Payment.objects.filter(booking__in=chosen, status=Payment.Status.PAID).exists(),
            "all_told": not chosen.filter(Q(status=Status.HELD) | Q(customer_email="")).exists(),
            "note_length": NOTE_LENGTH,
        }
        return TemplateResponse(request, "admin/bookings/booking/cancel.html", context)

    def apply(
        self, request: HttpRequest, queryset: QuerySet[Booking], done: str, change: Callable[..., Booking]
    ) -> None:
        """Change each booking by itself: one that is refused does not stop the others, and is named with its reason."""
        changed: list[Booking] = []
        refused: list[tuple[Booking, str]] = []
        for booking in queryset.select_related("service", "handyman").order_by("starts_at"):
            try:
                changed.append(change(booking=booking, user=request.user))
            except scheduling.SchedulingError as error:
                refused.append((booking, refusal(error)))
        record(request, changed, done)
        if changed:
            messages.success(request, f"{len(changed)} booking{pluralize(len(changed))} {done}.")
        for booking in changed:
            is_news = booking.status in (Status.CONFIRMED, Status.CANCELLED) and booking.ends_at > timezone.now()
            if is_news and not booking.customer_email:
                messages.warning(
                    request, f"Call {booking.customer_name}, {booking.customer_phone}: they have no e-mail address."
                )
        for booking, why in refused:
            link = reverse("admin:bookings_booking_change", args=[booking.pk])
            said = f"{booking.customer_name}, {self.when(booking)} ({booking.get_status_display().lower()})"
            messages.error(request, format_html('<a href="{}">{}</a> not {}: {}', link, said, done, why))

    def buttons_for(self, booking: Booking) -> dict[str, str]:
        """The actions that make sense for one booking now, by name, with their titles."""
        buttons = {}
        if booking.status == Status.HELD:
            buttons["confirm"] = "Save and confirm"
        if booking.status == Status.CONFIRMED and booking.starts_at <= timezone.now():
            buttons |= {"complete": "Save as completed", "no_show": "Save as no-show"}
        if booking.customer_email and corrections.is_correctable(booking, timezone.now()):
            buttons["send_again"] = "Save and send the e-mail again"
        if booking.is_open:
            buttons["cancel"] = "Cancel the booking ..."
        until = scheduling.undoable_until(booking)
        if until is not None and timezone.now() <= until:
            buttons["undo"] = f"Undo: it is not {booking.get_status_display().lower()}"
        return buttons

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        booking = kwargs.get("obj")
        if request.method == "POST" and booking:
            context["adminform"].form.take_back()
        if booking and self.has_change_permission(request, booking):
            context["buttons"] = self.buttons_for(booking).items()
        return super().render_change_form(request, context, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: Booking) -> HttpResponse:
        """Save, and then do what the pressed button says."""
        for name in self.buttons_for(obj):
            if name in request.POST:
                chosen = self.get_queryset(request).filter(pk=obj.pk)
                return getattr(self, name)(request, chosen) or redirect("admin:bookings_booking_change", obj.pk)
        return super().response_change(request, obj)


def _done(request: HttpRequest, of: BookingAdmin, booking: Booking) -> HttpResponse:
    """Mark a visit as completed from a page that shows it, and go back to today."""
    chosen = Booking.objects.filter(pk=booking.pk)
    with of.as_shown(request, chosen) as as_shown:
        if as_shown:
            of.apply(request, chosen, "completed", scheduling.complete)
    return redirect("admin:index")
