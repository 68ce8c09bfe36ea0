"""Addresses, postcodes, phones and dates as they are written where the business is."""

import os
import re
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from babel import Locale
from django.forms import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from bookings import country, money, phone
from bookings.country import Country
from bookings.fields import PhoneField, PostcodeField
from bookings.models import ServiceArea
from bookings.templatetags.business import day, short_day
from harness.stack import BASE_DIR


def countries() -> list[Country]:
    """Every country of CLDR's of which addresses are known."""
    found = []
    for code in sorted(Locale("en").territories):
        try:
            found.append(country.of(code))
        except ValueError:
            continue
    return found


EVERY = countries()
WITH_POSTCODES = [each for each in EVERY if each.pattern]


def test_it_knows_the_countries_of_the_world() -> None:
    assert len(EVERY) > 230
    assert len(WITH_POSTCODES) > 160
    assert not [each.code for each in WITH_POSTCODES if not each.examples]
    assert {country.of(code).postcode_name for code in ("GB", "US", "IE", "IN", "DE")} == {
        "postcode", "ZIP code", "Eircode", "PIN code",
    }  # fmt: skip


@given(st.sampled_from(WITH_POSTCODES), st.data())
def test_a_postcode_is_read_however_it_is_written(here: Country, data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(here.examples))
    bare = re.sub(r"[\W_]", "", example)
    gaps = data.draw(st.lists(st.sampled_from(("", " ", "-", ".")), min_size=len(bare), max_size=len(bare)))
    typed = "".join(f"{gap}{sign}" for gap, sign in zip(gaps, bare, strict=True))
    assert here.postcode(data.draw(st.sampled_from((typed, typed.lower())))) == example
    assert len(example) <= 12, "the column"


@given(st.sampled_from(WITH_POSTCODES), st.data())
def test_a_district_says_less_than_the_postcode(here: Country, data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(here.examples))
    district = here.district(example)
    assert 0 < len(district) <= -(-len(re.sub(r"[\W_]", "", example)) // 2)
    assert here.covers(district, example) or here.code == "GB"


@pytest.mark.parametrize(
    ("code", "postcode", "district"),
    [
        ("GB", "SE15 4QL", "SE15"), ("GB", "N1 2AB", "N1"), ("GB", "W1A 1AA", "W1A"), ("US", "10001", "100"),
        ("US", "10001-1234", "100"), ("JP", "154-0023", "154"), ("CA", "H3Z 2Y7", "H3Z"), ("NL", "1234 AB", "123"),
        ("HK", "", ""),
    ],
)  # fmt: skip
def test_what_stays_after_erasure_is_a_district(code: str, postcode: str, district: str) -> None:
    assert country.of(code).district(postcode) == district


@given(st.sampled_from(EVERY), st.lists(st.text("abc 12", min_size=1, max_size=9), max_size=4), st.data())
def test_an_address_keeps_every_line_and_its_postcode(here: Country, lines: list[str], data: st.DataObject) -> None:
    postcode = data.draw(st.sampled_from(here.examples)) if here.examples else ""
    written = here.lines("\n".join(lines), postcode)
    assert not postcode or sum(postcode in line for line in written) == 1
    left = (" ".join(written).replace(postcode, "") if postcode else " ".join(written)).split()
    assert left == " ".join(lines).split()


@pytest.mark.parametrize(
    ("code", "address", "postcode", "written"),
    [
        ("GB", "14 Example Street\nLondon", "SE15 4QL", ["14 Example Street", "London", "SE15 4QL"]),
        ("US", "350 5th Ave\nNew York, NY", "10118", ["350 5th Ave", "New York, NY 10118"]),
        ("US", "350 5th Ave\nNew York, NY 10118", "10118", ["350 5th Ave", "New York, NY 10118"]),
        ("DE", "Invalidenstr. 1\nBerlin", "10115", ["Invalidenstr. 1", "10115 Berlin"]),
        ("JP", "1-1 Chiyoda\nTokyo", "100-0001", ["100-0001", "1-1 Chiyoda", "Tokyo"]),
        ("HK", "1 Queen's Road\nCentral", "", ["1 Queen's Road", "Central"]),
    ],
)
def test_an_address_is_laid_out_as_its_country_does(code: str, address: str, postcode: str, written: list[str]) -> None:
    assert country.of(code).lines(address, postcode) == written


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("07700900101", "07700 900101"),
        ("+44 (0)7700 900101", "07700 900101"),
        ("\N{LEFT-TO-RIGHT EMBEDDING}+44 7700 900101\N{POP DIRECTIONAL FORMATTING}", "07700 900101"),
        ("020 7946 0123 ext 4", "020 7946 0123 x4"),
        ("020 7946 0123 x4", "020 7946 0123 x4"),
        ("020 7946 0123, extension 4", "020 7946 0123 x4"),
        ("+1 (212) 555-0100", "+1 212-555-0100"),
        ("0044 20 7946 0123", "020 7946 0123"),
    ],
)
def test_a_phone_is_kept_as_one_writes_it_here(typed: str, kept: str) -> None:
    assert PhoneField().clean(typed) == kept
    assert PhoneField().clean(kept) == kept, "what was kept can be kept again"


