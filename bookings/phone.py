"""Phone numbers, as people of BUSINESS_COUNTRY write them (libphonenumber)."""

import phonenumbers
from django.conf import settings
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult


def written(typed: str, country: str = "") -> str:
    """The number as one writes it in the country, "020 7946 0123 x4", or "+1 212-555-0100" for one from abroad.

    Raises ValueError for what cannot be a whole number. Whether it is given out is not asked: new ones come every year.
    """
    country = country or settings.BUSINESS_COUNTRY
    number = _parsed(typed, country)
    at_home = number.country_code == phonenumbers.country_code_for_region(country)
    how = PhoneNumberFormat.NATIONAL if at_home else PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, how)


def uri(phone: str) -> str:
    """The address that rings it, "tel:+44-20-7946-0123;ext=4"; empty for what is no number."""
    try:
        return phonenumbers.format_number(_parsed(phone, settings.BUSINESS_COUNTRY), PhoneNumberFormat.RFC3966)
    except ValueError:
        return ""


def searched(typed: str) -> str:
    """The digits by which a number is found however it is written: without country code, leading 0 and extension."""
    try:
        return str(_parsed(typed, settings.BUSINESS_COUNTRY).national_number)
    except ValueError:
        return "".join(filter(str.isdecimal, typed)).lstrip("0")


def example(country: str = "") -> str:
    """A number as one writes it in the country, for people to see what is asked for."""
    country = country or settings.BUSINESS_COUNTRY
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE):
        number = phonenumbers.example_number_for_type(country, kind)
        if number is not None:
            return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    return "+44 20 7946 0123"


def _parsed(typed: str, country: str) -> PhoneNumber:
    try:
        number = phonenumbers.parse(typed, country)
    except NumberParseException as error:
        raise ValueError("not a phone number") from error
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise ValueError("not a whole phone number")
    return number
