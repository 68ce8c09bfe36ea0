"""The inbox: what visitors wrote, and who has answered."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from bookings import phone
from bookings.admin import answers, quotes
from bookings.admin.audit import record, staff_user
from bookings.admin.customers import CustomerAction
from bookings.admin.export import CSVExport, MessageResource
from bookings.admin.office import OfficeAdmin
from bookings.admin.search import PeopleSearch
from bookings.messaging import contact
from bookings.models import WORDS_OF_A_MESSAGE, ContactMessage, Quote
from bookings.scheduling import quotes as scheduled


class FolderFilter(admin.SimpleListFilter):
    """Open messages unless another folder is asked for, as in a mail program."""

    title = "folder"
    parameter_name = "folder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (
            ("handled", "Handled"),
            ("quoted", "Quotes under way"),
            ("accepted", "Accepted quotes, no time yet"),
            ("spam", "Suspected spam"),
            ("all", "All"),
        )

    def choices(self, changelist: Any) -> Any:
        chosen = self.value()
        yield {
            "selected": chosen is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": "Open",
        }
        for value, title in self.lookup_choices:
            query_string = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": chosen == value, "query_string": query_string, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> QuerySet[ContactMessage]:
        match self.value():
            case "handled":
                return queryset.filter(handled_at__isnull=False, suspected_spam=False)
            case "quoted":
                return queryset.filter(pk__in=Quote.objects.under_way(timezone.now()).order_by().values("message"))
            case "accepted":
                return queryset.filter(pk__in=Quote.objects.without_a_time().values("message"))
            case "spam":
                return queryset.filter(suspected_spam=True)
            case "all":
                return queryset
            case _:
                return queryset.filter(handled_at__isnull=True, suspected_spam=False)


@admin.register(ContactMessage)
class ContactMessageAdmin(PeopleSearch, CSVExport, CustomerAction, OfficeAdmin):
    """Messages are read, answered and marked, never written or deleted here."""

    form = quotes.MessageForm

    list_display = ("name", "topic", "beginning", "received", "handled")
    list_filter = (FolderFilter, "topic")
    list_select_related = ("handled_by",)
    search_fields = ("name", "email", "phone", "body")
    search_help_text = "In the chosen folder: name, e-mail, phone or text, or how they begin."
    found_by = WORDS_OF_A_MESSAGE
    date_hierarchy = "created_at"
    resource_classes = (MessageResource,)
    actions = ("mark_handled", "reopen", "mark_spam", "not_spam", "customer_data")
    fields = (
        "name",
        "reply_to",
        "call",
        "topic",
        "body",
        "photos",
        "received",
        "handled",
        "suspected_spam",
        "answered",
        "quoted",
    )
    readonly_fields = fields

    def get_fields(self, request: HttpRequest, obj: ContactMessage | None = None) -> Any:
        """With room for an answer, for who may write one; suspected spam is to be judged first."""
        answerable = obj is not None and not obj.suspected_spam and self.has_change_permission(request, obj)
        return (*self.fields, "answer", "key") if answerable else self.fields

    def get_fieldsets(self, request: HttpRequest, obj: ContactMessage | None = None) -> Any:
        """With room for a quote where there is some for an answer."""
        fields = self.get_fields(request, obj)
        first = (None, {"fields": fields})
        return [first, *quotes.FIELDSETS] if "answer" in fields else [first]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ContactMessage | None = None) -> bool:
        return False

    @admin.display(description="message")
    def beginning(self, message: ContactMessage) -> str:
        words = " ".join(message.body.split())
        return words if len(words) <= 90 else words[:89] + "…"

    @admin.display(description="received", ordering="created_at")
    def received(self, message: ContactMessage) -> str:
        return timezone.localtime(message.created_at).strftime("%a %d %b %Y, %H:%M")

    @admin.display(description="handled")
    def handled(self, message: ContactMessage) -> str:
        if message.handled_at is None:
            return "-"
        when = timezone.localtime(message.handled_at).strftime("%d %b %H:%M")
        return f"{when}, {message.handled_by}" if message.handled_by else when

    @admin.display(description="photos")
    def photos(self, message: ContactMessage) -> str:
        pages = [reverse("message_photo", args=[pk]) for pk in message.photos.values_list("pk", flat=True)]
        picture = '<a href="{0}"><img src="{0}" alt="Photo sent with the message" height="160" loading="lazy"></a> '
        return format_html_join("", picture, ((page,) for page in pages)) or "-"

    @admin.display(description="answered")
    def answered(self, message: ContactMessage) -> str:
        return answers.thread(message) or "-"

    @admin.display(description="quoted")
    def quoted(self, message: ContactMessage) -> str:
        return quotes.thread(message) or "-"

    @admin.display(description="e-mail")
    def reply_to(self, message: ContactMessage) -> str:
        return format_html('<a href="mailto:{0}">{0}</a>', message.email)

    @admin.display(description="phone")
    def call(self, message: ContactMessage) -> str:
        link = phone.uri(message.phone)
        return format_html('<a href="{}">{}</a>', link, message.phone) if link else message.phone or "-"

    @admin.action(description="Mark as handled", permissions=["change"])
    def mark_handled(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> None:
        self._mark(
            request, queryset.filter(handled_at=None), "handled", handled_at=timezone.now(), handled_by=request.user
        )

    @admin.action(description="Open again", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> None:
        self._mark(request, queryset.exclude(handled_at=None), "open again", handled_at=None, handled_by=None)

    @admin.action(description="Move to suspected spam", permissions=["change"])
    def mark_spam(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> None:
        self._mark(request, queryset.filter(suspected_spam=False), "moved to suspected spam", suspected_spam=True)

    @admin.action(description="Not spam: move to the inbox", permissions=["change"])
    def not_spam(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> None:
        self._mark(request, queryset.filter(suspected_spam=True), "moved to the inbox", suspected_spam=False)

    def buttons_for(self, message: ContactMessage) -> dict[str, str]:
        """The actions that make sense for one message, by name, with their titles."""
        handled = {"reopen": "Open again"} if message.handled_at else {"mark_handled": "Mark as handled"}
        if message.suspected_spam:
            return {"not_spam": "Not spam"} | handled
        sending = {answers.SEND: "Send the answer", quotes.SEND: "Send the quote"}
        withdraw = {quotes.WITHDRAW: "Withdraw the quote"} if scheduled.current(message) else {}
        return sending | withdraw | handled | {"mark_spam": "It is spam"}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        message = kwargs.get("obj")
        if message and self.has_change_permission(request, message):
            context["buttons"] = self.buttons_for(message).items()
        context |= {"show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: ContactMessage, form: Any, change: bool) -> None:
        """Send the answer or the quote, if that is what was asked for; what the buttons do comes after."""
        if form.sends:
            typed = form.cleaned_data
            contact.answer(message=obj, body=typed["answer"], user=staff_user(request), key=typed["key"])
            messages.success(request, "Your answer is on its way, and the message is handled.")
        elif form.sends_quote:
            form.quote(staff_user(request))
            messages.success(request, "Your quote is on its way, and the message is handled.")
        elif form.withdraws and (quote := scheduled.current(obj)):
            scheduled.withdraw(quote=quote)
            messages.success(request, "The quote is withdrawn. Its customer reads so behind the link.")

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        done = "Answered." if form.sends else "Quoted." if form.sends_quote else "Withdrew the quote." * form.withdraws
        return done or super().construct_change_message(request, form, formsets, add)

    def response_change(self, request: HttpRequest, obj: ContactMessage) -> HttpResponse:
        for name in self.buttons_for(obj):
            if name in request.POST and name in self.actions:
                getattr(self, name)(request, ContactMessage.objects.filter(pk=obj.pk))
        return redirect("admin:bookings_contactmessage_changelist")

    def _mark(self, request: HttpRequest, queryset: QuerySet[ContactMessage], done: str, **values: Any) -> None:
        with transaction.atomic():
            marked = list(queryset.select_for_update(of=("self",)))
            ContactMessage.objects.filter(pk__in=[message.pk for message in marked]).update(**values)
            record(request, marked, done)
        if marked:
            messages.success(request, f"{len(marked)} message{pluralize(len(marked))} {done}.")
        else:
            messages.info(request, "Nothing to do: that had been done already.")