@pytest.mark.parametrize(
    "typed", ["((((((((", "12", "7946 0123", "call me", "0" * 20, "999", "+999 123456789", "1\u200b2"]
)
def test_what_rings_nobody_is_no_phone(typed: str) -> None:
    with pytest.raises(ValidationError, match="with its area code, such as"):
        PhoneField().clean(typed)


def test_a_phone_of_new_york_needs_no_country_code_there(settings: Any) -> None:
    settings.BUSINESS_COUNTRY = "US"
    assert PhoneField().clean("212 555 0100") == "(212) 555-0100"
    assert PhoneField().clean("+44 20 7946 0123") == "+44 20 7946 0123"
    assert phone.uri("(212) 555-0100 x12") == "tel:+1-212-555-0100;ext=12"
    assert phone.uri("ask at the door") == ""


@pytest.mark.parametrize(
    ("code", "typed", "kept"), [("US", "10001", "10001"), ("US", "100011234", "10001-1234"), ("HK", "anything", "")]
)
def test_a_postcode_is_asked_for_as_the_country_has_it(settings: Any, code: str, typed: str, kept: str) -> None:
    settings.BUSINESS_COUNTRY = code
    assert PostcodeField().clean(typed) == kept


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "prefix", "postcode", "covered"),
    [
        ("GB", "SE1", "SE1 7PB", True), ("GB", "SE1", "SE10 8HG", False), ("GB", "SE", "SE10 8HG", True),
        ("US", "100", "10001", True), ("US", "100", "11201", False), ("DE", "10", "10115", True),
        ("HK", "100", "", True), ("IE", "D02", "", False), ("IE", "D02", "D02 X285", True),
    ],
)  # fmt: skip
def test_areas_are_judged_by_the_countrys_postcodes(
    settings: Any, code: str, prefix: str, postcode: str, covered: bool
) -> None:
    settings.BUSINESS_COUNTRY = code
    ServiceArea.objects.create(prefix=prefix)
    assert ServiceArea.objects.covers(postcode) is covered


@pytest.mark.parametrize(
    ("code", "long", "short"),
    [
        ("GB", "Thursday 26 November", "26 Nov"),
        ("US", "Thursday, November 26", "Nov 26"),
        ("JP", "Thursday 26 November", "26 Nov"),
    ],
)
def test_days_are_written_in_the_countrys_order(settings: Any, code: str, long: str, short: str) -> None:
    settings.BUSINESS_COUNTRY = code
    assert (day(date(2026, 11, 26)), short_day(date(2026, 11, 26))) == (long, short)


@pytest.mark.parametrize("code", sorted({each.code for each in EVERY}))
def test_every_country_has_money_and_a_phone_to_show(code: str) -> None:
    assert money.known(money.of_country(code))
    assert phone.written(phone.example(code), code)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"BUSINESS_COUNTRY": "XX"}, "BUSINESS_COUNTRY is 'XX'; it must be the code of a country, such as GB"),
        (
            {"BUSINESS_COUNTRY": "England"},
            "BUSINESS_COUNTRY is 'ENGLAND'; it must be the code of a country, such as GB",
        ),
        ({"BUSINESS_PHONE": ""}, "BUSINESS_PHONE is ''; it must be a phone number of United Kingdom"),
        (
            {"BUSINESS_COUNTRY": "US", "BUSINESS_PHONE": "020 7946 0123"},
            "BUSINESS_PHONE is '020 7946 0123'; it must be a phone number of United States",
        ),
    ],
)
def test_what_no_country_has_stops_the_start_with_one_line(environment: dict[str, str], line: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=BASE_DIR, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql:///never-opened", **environment},
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (1, f"XFHandyman: {line}")
