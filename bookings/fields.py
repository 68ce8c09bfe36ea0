"""What people may type into a form, public or the admin's: one rule for each kind of text, with what to do next."""

from email.errors import MessageError
from email.headerregistry import Address
from typing import Any

from django import forms
from django.core.validators import EmailValidator
from django.utils.text import capfirst

from bookings import country, phone, text

NUL = "\x00"
"""Left for Django's validator, which refuses it: no person types it, and nobody knows what was meant."""


class ProseField(forms.CharField):
    """Text of several lines, cleaned of what cannot be seen; "required" asks for something that can."""

    def to_python(self, value: object) -> str:
        typed = super().to_python(value) or ""
        return typed if NUL in typed else text.visible(typed).strip()


class LineField(forms.CharField):
    """Text of one line, cleaned of what cannot be seen."""

    def to_python(self, value: object) -> str:
        typed = super().to_python(value) or ""
        return typed if NUL in typed else text.line(typed)


class EmailField(forms.EmailField):
    """An e-mail address that we can keep and write to from the internet."""

    default_error_messages = {  # noqa: RUF012 - Django's own shape
        "required": "Enter your e-mail address.",
        "invalid": "Enter an e-mail address like name@example.com.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 254} | options)

    def to_python(self, value: object) -> str:
        typed = super().to_python(value) or ""
        return typed if NUL in typed else text.line(typed)

    def clean(self, value: object) -> str:
        address: str = super().clean(value)
        if not address:
            return address
        try:
            EmailValidator(allowlist=[])(address)  # "localhost" is nobody's domain
            Address(addr_spec=address)
        # Django accepts quoted control characters, which cannot be written in a header.
        except (forms.ValidationError, ValueError, MessageError) as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error
        if address.endswith("]"):  # a number in the place of a domain
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return address


class PhoneField(LineField):
    """Cleans "+44(0)20 79460123 ext 4" to "020 7946 0123 x4"."""

    def __init__(self, **options: Any) -> None:
        wrong = f"Enter a phone number with its area code, such as {phone.example()}."
        messages = {"required": "Enter a phone number.", "invalid": wrong} | (options.pop("error_messages", None) or {})
        super().__init__(**{"max_length": 32} | options, error_messages=messages)

    def clean(self, value: object) -> str:
        typed: str = super().clean(value)
        try:
            written = phone.written(typed) if typed else ""
        except ValueError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error
        if len(written) > (self.max_length or len(written)):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return written


class PostcodeField(LineField):
    """Cleans "se1 7pb" to "SE1 7PB", by the rules of BUSINESS_COUNTRY; hidden where there are no postcodes."""

    def __init__(self, **options: Any) -> None:
        here = country.current()
        messages = {
            "required": f"Enter the {here.postcode_name}.",
            "invalid": f"Enter a full {here.postcode_name}, such as {here.example}.",
            **(options.pop("error_messages", None) or {}),
        }
        defaults: dict[str, Any] = {
            "label": capfirst(here.postcode_name),
            "required": here.requires_postcode,
            "max_length": 20,
        }
        if not here.pattern:
            options |= {"widget": forms.HiddenInput(), "required": False}
        super().__init__(**defaults | options, error_messages=messages)

    def clean(self, value: object) -> str:
        typed: str = super().clean(value)
        here = country.current()
        if not here.pattern or not typed:
            return ""
        try:
            return here.postcode(typed)
        except ValueError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error
