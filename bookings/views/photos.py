"""Photos of a visit: sent, seen and removed by its customer behind the signed link."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from bookings.forms import PhotosField, photos_input
from bookings.messaging import visit_photos
from bookings.models import Booking, VisitPhoto
from bookings.ratelimit import limits
from bookings.scheduling import corrections
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link


class PhotosForm(forms.Form):
    use_required_attribute = False  # the page says what is missing, with and without script
    help_text = "Up to five. Your location is removed from them."

    photos = PhotosField(label="Photos", error_messages={"required": "Choose a photo."}, widget=photos_input())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["photos"].help_text = self.help_text


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, booking: Booking) -> HttpResponse:
    """GET shows what was sent; POST adds `photos`, or removes the one that `remove` names. 422 for what is no photo."""
    if not corrections.is_correctable(booking, timezone.now()):
        return redirect(booking)
    if request.method != "POST":
        return _page(request, booking, PhotosForm())
    if pause := limits.wait(request, limits.Purpose.CONTACT):
        return wait_a_while(request, pause, "bookings/photos.html", _context(booking, PhotosForm()))
    if remove := request.POST.get("remove", ""):
        booking.photos.from_customer().filter(pk=int(remove[:18]) if remove.isdecimal() else 0).delete()
        return redirect("booking_photos", booking.link_token)
    form = PhotosForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            visit_photos.add(booking=booking, jpegs=form.cleaned_data["photos"])
            return redirect("booking_photos", booking.link_token)
        except visit_photos.TooManyPhotos:
            form.add_error("photos", visit_photos.TOO_MANY)
    limits.give_back(request, limits.Purpose.CONTACT)
    return _page(request, booking, form, 422)


@by_link
@require_safe
def own(request: HttpRequest, booking: Booking) -> HttpResponse:
    """One of them (`?photo=`), for the customer."""
    pk = request.GET.get("photo", "")
    return jpeg(get_object_or_404(booking.photos.from_customer(), pk=int(pk[:18]) if pk.isdecimal() else 0))


def jpeg(shown: VisitPhoto) -> HttpResponse:
    return HttpResponse(bytes(shown.jpeg), content_type="image/jpeg")


def _context(booking: Booking, form: PhotosForm) -> dict[str, object]:
    return {
        "booking": booking,
        "form": form,
        "photos": booking.photos.from_customer().defer("jpeg"),
        "wrong": form.is_bound,
    }


def _page(request: HttpRequest, booking: Booking, form: PhotosForm, status: int = 200) -> HttpResponse:
    return render(request, "bookings/photos.html", _context(booking, form), status=status)
