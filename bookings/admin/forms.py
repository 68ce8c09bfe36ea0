"""The forms by which staff book a visit on the phone, and change one.

Both leave the time to bookings.scheduling, which alone knows whether it can be had. They ask it at the very end of
validation, where a refusal can still be shown beside the field it is about.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth.models import User
from django.db.models import Q
from django.forms.models import BaseInlineFormSet
from django.utils import timezone
from django.utils.formats import date_format

from bookings import country, money, scheduling
from bookings.admin.fields import MomentWidget, MoneyField
from bookings.basket import Basket, Work
from bookings.fields import PostcodeField
from bookings.models import Booking, BookingEvent, BookingLine, Handyman, Payment, Service
from bookings.phrases import price
from bookings.scheduling import corrections, jobs

STAFF = BookingEvent.By.STAFF
CUSTOMER_FIELDS = ("customer_name", "customer_email", "customer_phone", "address", "postcode", "notes")
WRITTEN = (
    *("handyman", "starts_at", "arrival_until", "ends_at", "during", "reserve"),
    *("sequence", "asked_for_handyman", "grace_until", "reminder_at"),
)
"""The columns in which scheduling writes a move, or another job."""
REFUSALS = {
    "past": "That time has passed.",
    "notice": "That is too soon.",
    "horizon": "That is too far ahead.",
    "off_grid": "Visits do not start at that minute.",
    "closed": "No handyman for this job works long enough at that time.",
    "taken": "That time is taken.",
    "travel": "No available handyman can get there in time from the visit before, or from there to the next.",
    "out_of_area": f"The business does not come to this {country.current().postcode_name}.",
    "not_possible": "The booking's status does not allow that.",
    "no_address": "There is no e-mail address. Call the customer.",
    "does_not_fit": "The visit has no time for that job, or its handyman does not do it.",
    "too_late": "It is too late for that.",
    "too_early": "The visit has not begun yet.",
}


GONE = "The handyman that was chosen does not work here any more. Choose again."
INCOMPLETE = "Left out: a job that is not offered any more, or for which one visit has no room."


def below_deposit(booking: Booking, total: int) -> str:
    """What staff read where a visit is to cost less than its customer has paid, or is about to pay, in advance."""
    deposit = Payment.objects.filter(booking=booking, status__in=("open", "paid")).first()
    if deposit is None or total >= deposit.amount_pence:
        return ""
    return f"The deposit of {deposit.amount} is more than that. Refund it first, or leave the price above it."


def refusal(error: scheduling.SchedulingError) -> str:
    """What staff read when a request is refused, with the nearest free times."""
    if isinstance(error, scheduling.AlreadyBooked):
        when = date_format(timezone.localtime(error.booking.starts_at), "D j M H:i")
        return f"This form has booked {error.booking.reference}, {when}, already. Change that, or open a new form."
    sentence = REFUSALS.get(error.code, str(error))
    if not error.alternatives:
        return sentence
    free = (date_format(timezone.localtime(slot.starts_at), "D j M H:i") for slot in error.alternatives)
    return f"{sentence} Free nearby: {'; '.join(free)}."


class VisitForm(forms.ModelForm):
    """What the two forms share. `user` is set by the admin; `starts` is when the arrival window opens."""

    user: User
    starts = forms.SplitDateTimeField(widget=MomentWidget(step=settings.BOOKING_STEP_MINUTES), label="Arrival from")
    who = forms.ModelChoiceField(
        Handyman.objects.active(),
        required=False,
        label="Handyman",
        empty_label="Whoever is free",
        error_messages={"invalid_choice": GONE},
    )
    postcode = PostcodeField()

    class Meta:
        model = Booking
        fields: tuple[str, ...] = CUSTOMER_FIELDS
        widgets = {"notes": AdminTextareaWidget(attrs={"rows": 3})}

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's hook, not in the stubs
        try:
            # Where something else is wrong, whether the time can be had is said in the same answer.
            self.check() if self.errors else self.schedule()
        except scheduling.OutOfArea as error:
            self.add_error("postcode", refusal(error))
        except scheduling.SchedulingError as error:
            self.add_error("starts", refusal(error))
            if isinstance(error, scheduling.TooFar):
                self.offer_however_far()

    def offer_however_far(self) -> None:
        """Show the fields that override a rule, now that staff are warned."""

    def check(self) -> None:
        """Look whether the time can be had, as far as it is known. Raises SchedulingError."""
        service, start = self.wanted_service(), self.cleaned_data.get("starts")
        if service and start and "who" in self.cleaned_data:
            moving = self.instance if self.instance.pk else None
            who = self.cleaned_data["who"]
            scheduling.check(
                service=service,
                starts_at=start,
                handyman=who,
                by=STAFF,
                moving=moving,
                postcode=self.cleaned_data.get("postcode", ""),
            )

    def wanted_service(self) -> Work | None:
        """The job that a time is wanted for; None when no time is asked for."""
        raise NotImplementedError

    def schedule(self) -> None:
        """Ask for the time. Raises SchedulingError."""
        raise NotImplementedError


class PhoneBookingForm(VisitForm):
    """A new booking of a basket. A second post of the same form gives the same booking."""

    key = forms.CharField(widget=forms.HiddenInput, initial=uuid.uuid4)
    consent = forms.BooleanField(label="The customer agrees that we keep these details for the visit")
    offers = forms.CharField(widget=forms.HiddenInput, required=False)
    overtime = forms.BooleanField(required=False)
    starts = forms.SplitDateTimeField(widget=MomentWidget(step=5), label="Arrival from")

    class Meta(VisitForm.Meta):
        labels = {"customer_name": "Name", "customer_phone": "Phone", "customer_email": "E-mail"}
        help_texts = {"customer_email": "Without one they can only be contacted by phone."}
        widgets = VisitForm.Meta.widgets | {"address": AdminTextareaWidget(attrs={"rows": 2})}

    def __init__(self, *args: Any, basket: Basket | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix, self.basket = "", basket
        self.initial["offers"] = " ".join(map(self._offer, Service.objects.active()))
        self.fields["offers"].bound_data = lambda data, initial: initial  # type: ignore[method-assign]  # as they are now
        self.initial.setdefault("starts", [self.initial.get("starts_0"), self.initial.get("starts_1")])

    def shown_fields(self) -> list[forms.BoundField]:
        """What is typed about the customer."""
        return [self[name] for name in CUSTOMER_FIELDS]

    def time_of(self, given: Mapping[str, Any]) -> datetime | None:
        """The instant that the two boxes of `starts` name; None where they do not."""
        try:
            found: datetime = self.fields["starts"].clean([given.get("starts_0"), given.get("starts_1")])
        except forms.ValidationError:
            return None
        return found

    def clean(self) -> Any:
        """What staff tell the customer is what they saw: another price is shown before it is booked."""
        data = super().clean() or self.cleaned_data
        if self.basket is None:
            self.add_error(None, "Choose the job.")
            return data
        if self.basket.incomplete:
            self.add_error(None, f"{INCOMPLETE} Book again if the rest is all right.")
        for service in self.basket.services:
            if self._offer(service) not in data.get("offers", "").split():
                now = f"Changed meanwhile: {service} is now {price(service)}. Book again if that is all right."
                self.add_error(None, now)
        return data

    @staticmethod
    def _offer(service: Service) -> str:
        return f"{service.pk}:{service.offer}"

    def wanted_service(self) -> Basket | None:
        return self.basket

    def schedule(self) -> None:
        data = self.cleaned_data
        self.instance = scheduling.book(
            service=cast(Basket, self.basket),  # a valid form has one
            starts_at=data["starts"],
            handyman=data["who"],
            customer=scheduling.Customer(**{name: data[name] for name in CUSTOMER_FIELDS}),
            idempotency_key=f"phone-{data['key']}",
            by=STAFF,
            user=self.user,
            overtime=data["overtime"],
        )


class LineForm(forms.ModelForm):
    """The price of a further job of a visit."""

    class Meta:
        model = BookingLine
        fields = ("pricing", "price_pence", "minimum_minutes")
        field_classes = {"price_pence": MoneyField}
        labels = {"price_pence": f"Price ({money.symbol()})"}


class LineFormSet(BaseInlineFormSet):
    """The prices of the further jobs, which the first job's price has been corrected beside."""

    def clean(self) -> None:
        """All jobs together cost no less than the deposit, if they are made cheaper here."""
        super().clean()
        if any(self.errors):
            return
        prices = {line.pk: line.price_pence for line in self.instance.lines.all()}
        before = Booking.objects.get(pk=self.instance.pk).price_pence + sum(prices.values())
        prices |= {form.instance.pk: form.instance.price_pence for form in self.initial_forms}
        total = self.instance.price_pence + sum(prices.values())
        if total < before and (sentence := below_deposit(self.instance, total)):
            raise forms.ValidationError(sentence)


