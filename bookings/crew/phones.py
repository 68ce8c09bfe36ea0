"""What a handyman switches on and off: his calendar's address, and notifications on his phone."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from bookings.messaging import push
from bookings.models import CalendarFeed, Handyman, PushSubscription


class PhoneForm(forms.Form):
    """What a browser says of itself when it is to be notified."""

    endpoint = forms.CharField(max_length=600)
    p256dh = forms.RegexField(r"^[\w-]{80,100}=*$")
    auth = forms.RegexField(r"^[\w-]{20,30}=*$")

    def clean_endpoint(self) -> str:
        endpoint: str = self.cleaned_data["endpoint"]
        if not push.is_known(endpoint):
            raise forms.ValidationError("The site does not know this push service.")
        return endpoint


@require_http_methods(["GET", "HEAD", "POST"])
def phone(request: HttpRequest, handyman: Handyman) -> HttpResponse:
    """GET shows what is on; POST `action` feed (with `names`), feed_off, push or push_off. 422 for anything else."""
    if request.method == "POST":
        done = _ACTIONS.get(request.POST.get("action", ""), _nothing)(request, handyman)
        if done:
            messages.success(request, done)
            return redirect("crew_phone")
    feed = CalendarFeed.objects.filter(handyman=handyman).first()
    context: dict[str, Any] = {
        "handyman": handyman,
        "section": "phone",
        "feed": feed,
        "address": feed and request.build_absolute_uri(reverse("crew_feed", args=[feed.token])),
        "push_key": push.public_key() if push.is_on() else "",
        "phones": handyman.subscriptions.count(),
        "problem": request.method == "POST",
    }
    return render(request, "crew/phone.html", context, status=422 if context["problem"] else 200)


def _feed(request: HttpRequest, handyman: Handyman) -> str:
    """A new address each time: whoever had the one before reads nothing any more."""
    with transaction.atomic():
        CalendarFeed.objects.filter(handyman=handyman).delete()
        CalendarFeed.objects.create(handyman=handyman, names="names" in request.POST)
    return "Your calendar has a new address. One that you gave out before stops working."


def _feed_off(request: HttpRequest, handyman: Handyman) -> str:
    CalendarFeed.objects.filter(handyman=handyman).delete()
    return "The address of your calendar stops working."


def _push(request: HttpRequest, handyman: Handyman) -> str:
    form = PhoneForm(request.POST)
    if not form.is_valid():
        return ""
    given = form.cleaned_data
    PushSubscription.objects.update_or_create(
        endpoint=given["endpoint"], defaults={"handyman": handyman, "p256dh": given["p256dh"], "auth": given["auth"]}
    )
    return "This phone is notified of new, moved and cancelled visits."


def _push_off(request: HttpRequest, handyman: Handyman) -> str:
    """This phone's, where it says which it is; else all of his."""
    endpoint = request.POST.get("endpoint", "")
    for each in handyman.subscriptions.all():
        if endpoint in ("", each.endpoint):
            each.delete()
    return "No notifications any more: changes come by e-mail, if the office has your address."


def _nothing(request: HttpRequest, handyman: Handyman) -> str:
    return ""


_ACTIONS = {"feed": _feed, "feed_off": _feed_off, "push": _push, "push_off": _push_off}
