"""Amounts as Stripe counts them, which is not everywhere as the currency does (docs.stripe.com/currencies)."""

from bookings import money

# Stripe counts these in whole units. ISK and UGX have no decimals either, but Stripe wants them with two zeros.
_WHOLE = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)


def to_stripe(minor: int, currency: str) -> int:
    """What Stripe is to be asked for. `currency` is in either case. Raises ValueError for what Stripe cannot take."""
    if minor % step(currency):
        raise ValueError(f"{money.text(minor, currency.upper())} is not a multiple of what Stripe takes")
    return minor * _factor(currency)


def from_stripe(amount: int, currency: str) -> int:
    """The minor units of an amount of Stripe's. Raises ValueError for one that is none of ours."""
    whole, rest = divmod(amount, _factor(currency))
    if rest:
        raise ValueError(f"{amount} {currency} cannot be an amount of ours")
    return whole


def step(currency: str) -> int:
    """Every charge must be a multiple of this many minor units: with three decimals, Stripe wants the last to be 0."""
    return 10 if money.digits(currency.upper()) == 3 else 1


def _factor(currency: str) -> int:
    code = currency.upper()
    own = money.digits(code)
    return 1 if code in _WHOLE or own >= 2 else 10 ** (2 - own)
