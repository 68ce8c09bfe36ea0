"""What customers type, and the sentences they get when it cannot be used."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from django import forms
from django.core.files.uploadedfile import UploadedFile

from bookings import country
from bookings.fields import EmailField, LineField, PhoneField, PostcodeField, ProseField
from bookings.messaging import photos
from bookings.messaging.uploads import TooLargeFile, UnkeptFile
from bookings.models import ContactMessage, ServiceArea, new_idempotency_key
from bookings.scheduling import Customer

_TOO_MANY = f"Choose at most {photos.MOST} photos."
_TOO_LARGE = "Each photo may have 10 MB at most."


class PhotosInput(forms.FileInput):
    allow_multiple_selected = True


def photos_input() -> PhotosInput:
    """An input for photos, with the limits that the browser checks before it sends anything."""
    return PhotosInput(
        {
            "multiple": True,
            "accept": "image/jpeg,image/png,image/webp",
            "data-most": photos.MOST,
            "data-most-bytes": photos.MOST_BYTES,
            "data-too-many": _TOO_MANY,
            "data-too-large": _TOO_LARGE,
        }
    )


class UploadsField(forms.FileField):
    """Cleans to at most five uploads of the size of photos, in which nobody has looked yet."""

    def clean(self, value: Sequence[UploadedFile] | None, initial: object = None) -> Sequence[Any]:
        uploads = [each for each in value or () if each]
        if self.required and not uploads:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        if len(uploads) > photos.MOST:
            raise forms.ValidationError(_TOO_MANY)
        if any(isinstance(each, TooLargeFile) for each in uploads):
            raise forms.ValidationError(_TOO_LARGE)
        if any(isinstance(each, UnkeptFile) for each in uploads):
            raise photos.busy()
        return uploads


class PhotosField(UploadsField):
    """Cleans up to five uploads to JPEGs without metadata."""

    def clean(self, value: Sequence[UploadedFile] | None, initial: object = None) -> list[bytes]:
        return photos.redraw_all(super().clean(value, initial))


class PostcodeForm(forms.Form):
    postcode = PostcodeField(
        required=True, error_messages={"required": f"Enter a {country.current().postcode_name} to check."}
    )


class AddressForm(forms.Form):
    """Whose visits are asked for."""

    email = EmailField(
        label="Your e-mail address",
        help_text="The one that you booked with.",
        widget=forms.EmailInput({"autocomplete": "email", "spellcheck": "false"}),
    )


class WeekForm(forms.Form):
    """Which week of free windows to show."""

    day = forms.DateField(required=False)
    week = forms.DateField(required=False)


def read_instant(text: str | None) -> datetime | None:
    """The instant that ISO 8601 text with an offset names, in UTC; None when it cannot be read."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # Years at the edge of what Python can hold overflow in any other zone.
    if instant.tzinfo is None or not 2000 <= instant.year <= 2200:
        return None
    return instant.astimezone(UTC)


class PersonForm(forms.Form):
    """Who writes. `key` makes a form that is posted twice count once."""

    key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def clean_key(self) -> str:
        return re.sub(r"[^\w-]", "", self.cleaned_data["key"]) or new_idempotency_key()


