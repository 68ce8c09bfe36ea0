"""Booking a visit: choose its jobs, a window, give the details, see the confirmation.

The form carries the price, deposit and duration that it shows; if they are others when it is posted, it asks again.

Bad input gets 422 and the form again with everything typed kept; a slot lost to a race gets 409; who comes too often
gets 429. The first two offer the nearest free windows. An address without a readable time leads back to the week.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from bookings import country, events, kept_pages, process_cache, scheduling
from bookings.basket import Basket
from bookings.forms import BookingForm, WeekForm, read_instant
from bookings.messaging import visit_photos
from bookings.models import MOST_OF_ONE, Booking, CatalogueChange, Handyman, Service, Status, new_idempotency_key
from bookings.ratelimit import limits
from bookings.scheduling import corrections, deposits
from bookings.slots import calendars, visits
from bookings.slots.rules import Reason
from bookings.slots.week import Week, week
from bookings.views import quotes
from bookings.views.errors import wait_a_while
from bookings.views.manage import held_page
from bookings.views.payment import to_stripe


@require_safe
@never_cache
@quotes.judged
def book(request: HttpRequest, slug: str) -> HttpResponse:
    """Step 2: a week's windows (`?day=` or `?week=`, `?handyman=`, `?postcode=`, `?job=slug:quantity` for each job)."""
    version = CatalogueChange.objects.version()
    basket = _basket(request, slug, version)
    if basket is None:
        return service_gone(request, slug)
    if seconds := limits.wait(request, limits.Purpose.AVAILABILITY):
        return wait_a_while(request, seconds)
    return kept_pages.answer(
        request,
        "bookings/book.html",
        kept=lambda: _shown(basket),
        live=lambda: _picker(request, basket, version),
        version=lambda: version,
        keep=not basket.query and not basket.incomplete,
    )


@require_safe
@never_cache
@quotes.judged
def jobs(request: HttpRequest, slug: str) -> HttpResponse:
    """The jobs of a visit (`?job=slug:quantity` for each): how often, what else, or which needs another visit."""
    basket = _basket(request, slug)
    if basket and basket.quote:
        return redirect(basket.quote)
    if basket is None or settings.BOOKING_JOBS_PER_VISIT == 1:
        return service_gone(request, slug) if basket is None else redirect("service", slug)
    if seconds := limits.wait(request, limits.Purpose.AVAILABILITY):
        return wait_a_while(request, seconds)
    chosen = {each.pk for each in basket.services}
    context = {
        **_shown(basket),
        "visits": visits.split(basket, timezone.now()),
        "others": [] if basket.is_full else Service.objects.active().exclude(pk__in=chosen),
        "quantities": range(1, MOST_OF_ONE + 1),
        "postcode": country.read_postcode(request.GET.get("postcode")),
    }
    return render(request, "bookings/jobs.html", context)


@require_safe
@never_cache
@vary_on_headers("Accept")
def availability(request: HttpRequest) -> HttpResponse:
    """`/api/availability?service=…`, with what `book` takes: the same week as JSON, or as the page's own HTML."""
    if seconds := limits.wait(request, limits.Purpose.AVAILABILITY):
        return JsonResponse({"error": "too_many_requests"}, status=429, headers={"Retry-After": str(seconds)})
    slug = request.GET.get("service", "")
    version = CatalogueChange.objects.version()
    basket = _basket(request, slug, version)
    if basket is None:
        return JsonResponse({"error": "unknown_service"}, status=404)
    context = _picker(request, basket, version)
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        return render(request, "bookings/_picker.html", context)
    return JsonResponse({"service": slug, "offer": basket.offer, **_as_json(context["week"])})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@quotes.judged