class BookingForm(VisitForm):
    """Corrects details and the price, adds a job, and moves the visit when its time or handyman is changed."""

    # A choice says which price it showed: with another one it is no choice any more.
    add = forms.ChoiceField(
        required=False,
        label="Add a job",
        error_messages={"invalid_choice": "That job, or its price, has changed meanwhile. Choose again."},
    )
    kept: Mapping[str, Any] = {}
    shown_as = ("starts_at", "arrival_until", "ends_at", "handyman")  # by `starts` and `who`
    however_far = forms.BooleanField(
        label="Ignore travel time", required=False, widget=forms.HiddenInput, help_text="The journey is too long."
    )

    class Meta(VisitForm.Meta):
        fields = (*CUSTOMER_FIELDS, "pricing", "price_pence", "minimum_minutes")
        field_classes = {"price_pence": MoneyField}
        labels = {"price_pence": f"Price ({money.symbol()})"}
        help_texts = {"price_pence": "The fixed price, the price of one hour, or the agreed quote."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "starts" in self.fields:  # a reader who may not change anything has no such fields
            self.initial.update(starts=self.instance.starts_at, who=self.instance.handyman_id)
            who = cast(forms.ModelChoiceField, self.fields["who"])
            who.required = True
            who.queryset = Handyman.objects.filter(Q(active=True) | Q(pk=self.instance.handyman_id))
            offered = self.instance.is_open and jobs.is_open_for_more(self.instance, STAFF, timezone.now())
            more = Service.objects.active().filter(deposit_pence=0) if offered else ()
            choices = [(f"{each.slug} {each.offer}", f"{each}, {price(each)}") for each in more]
            cast(forms.ChoiceField, self.fields["add"]).choices = [("", "-"), *choices]
            self.fields["starts"].disabled = self.fields["who"].disabled = not self.instance.is_open
            if self.data.get("however_far") == "on":
                self.offer_however_far()

    def offer_however_far(self) -> None:
        self.fields["however_far"].widget = forms.CheckboxInput()

    def wanted_service(self) -> Work | None:
        return self.instance if {"starts", "who"} & set(self.changed_data) else None

    def clean_price_pence(self) -> int:
        """No less than the deposit; where there are further jobs, LineFormSet judges what all of them cost."""
        price: int = self.cleaned_data["price_pence"]
        alone = "price_pence" in self.changed_data and not self.instance.lines.exists()
        if alone and (sentence := below_deposit(self.instance, price)):
            raise forms.ValidationError(sentence)
        return price

    def clean_add(self) -> Service | None:
        slug = self.cleaned_data["add"].partition(" ")[0]
        return Service.objects.active().filter(slug=slug).first() if slug else None

    def schedule(self) -> None:
        moves, added = {"starts", "who"} & set(self.changed_data), self.cleaned_data.get("add")
        if moves and added:
            self.add_error("add", "Move the visit first, then add the job.")
        elif moves:
            self._take(self._moved())
        elif "postcode" in self.changed_data and self.instance.is_open and not self.cleaned_data["however_far"]:
            corrections.require_reachable(self.instance, self.cleaned_data["postcode"])
        if added and not self.errors:
            try:
                self._take(self._with(added))
            except scheduling.SchedulingError as error:
                self.add_error("add", refusal(error))

    def _with(self, service: Service) -> Booking:
        booking = Booking.objects.with_jobs().get(pk=self.instance.pk)
        return scheduling.add_job(
            booking=booking, service=service, position=len(booking.jobs), by=STAFF, user=self.user
        )

    def _moved(self) -> Booking:
        return scheduling.move(
            booking=Booking.objects.with_jobs().get(pk=self.instance.pk),
            starts_at=self.cleaned_data["starts"],
            handyman=self.cleaned_data["who"],
            by=STAFF,
            user=self.user,
            postcode=self.cleaned_data["postcode"],
            overtime=self.cleaned_data["however_far"],
        )

    def _take(self, changed: Booking) -> None:
        """Have the form's own booking say what scheduling has written."""
        self.kept = {name: getattr(self.instance, name) for name in WRITTEN}
        for name in WRITTEN:
            setattr(self.instance, name, getattr(changed, name))

    def take_back(self) -> None:
        """Have the booking say what is kept, where what scheduling has written is rolled back."""
        for name, value in self.kept.items():
            setattr(self.instance, name, value)
