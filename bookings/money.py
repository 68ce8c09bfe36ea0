"""Amounts of money: integers in the minor unit of their currency (pence, cents, yen), read and written by CLDR."""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

from babel.core import get_global
from babel.numbers import format_currency, get_currency_precision, get_currency_symbol, get_territory_currencies
from django.conf import settings

from bookings.country import english

MOST = 10**9 - 1
"""The largest amount that can be typed, in minor units; the columns hold twice as much."""


def known(currency: str) -> bool:
    """Whether this is the code (ISO 4217) of money that is legal tender somewhere today."""
    return currency in _tender(date.today())


@lru_cache(maxsize=1)
def _tender(day: date) -> frozenset[str]:
    territories = get_global("territory_currencies")
    return frozenset(
        currency
        for territory in territories
        for currency in get_territory_currencies(territory, start_date=day, tender=True)
    )


def digits(currency: str = "") -> int:
    """How many decimals an amount has: 2 for GBP, 0 for JPY, 3 for KWD. BUSINESS_CURRENCY without an argument."""
    return get_currency_precision(currency or settings.BUSINESS_CURRENCY)


def exact(minor: int, currency: str = "") -> Decimal:
    """The amount for machines: 6550 → Decimal("65.50"), in JPY Decimal("6550")."""
    return Decimal(minor).scaleb(-digits(currency))


def minor(amount: Decimal, currency: str = "") -> int:
    """The minor units of a decimal amount. Raises ValueError when it has more decimals than the currency."""
    scaled = amount.scaleb(digits(currency))
    if scaled != int(scaled):
        raise ValueError(f"{amount} has more decimals than {currency or settings.BUSINESS_CURRENCY}")
    return int(scaled)


def symbol() -> str:
    """What stands for BUSINESS_CURRENCY on a page, such as "£"."""
    return get_currency_symbol(settings.BUSINESS_CURRENCY, english(settings.BUSINESS_COUNTRY))


def text(minor: int, currency: str = "") -> str:
    """The amount as people of BUSINESS_COUNTRY write it, without decimals when they are zero: £65, £65.50, 65,50 €."""
    return _text(minor, currency or settings.BUSINESS_CURRENCY, settings.BUSINESS_COUNTRY)


@lru_cache(maxsize=1000)
def _text(minor: int, currency: str, country: str) -> str:
    locale, decimals = english(country), digits(currency)
    fraction = "." + "0" * decimals if minor % 10**decimals else ""
    pattern = re.sub(r"\.0+", fraction, locale.currency_formats["standard"].pattern)
    if get_currency_symbol(currency, locale)[-1].isalpha():
        pattern = pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#")  # KWD 8 and not KWD8
    return format_currency(exact(minor, currency), currency, pattern, locale=locale, currency_digits=False)


def of_country(country: str) -> str:
    """The code of the money that one pays with in a country."""
    return str((get_territory_currencies(country, tender=True) or ["USD"])[0])