def details(request: HttpRequest, slug: str) -> HttpResponse:
    """Step 3: who and where. POST books; POST with `change` shows other windows and keeps what was typed."""
    basket = _basket(request, slug)
    if basket is None:
        return service_gone(request, slug)
    asked = request.POST if request.method == "POST" else request.GET
    start, handyman = read_instant(asked.get("start")), _handyman(basket, asked.get("handyman"))
    gone = bool(asked.get("handyman")) and handyman is None
    books = request.method == "POST" and "change" not in asked
    if seconds := limits.wait(request, limits.Purpose.BOOKING if books else limits.Purpose.AVAILABILITY):
        return _wait(request, seconds, basket, start, handyman)
    if books:
        return _book(request, basket, start, handyman, gone=gone)
    if request.method == "POST":
        return _details(request, basket, BookingForm(initial=asked.dict()), start, handyman, offer=True)
    known = {"key": new_idempotency_key(), "postcode": country.read_postcode(asked.get("postcode"))}
    form = BookingForm(initial=known | quotes.person(basket.quote))
    if start:
        return _details(request, basket, form, start, handyman, gone=gone)
    return redirect(f"{reverse('book', args=[slug])}?{basket.query}" if basket.query else reverse("book", args=[slug]))


def _book(
    request: HttpRequest, basket: Basket, start: datetime | None, handyman: Handyman | None, *, gone: bool
) -> HttpResponse:
    """Book what was shown, or show the form again with everything that is in the way."""
    form, reason = BookingForm(request.POST, request.FILES), cast("Reason | str | None", None)
    as_shown = start and not gone and request.POST.get("offer") == basket.offer
    # Photos are looked at last, so that nobody waits for them to read that something else is missing.
    if form.is_valid() and start and as_shown and form.draw_photos():
        try:
            return _next_page(_take(basket, start, handyman, form, limits.client(request)), form.jpegs)
        except scheduling.OutOfArea:
            form.refuse_postcode()
        except scheduling.AlreadyBooked as refusal:
            return _details(request, basket, form, start, handyman, earlier=refusal)
        except scheduling.TooManyUnproven:
            limits.give_back(request, limits.Purpose.BOOKING)
            seconds = limits.Pause(deposits.hold_time().total_seconds())
            return _wait(request, seconds, basket, start, handyman, unproven=True)
        except scheduling.QuoteGone as refusal:
            return quotes.refused(request, refusal)
        except scheduling.SchedulingError as refusal:
            reason = getattr(refusal, "reason", refusal.code)
    elif form.has_error("postcode", "out_of_area"):
        events.publish_now(events.BookingRejected(service=basket.service.slug, action="book", reason="out_of_area"))
    limits.give_back(request, limits.Purpose.BOOKING)
    return _details(request, basket, form, start, handyman, reason, gone=gone)


def again(request: HttpRequest, visit: Booking) -> HttpResponse:
    """The details form with what an earlier visit says, the first free window chosen and others to choose from."""
    service = Service.objects.active().filter(pk=visit.service_id).first()
    if service is None:
        return service_gone(request, visit.service.slug)
    basket = Basket.read(service, visit.chosen)
    asked_for = _handyman(basket, visit.handyman.slug if visit.asked_for_handyman else None)
    free = calendars.next_slots(service=basket, handyman=asked_for, postcode=visit.postcode)
    form = BookingForm(initial={"key": new_idempotency_key(), **corrections.details_of(visit)})
    return _details(request, basket, form, free[0].starts_at if free else None, asked_for, offer=True)


def _basket(request: HttpRequest, slug: str, version: str = "") -> Basket | None:
    """The jobs that the address or the form names, this one first; None where it cannot be had.

    With the `version` of the catalogue, for showing alone, the service kept for it. Of a quote, what it names.
    """
    if token := quotes.token_of(request):
        return quotes.basket(token)
    found = process_cache.of_catalogue(version, "services", _by_slug) if version else None
    service = found.get(slug) if found is not None else _active(slug)
    asked = request.POST if request.method == "POST" else request.GET
    return Basket.read(service, asked.getlist("job")) if service else None


