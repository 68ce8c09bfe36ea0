"""My day: a handyman's own visits, and what he reports from them. GET shows, POST acts."""

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from bookings import crew
from bookings.crew import absences, photos
from bookings.crew import days as diary
from bookings.crew.forms import TapForm, TimeOffForm
from bookings.models import Booking, Handyman, VisitReport, new_idempotency_key
from bookings.scheduling import reports
from bookings.slots.calendars import midnight

View = Callable[..., HttpResponse]


def own(view: View) -> View:
    """Give the view the handyman that the user is. The login of staff first; 403 for whom no record names."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        handyman = Handyman.objects.active().filter(user=cast(User, request.user)).first()
        if handyman is None or not crew.may_see(request.user):
            return render(request, "crew/nobody.html", status=403)
        return view(request, handyman, *args, **kwargs)

    return admin.site.admin_view(wrapped)


@require_safe
def days(request: HttpRequest, handyman: Handyman) -> HttpResponse:
    """Today and tomorrow with all that is needed there, then the rest of the week in lines."""
    return render(request, "crew/days.html", _days(request, handyman))


@require_safe
def kept(request: HttpRequest, handyman: Handyman, which: str) -> HttpResponse:
    """Today or tomorrow by itself, as a phone keeps it.

    `Day-Ends` is when it is to be forgotten (seconds of the epoch), `Day-Next` the address of the day after.
    """
    if which not in ("today", "tomorrow"):
        raise Http404
    tomorrow = reverse("crew_kept", args=["tomorrow"])
    day = timezone.localdate() + diary.DAY * (which == "tomorrow")
    context = _days(request, handyman, day, 1) | {
        "kept_at": timezone.now(),
        "other_day": reverse("crew") if which == "tomorrow" else tomorrow,
    }
    response = render(request, "crew/days.html", context)
    response["Day-Ends"] = str(int(midnight(day + diary.DAY).timestamp()))
    if which == "today":
        response["Day-Next"] = tomorrow
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def visit(request: HttpRequest, handyman: Handyman, pk: int) -> HttpResponse:
    """One visit; POST reports from it. 422 for what is incomplete, 409 where the visit was changed meanwhile.

    A script that accepts JSON gets `said`, a sentence for the handyman, and `refused`, a code or nothing.
    Photos are kept even where the report comes too late.
    """
    if request.method != "POST":
        shown = diary.one(handyman, pk)
        if shown is None:
            raise Http404
        return render(request, "crew/visit.html", {"visit": shown, "handyman": handyman, **_rights(request)})
    if not crew.may_report(request.user):
        raise PermissionDenied
    return _report(request, handyman, pk)


def _report(request: HttpRequest, handyman: Handyman, pk: int) -> HttpResponse:
    booking = _one(diary.reportable(handyman).select_related("service"), pk).get()
    form = TapForm(request.POST, request.FILES)
    photos.keep(form, booking, handyman)
    if form.errors:
        again = " Choose the photos again: browsers do not keep them." if request.FILES else ""
        return _answer(request, handyman, booking, form.problem + again, 422, typed=request.POST.dict())
    made = reports.report(
        booking=booking,
        handyman=handyman,
        user=cast(User, request.user),
        tap=form.tap(),
        key=form.cleaned_data["key"],
    )
    return _answer(request, handyman, booking, said(made), 409 if made.refused else 200, refused=made.refused)


@require_http_methods(["GET", "HEAD", "POST"])
def time_off(request: HttpRequest, handyman: Handyman) -> HttpResponse:
    """What he has asked for and what became of it; POST asks for more. 422 for what cannot be read."""
    form = TimeOffForm(request.POST if request.method == "POST" else None, initial={"key": new_idempotency_key()})
    if request.method == "POST":
        if not crew.may_ask(request.user):
            raise PermissionDenied
        if form.is_valid():
            start, end = form.span()
            absences.ask(
                handyman=handyman, starts_at=start, ends_at=end, reason=form.cleaned_data["reason"], key=form.form_key
            )
            messages.success(request, "Asked. The office decides, and you see here what became of it.")
            return redirect("crew_time_off")
    context = {
        "form": form,
        "section": "time_off",
        "handyman": handyman,
        "requests": handyman.time_off_requests.all()[:20],
    }
    return render(request, "crew/time_off.html", context | _rights(request), status=422 if form.errors else 200)


def said(made: VisitReport) -> str:
    """What the handyman reads after his report."""
    if made.refused:
        why = _REFUSED.get(made.refused, _REFUSED["not_possible"])
        return f"{why} Your report is kept, and the office has been notified."
    if made.kind == VisitReport.Kind.ON_THE_WAY and not made.booking.customer_email:
        return "Noted. The customer has no e-mail address: call them."
    if made.kind == VisitReport.Kind.LATE:
        if made.told is None:
            return "Noted. Nobody is waiting for you today."
        if not made.told.customer_email:
            return f"Noted. {made.told.customer_name} is next and has no e-mail address: call them."
        return f"{made.told.customer_name} is next, and is notified by e-mail."
    return _SAID[made.kind]


_SAID: dict[str, str] = {
    VisitReport.Kind.ON_THE_WAY: "The customer is notified by e-mail.",
    VisitReport.Kind.ARRIVED: "Noted that you are there.",
    VisitReport.Kind.DONE: "Done.",
    VisitReport.Kind.NO_SHOW: "Noted that nobody was in.",
    VisitReport.Kind.COULD_NOT: "Noted, and the office has been notified.",
}
_REFUSED = {
    "not_yours": "This visit went to a colleague meanwhile.",
    "too_early": "The day of this visit has not begun.",
    "not_possible": "This visit was changed meanwhile: it is cancelled, or closed already.",
}


def _answer(
    request: HttpRequest,
    handyman: Handyman,
    booking: Booking,
    told: str,
    status: int,
    *,
    refused: str = "",
    typed: dict[str, str] | None = None,
) -> HttpResponse:
    """To a script as JSON; else the page of the day, with the sentence on top where something is wrong."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"said": told, "refused": refused}, status=status)
    if status == 200:
        messages.success(request, told)
        return redirect(f"{reverse('crew')}#visit-{booking.pk}")
    context = _days(request, handyman) | {"problem": told}
    for day in context["days"]:
        for each in day.visits:
            if each.booking.pk == booking.pk:
                each.typed = typed or {}
    return render(request, "crew/days.html", context, status=status)


def _days(
    request: HttpRequest, handyman: Handyman, first: date | None = None, count: int = 1 + diary.AHEAD
) -> dict[str, Any]:
    """So many days from the first, or from today."""
    today = timezone.localdate()
    return {
        "handyman": handyman,
        "today": today,
        "tomorrow": today + diary.DAY,
        "days": diary.days(handyman, first or today, count),
        **_rights(request),
    }


def _rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_report": crew.may_report(request.user), "may_ask": crew.may_ask(request.user)}


def _one(bookings: Any, pk: int) -> Any:
    found = bookings.filter(pk=pk)
    get_object_or_404(found.values("pk"))
    return found