class BookingForm(PersonForm):
    jpegs: Sequence[bytes] = ()

    customer_name = LineField(
        label="Your name",
        max_length=120,
        error_messages={"required": "Enter your name."},
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    customer_email = EmailField(
        label="E-mail",
        help_text="For the confirmation, and the link to move or cancel.",
        widget=forms.EmailInput({"autocomplete": "email", "spellcheck": "false"}),
    )
    customer_phone = PhoneField(
        label="Phone",
        help_text="Your handyman rings it on the way.",
        widget=forms.TextInput({"type": "tel", "autocomplete": "tel"}),
    )
    postcode = PostcodeField(
        widget=forms.TextInput({"autocomplete": "postal-code", "class": "short", "spellcheck": "false"}),
    )
    address = ProseField(
        label="Address of the job",
        help_text="House or flat, and street.",
        max_length=300,
        error_messages={"required": "Enter the address of the job."},
        widget=forms.Textarea({"rows": 2, "autocomplete": "street-address"}),
    )
    notes = ProseField(
        label="Anything we should know? (optional)",
        help_text="What is broken, which floor, where to park.",
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    photos = UploadsField(
        label="Photos (optional)",
        help_text="Up to five, for who comes. Your location is removed from them.",
        required=False,
        widget=photos_input(),
    )
    consent = forms.BooleanField(
        label="Keep these details to carry out my booking",
        error_messages={"required": "Tick the box, so that we may keep what we need to come."},
    )

    def booking_arguments(self, *, twice: str, start: datetime) -> "BookingArguments":
        """What scheduling.book takes from a valid form.

        `twice` is what the customer answered when the same form had booked another time: "move" that visit, or
        "second", which is a request of its own.
        """
        customer = Customer(**{name: self.cleaned_data[name] for name in Customer.__dataclass_fields__})
        key = self.cleaned_data["key"] + (f" second {start.isoformat()}" if twice == "second" else "")
        return {"customer": customer, "idempotency_key": key, "instead": twice == "move"}

    def draw_photos(self) -> bool:
        """Draw the photos of a form that is valid, with no connection to the database kept; `jpegs` has them then.

        False, and an error of the form, where one cannot be had.
        """
        try:
            self.jpegs = photos.redraw_all(self.cleaned_data["photos"], within=photos.BOOKING_TIMEOUT)
        except forms.ValidationError as refusal:
            self.add_error("photos", refusal)
            return False
        return True

    def refuse_postcode(self, *, too_far: bool = False) -> None:
        """Say that the business does not come there, or that the handyman is not there in time."""
        if too_far:
            self.add_error("postcode", "Your handyman cannot be there at that time. Move the visit first, or ring us.")
        else:
            self.add_error("postcode", self._out_of_area(self.cleaned_data.get("postcode", "")))

    def refuse_email(self) -> None:
        """Say that the visit, or the new address, has to be proved by an e-mail of ours first."""
        self.add_error("customer_email", "Open the link in an e-mail that we sent you first, or ring us.")

    def clean_postcode(self) -> str:
        """Judged with the other fields, so that all that is wrong is said in one answer."""
        postcode: str = self.cleaned_data["postcode"]
        if not ServiceArea.objects.covers(postcode):
            raise self._out_of_area(postcode)
        return postcode

    @staticmethod
    def _out_of_area(postcode: str) -> forms.ValidationError:
        name = country.current().postcode_name
        if postcode:
            message = f"We do not come to this {name} yet. Check it, or ring us: for a larger job we might."
        else:
            message = f"Enter the {name}, so that we know whether we come to you."
        return forms.ValidationError(message, code="out_of_area")


class DetailsForm(BookingForm):
    """The details of a booking that stands, for its customer to correct."""

    key = None  # type: ignore[assignment]  # how Django takes a field out
    photos = None  # type: ignore[assignment]  # as above: they have a page of their own
    consent = None  # type: ignore[assignment]  # as above

    def details(self) -> dict[str, str]:
        """What corrections.correct takes from a valid form."""
        return {name: self.cleaned_data[name] for name in Customer.__dataclass_fields__}

    def show_conflicts(self, now: Mapping[str, str]) -> None:
        """Show what the booking says now wherever that is not what was typed."""
        for name, typed in self.details().items():
            if now[name] != typed:
                value = f"“{now[name]}”" if now[name] else "nothing"
                self.add_error(name, f"Changed meanwhile: it says {value} now. Save again to have what stands here.")


class BookingArguments(TypedDict):
    customer: Customer
    idempotency_key: str
    instead: bool


class ContactForm(PersonForm):
    field_order = ("topic", "body", "photos", "name", "email", "phone")  # of the page, and so of the error summary

    topic = forms.ChoiceField(
        label="What is it about?",
        choices=ContactMessage.Topic.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what it is about."},
    )
    name = LineField(
        label="Your name",
        max_length=120,
        error_messages={"required": "Enter your name."},
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    email = EmailField(
        label="E-mail",
        widget=forms.EmailInput({"autocomplete": "email", "spellcheck": "false"}),
    )
    phone = PhoneField(
        label="Phone (optional)",
        required=False,
        widget=forms.TextInput({"type": "tel", "autocomplete": "tel"}),
    )
    body = ProseField(
        label="Your message",
        max_length=5000,
        error_messages={"required": "Write your message."},
        widget=forms.Textarea({"rows": 6}),
    )
    photos = PhotosField(
        label="Photos (optional)",
        help_text="Up to five. Your location is removed from them.",
        required=False,
        widget=photos_input(),
    )
    opened = forms.CharField(required=False, widget=forms.HiddenInput)
    website = forms.CharField(required=False, widget=forms.TextInput({"autocomplete": "off", "tabindex": "-1"}))

    def message(self) -> "Message":
        """What contact.receive takes from a valid form."""
        said = self.cleaned_data
        return {
            "name": said["name"],
            "email": said["email"],
            "phone": said["phone"],
            "topic": ContactMessage.Topic(said["topic"]),
            "body": said["body"],
            "idempotency_key": said["key"],
            "photos": said["photos"],
        }

    def evidence(self) -> dict[str, str]:
        """What spam.looks_like_spam judges."""
        return {
            "opened": self.cleaned_data["opened"],
            "trap": self.cleaned_data["website"],
            "body": self.cleaned_data["body"],
        }


class Message(TypedDict):
    name: str
    email: str
    phone: str
    topic: ContactMessage.Topic
    body: str
    idempotency_key: str
    photos: list[bytes]
