"""Writing to the business.

Suspected spam is kept and flagged; its sender sees the same page as anybody else. Photos are for staff alone.
"""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import kept_pages
from bookings.forms import ContactForm
from bookings.messaging import contact as inbox
from bookings.messaging.spam import looks_like_spam, opened_stamp
from bookings.models import ContactMessage, MessagePhoto, new_idempotency_key
from bookings.ratelimit import limits
from bookings.views.errors import wait_a_while


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def contact(request: HttpRequest) -> HttpResponse:
    """The form; `?topic=` chooses its topic. What was typed is kept: 422 if something is missing, 429 if too often."""
    if request.method != "POST":
        topic = request.GET.get("topic", "")
        form = ContactForm(
            initial={
                "key": new_idempotency_key(),
                "opened": opened_stamp(),
                "topic": topic if topic in ContactMessage.Topic else ContactMessage.Topic.QUESTION,
            }
        )
        return kept_pages.answer(
            request,
            "bookings/contact.html",
            kept=lambda: {"form": form, "section": "contact"},
            live=lambda: {"form": form},
            version=str,
        )
    if seconds := limits.wait(request, limits.Purpose.CONTACT):
        kept = {"form": ContactForm(initial=request.POST.dict()), "section": "contact"}
        return wait_a_while(request, seconds, "bookings/contact.html", kept)
    form = ContactForm(request.POST, request.FILES)
    if not form.is_valid():
        limits.give_back(request, limits.Purpose.CONTACT)
        return render(request, "bookings/contact.html", {"form": form, "wrong": True, "section": "contact"}, status=422)
    inbox.receive(**form.message(), suspected_spam=looks_like_spam(**form.evidence()))
    return redirect("contact_thanks")


@require_safe
def thanks(request: HttpRequest) -> HttpResponse:
    return render(request, "bookings/contact_thanks.html", {"section": "contact"})


@permission_required("bookings.view_contactmessage", raise_exception=True)
@require_safe
@never_cache
def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """A photo of a message, for staff who may read it; the URLconf asks for the whole login, as for the admin."""
    return HttpResponse(bytes(get_object_or_404(MessagePhoto, pk=pk).jpeg), content_type="image/jpeg")
