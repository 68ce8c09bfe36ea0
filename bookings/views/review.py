"""A customer reviews a visit, behind the booking's signed link; and the portraits of who comes."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from bookings.fields import LineField, ProseField
from bookings.messaging import reviews
from bookings.models import Booking, Portrait, Status
from bookings.ratelimit import limits
from bookings.views.errors import wait_a_while
from bookings.views.manage import by_link

_STARS = {5: "5, very good", 4: "4, good", 3: "3, all right", 2: "2, not good", 1: "1, bad"}


class ReviewForm(forms.Form):
    rating = forms.TypedChoiceField(
        label="How was it?",
        choices=list(_STARS.items()),
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose from 1 to 5.", "invalid_choice": "Choose from 1 to 5."},
    )
    body = ProseField(
        label="In your words",
        max_length=600,
        error_messages={"required": "Write a sentence or two."},
        widget=forms.Textarea({"rows": 4}),
    )
    author = LineField(
        label="How shall we call you?",
        help_text="Shown beside the review. A first name will do.",
        max_length=80,
        error_messages={"required": "Enter a name to show."},
        widget=forms.TextInput({"autocomplete": "given-name"}),
    )
    place = LineField(
        label="Where do you live? (optional)",
        help_text="Such as Peckham. Shown as well.",
        max_length=60,
        required=False,
    )


@by_link
@require_http_methods(["GET", "HEAD", "POST"])
def review(request: HttpRequest, booking: Booking) -> HttpResponse:
    """GET shows the form, or the review once there is one; POST keeps it. 422 for what is missing, 409 for a second."""
    if booking.status != Status.COMPLETED:
        return redirect(booking)
    if not reviews.can_be_written(booking):
        return _kept(request, booking)
    context = {"booking": booking}
    if request.method != "POST":
        form = ReviewForm(initial={"author": booking.customer_name.partition(" ")[0]})
        return render(request, "bookings/review.html", context | {"form": form})
    if pause := limits.wait(request, limits.Purpose.CONTACT):
        typed = ReviewForm(initial=request.POST.dict())
        return wait_a_while(request, pause, "bookings/review.html", context | {"form": typed})
    form = ReviewForm(request.POST)
    if not form.is_valid():
        limits.give_back(request, limits.Purpose.CONTACT)
        return render(request, "bookings/review.html", context | {"form": form, "wrong": True}, status=422)
    reviews.write(booking=booking, **form.cleaned_data)
    return redirect("booking_review", booking.link_token)


def _kept(request: HttpRequest, booking: Booking) -> HttpResponse:
    """The review that we have; and that it stands, where another one is sent after it."""
    kept, form = getattr(booking, "review", None), ReviewForm(request.POST)
    is_post = request.method == "POST" and kept is not None and form.is_valid()
    another = is_post and any(getattr(kept, name) != value for name, value in form.cleaned_data.items())
    context = {"booking": booking, "review": kept, "another": another}
    return render(request, "bookings/review_thanks.html", context, status=409 if another else 200)


@require_safe
@cache_control(public=True, max_age=31_536_000, immutable=True)
def portrait(request: HttpRequest, pk: int) -> HttpResponse:
    """A handyman's picture; another one has another address."""
    shown = get_object_or_404(Portrait.objects.filter(handyman__active=True), pk=pk)
    return HttpResponse(bytes(shown.jpeg), content_type="image/jpeg")
