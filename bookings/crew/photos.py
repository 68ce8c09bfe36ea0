"""Photos of the work: what customers have sent, and what handymen send from a visit."""

from typing import cast

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bookings import crew
from bookings.crew import days as diary
from bookings.messaging import visit_photos
from bookings.models import Booking, Handyman, VisitPhoto
from bookings.views.photos import PhotosForm, jpeg


class WorkPhotosForm(PhotosForm):
    """The customer's, in words for the handyman."""

    help_text = "Up to five of this visit. The place is removed from them."


@require_safe
@never_cache
def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """One photo of a visit; the URLconf asks for the whole login, as for the admin.

    A handyman gets those of his own visits, and those of the work at an earlier visit that is shown beside one of his.
    """
    user = cast(User, request.user)
    if not crew.may_see(user):
        raise PermissionDenied
    shown = get_object_or_404(VisitPhoto.objects.select_related("booking__handyman"), pk=pk)
    visit = shown.booking
    everything = not crew.sees_own_only(user) or visit.handyman.user_id == user.pk
    if everything or (shown.handyman_id is not None and diary.shows(user, visit)):
        return jpeg(shown)
    raise Http404


@require_http_methods(["GET", "HEAD", "POST"])
def photos(request: HttpRequest, handyman: Handyman, pk: int) -> HttpResponse:
    """What he has sent from a visit. POST adds `photos`, or removes the one of his that `remove` names.

    422 for what is no photo or one too many. A script that accepts JSON gets `said`: what is wrong, or nothing; and
    503 while no photos can be taken.
    """
    if request.method != "POST":
        booking = get_object_or_404(diary.of_handyman(handyman).filter(erased_at=None).with_jobs(), pk=pk)
        return _page(request, handyman, booking, WorkPhotosForm())
    if not crew.may_report(request.user):
        raise PermissionDenied
    booking = get_object_or_404(diary.reportable(handyman).filter(erased_at=None).with_jobs(), pk=pk)
    if remove := request.POST.get("remove", ""):
        number = int(remove[:18]) if remove.isdecimal() else 0
        booking.photos.filter(handyman=handyman, pk=number).delete()
        return _after(handyman, booking)
    form = WorkPhotosForm(request.POST, request.FILES)
    keep(form, booking, handyman)
    if request.headers.get("Accept") == "application/json":
        problem = next((str(each[0]) for each in form.errors.values()), "")
        wrong = 503 if form.has_error("photos", "busy") else 422
        return JsonResponse({"said": problem, "refused": ""}, status=wrong if problem else 200)
    return _page(request, handyman, booking, form, 422) if form.errors else _after(handyman, booking)


def keep(form: forms.Form, booking: Booking, handyman: Handyman) -> None:
    """Keep the `photos` of a form that is valid; one too many becomes an error of the form."""
    if form.is_valid():
        try:
            visit_photos.add(booking=booking, handyman=handyman, jpegs=form.cleaned_data["photos"])
        except visit_photos.TooManyPhotos:
            form.add_error("photos", visit_photos.TOO_MANY)


def _after(handyman: Handyman, booking: Booking) -> HttpResponse:
    """The page of his photos; his day, where the visit went to a colleague and shows him nothing any more."""
    mine = booking.handyman_id == handyman.pk
    return redirect("crew_photos", booking.pk) if mine else redirect("crew")


def _page(
    request: HttpRequest, handyman: Handyman, booking: Booking, form: WorkPhotosForm, status: int = 200
) -> HttpResponse:
    context = {
        "handyman": handyman,
        "booking": booking,
        "form": form,
        "photos": booking.photos.filter(handyman=handyman).defer("jpeg"),
        "may_report": crew.may_report(request.user),
    }
    return render(request, "crew/photos.html", context, status=status)