def _active(slug: str) -> Service | None:
    return Service.objects.active().filter(slug=slug).first() if slug.isprintable() else None


def _by_slug() -> dict[str, Service]:
    return {each.slug: each for each in Service.objects.active()}


def _shown(basket: Basket) -> dict[str, Any]:
    """What every step's page says of the jobs."""
    return {"basket": basket, "service": basket.service, "section": "services"}


def service_gone(request: HttpRequest, slug: str) -> HttpResponse:
    """404: a job that is not (or no longer) to be had: what else there is, and what was typed goes with it."""
    group = Service.objects.filter(slug=slug).values_list("group", flat=True).first()
    others = sorted(Service.objects.active(), key=lambda each: each.group != group)
    typed = BookingForm(initial=request.POST.dict()) if request.method == "POST" else None
    chosen = [each for each in request.POST.getlist("job") if not each.startswith(f"{slug}:")]
    start = request.POST.get("start", "")
    context = {"others": others, "typed": typed, "start": start, "chosen": chosen, "section": "services"}
    return render(request, "bookings/service_gone.html", context, status=404)


def _take(basket: Basket, start: datetime, handyman: Handyman | None, form: BookingForm, client: str) -> Booking:
    """Book it, or hold it where a deposit or a proof of the address comes first. Raises SchedulingError."""
    arguments = form.booking_arguments(twice=form.data.get("twice", ""), start=start)
    if basket.quote:  # the quote makes one visit, from whichever tab
        arguments["idempotency_key"] = basket.quote.form_key
    if not basket.deposit:
        return scheduling.book(service=basket, starts_at=start, handyman=handyman, client=client, **arguments)
    kept = deposits.hold_time()
    return scheduling.hold(service=basket, starts_at=start, handyman=handyman, expires_in=kept, **arguments)


def _next_page(booking: Booking, jpegs: Sequence[bytes]) -> HttpResponse:
    """Keep the photos of what is booked, and lead the browser to pay, to read what its e-mail is for, or to the thanks.

    A form that comes again with other photos may bring too many: they are not kept, and the page of those that are
    comes next.
    """
    try:
        visit_photos.add(booking=booking, jpegs=jpegs)
    except visit_photos.TooManyPhotos:
        if booking.status != Status.HELD:
            return redirect("booking_photos", booking.link_token)
    if booking.status != Status.HELD:
        return redirect("booking_confirmed", booking.link_token)
    return to_stripe(booking) if hasattr(booking, "payment") else redirect(held_page(booking))


def _details(
    request: HttpRequest,
    basket: Basket,
    form: BookingForm,
    start: datetime | None,
    handyman: Handyman | None,
    reason: Reason | str | None = None,
    *,
    earlier: scheduling.AlreadyBooked | None = None,
    offer: bool = False,
    gone: bool = False,
) -> HttpResponse:
    """The details form, with other windows to choose from if the wanted one cannot be had, or on request (`offer`).

    Where the handyman asked for does not do this job (`gone`), anybody's windows, for the customer to decide.
    """
    carried = (request.POST if request.method == "POST" else request.GET).get("offer")
    changed = carried != basket.offer and (form.is_bound or carried is not None)
    wanted, place = start or timezone.now(), country.read_postcode(form["postcode"].value())
    if gone:
        start = None
    if start and not reason and not earlier:
        found = calendars.find_slot(service=basket, starts_at=start, handyman=handyman, postcode=place)
        reason = found if isinstance(found, Reason) else None
    nearest = []
    if reason or offer or not start:
        nearest = calendars.nearest_slots(service=basket, starts_at=wanted, handyman=handyman, postcode=place)
        if handyman and not any(handyman.pk in slot.handyman_ids for slot in nearest):
            handyman = None
    possible = bool(nearest) or calendars.Reader(now=timezone.now(), service=basket).is_possible()
    context = {
        **_shown(basket),
        "form": form,
        "start": start,
        "until": start and start + calendars.current_rules().window,
        "handyman": handyman,
        "nearest": nearest,
        "possible": possible,
        "visits": [] if possible else visits.split(basket, timezone.now()),
        "problem": "handyman" if gone else reason or (None if start else "missing"),
        "changed": changed,
        "earlier": earlier and earlier.booking,
        "changed_by_staff": earlier and earlier.changed,
        "movable": earlier and _is_movable(earlier, basket),
        "was": Basket.as_offered(carried or "") if changed else None,
        "wrong": form.is_bound or reason or not start,
    }
    conflict = reason in (Reason.TAKEN, Reason.TRAVEL) or (changed and form.is_bound) or earlier
    status = 409 if conflict else 422 if context["wrong"] else 200
    return render(request, "bookings/details.html", context, status=status)


