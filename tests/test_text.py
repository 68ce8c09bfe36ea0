"""What is typed into any form, public or the admin's, is cleaned by one rule, or refused with what to do next."""

import unicodedata
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from bookings import fields, text
from bookings.admin.forms import BookingForm as StaffForm
from bookings.admin.forms import PhoneBookingForm
from bookings.forms import BookingForm, ContactForm
from bookings.models import Booking, ContactMessage, Handyman, Review, Service
from tests import factories

RLO, ZWSP, SHY = "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{ZERO WIDTH SPACE}", "\N{SOFT HYPHEN}"
INVISIBLE = (
    "",
    " ",
    ZWSP,
    ZWSP * 3,
    RLO,
    f"{SHY} \N{WORD JOINER}",
    "\u3164",
    "\u2800",
    "\u034f",
    "\x07",
    "\N{ZERO WIDTH JOINER}",
)


@pytest.mark.parametrize("typed", INVISIBLE)
def test_what_cannot_be_seen_is_nothing(typed: str) -> None:
    assert text.line(typed) == text.visible(typed).strip() == ""


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (f"Mar{RLO}y", "Mary"),
        (f"Ann{ZWSP}e\tO'Neill\r\nJr", "Anne O'Neill Jr"),
        ("Zoe\N{COMBINING DIAERESIS}", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"),
        ("  李  小龙 ", "李 小龙"),
        ("می‌خواهم", "می‌خواهم"),
        ("👩‍🔧", "👩‍🔧"),
        ("\x1b[31mred", "[31mred"),
    ],
)
def test_a_line_is_kept_as_one_sees_it(typed: str, kept: str) -> None:
    assert text.line(typed) == kept


@given(st.text())
def test_a_line_is_clean_and_stays_so(typed: str) -> None:
    line = text.line(typed)
    joiners = ("\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}")
    assert not [each for each in line if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each not in joiners]
    assert text.line(line) == line == line.strip()


@given(st.text())
def test_prose_keeps_its_lines_and_stays_as_it_is(typed: str) -> None:
    prose = text.visible(typed)
    assert text.visible(prose) == prose
    assert prose == "" or prose.count("\n") == typed.count("\n")


@pytest.mark.parametrize(
    "address", ["a@localhost", "a@[127.0.0.1]", "a@b", "a", "@example.com", f"a{ZWSP}", "a b@example.com"]
)
def test_an_address_that_no_mail_reaches_is_refused(address: str) -> None:
    with pytest.raises(forms.ValidationError, match=r"like name@example\.com"):
        fields.EmailField().clean(address)


def test_an_address_is_cleaned_of_what_a_copy_brings_along() -> None:
    assert fields.EmailField().clean(f" robin@example.com{ZWSP}\n") == "robin@example.com"


FORMS = (BookingForm, ContactForm, PhoneBookingForm, StaffForm)
TEXTS = {
    "name",
    "customer_name",
    "email",
    "customer_email",
    "phone",
    "customer_phone",
    "address",
    "postcode",
    "notes",
    "body",
}
OURS = (fields.LineField, fields.ProseField, fields.EmailField)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_about_a_person_asks_by_the_same_rules(form: Any) -> None:
    for name, field in form.base_fields.items():
        if name in TEXTS:
            assert isinstance(field, OURS), (form, name)
            assert isinstance(field, fields.PhoneField) == ("phone" in name)


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Booking, ContactMessage, Handyman, Review, Service])
def test_every_text_that_staff_type_is_cleaned(model: Any, rf: Any, admin_user: Any) -> None:
    request = rf.get("/")
    request.user = admin_user
    form = admin.site._registry[model].get_form(request)
    plain = ("slug", "prefix")
    for name, field in form.base_fields.items():
        if isinstance(field, forms.CharField) and not field.widget.is_hidden and name not in plain:
            assert isinstance(field, OURS), (model, name)


@pytest.mark.django_db
@pytest.mark.parametrize("name", [ZWSP, RLO, "\u3164 \u2800"])
def test_nobody_is_called_by_nothing(client: Client, name: str) -> None:
    posted = client.post("/contact/", {"name": name, "email": "a@localhost", "phone": "((((((((", "body": SHY})
    page = posted.content.decode()
    assert posted.status_code == 422
    for sentence in (
        "Enter your name.",
        "Enter an e-mail address like",
        "Enter a phone number with",
        "Write your message.",
    ):
        assert sentence in page
    assert not ContactMessage.objects.exists()


@pytest.mark.django_db
def test_staff_are_held_to_the_same(admin_client: Client) -> None:
    service = factories.service()
    booking = factories.booking(service=service, handyman=factories.handyman(service), starts_at=factories.tomorrow())
    url = f"/admin/bookings/booking/{booking.pk}/change/"
    form = admin_client.get(url).context["adminform"].form
    data = {name: form[name].value() for name in form.fields if name != "starts"}
    data |= {"customer_name": ZWSP, "customer_email": "a@localhost", "customer_phone": "((((((((", "postcode": "12345"}
    page = admin_client.post(url, {name: value for name, value in data.items() if value is not None}).content.decode()
    for sentence in ("Enter an e-mail address like", "Enter a phone number with", "Enter a full postcode"):
        assert sentence in page
    booking.refresh_from_db()
    assert booking.customer_phone == "07700 900123"