def _is_movable(earlier: scheduling.AlreadyBooked, basket: Basket) -> bool:
    booking = earlier.booking
    return not earlier.changed and booking.content == basket.content and booking.can_be_changed(timezone.now())


def _wait(
    request: HttpRequest,
    seconds: limits.Pause,
    basket: Basket,
    start: datetime | None,
    handyman: Handyman | None,
    *,
    unproven: bool = False,
) -> HttpResponse:
    """The form as it was typed, unread; a window is looked for only once the wait is over."""
    if request.method != "POST":
        return wait_a_while(request, seconds)
    context = {
        **_shown(basket),
        "form": BookingForm(initial=request.POST.dict()),
        "start": start,
        "until": start and start + calendars.current_rules().window,
        "handyman": handyman,
        "unproven": unproven,
    }
    return wait_a_while(request, seconds, "bookings/details.html", context)


def _picker(request: HttpRequest, basket: Basket, version: str) -> dict[str, Any]:
    """What `_picker.html` needs to show the week that the query string asks for."""
    asked = WeekForm(request.GET)
    asked.is_valid()  # an unreadable day counts as none chosen
    able = ("able", *(each.pk for each in basket.services))
    handymen = process_cache.of_catalogue(version, able, lambda: list(Handyman.objects.skilled_in(*basket.services)))
    handyman = next((each for each in handymen if each.slug == request.GET.get("handyman")), None)
    day, first = asked.cleaned_data.get("day"), asked.cleaned_data.get("week")
    now, postcode = timezone.now(), country.read_postcode(request.GET.get("postcode"))
    shown = week(service=basket, now=now, handyman=handyman, day=day, first=first, postcode=postcode, version=version)
    context = {**_shown(basket), "handymen": handymen, "handyman": handyman, "postcode": postcode, "week": shown}
    context["keep"] = f"{basket.query}&{urlencode({'postcode': postcode})}" if postcode else basket.query
    if shown.is_possible and not context["keep"] and not basket.quote and not settings.DEBUG:
        context["same"] = (version, basket.offer, handyman and handyman.slug, shown.selected.date), shown
    if basket.has_several_jobs and not basket.quote and not shown.is_possible:
        context["visits"] = visits.split(basket, now)
    return context


def _handyman(basket: Basket, slug: str | None) -> Handyman | None:
    """The handyman of this name who does all of it; None means anyone."""
    able = Handyman.objects.skilled_in(*basket.services) if slug else ()
    return next((each for each in able if each.slug == slug), None)


def _as_json(shown: Week) -> dict[str, object]:
    """Times are UTC; days are the business's own."""
    return {
        "selected": shown.selected.date,
        "next_free": shown.next_free and shown.next_free.starts_at,
        "anywhere": shown.is_anywhere,
        "days": [
            {
                "date": each.date,
                "slots": [
                    {"start": slot.starts_at, "arrival_until": slot.arrival_until, "nearby": slot.is_nearby}
                    for slot in each.slots
                ],
            }
            for each in shown.days
        ],
    }
