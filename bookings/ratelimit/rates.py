"""What is limited, and how often it may happen. Pure: no ORM, HTTP or clock."""

import re
from dataclasses import dataclass
from enum import StrEnum

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATE = re.compile(r"([1-9]\d*)/([smhd])")


class Purpose(StrEnum):
    """What is limited; the names in settings.RATE_LIMITS."""

    BOOKING = "booking"  # a post that books, moves or cancels
    WAITLIST = "waitlist"  # joining the line without a visit, which writes to an address that nobody has proved
    CONTACT = "contact"  # a message
    LINK = "link"  # a booking link that opens nothing: somebody may be guessing
    AVAILABILITY = "availability"  # a look at the free windows
    LOGIN = "login"  # a password of staff, right or wrong: hashing it is what costs
    LOGIN_KNOWN = "login_known"  # the same from a browser that logged in before: strangers cannot use its turns up


@dataclass(frozen=True, slots=True)
class Rate:
    """`times` in `seconds`: all at once if need be, and from then on one in each `step`."""

    times: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read `60/h` (s, m, h or d). Raises ValueError for anything else."""
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a rate like 60/h (s, m, h or d)")
        return cls(int(match[1]), _SECONDS[match[2]])

    @property
    def step(self) -> float:
        """Seconds after which one more is allowed."""
        return self.seconds / self.times


@dataclass(frozen=True, slots=True)
class Limit:
    """What one client may do, and what all of them together may.

    `neighbours`: what the clients of one /48 of IPv6 may together, which one customer of a provider often has whole.
    `patient`: what those may together who come again after a delay, when everybody's allowance is used up.
    """

    client: Rate
    everybody: Rate

    @property
    def neighbours(self) -> Rate:
        """Four clients' worth."""
        return Rate(4 * self.client.times, self.client.seconds)

    @property
    def patient(self) -> Rate:
        """Four times everybody's."""
        return Rate(4 * self.everybody.times, self.everybody.seconds)

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read `60/h 3000/h`. Raises ValueError for anything else."""
        rates = text.split()
        if len(rates) != 2:
            raise ValueError(f"{text!r} is not two rates, a client's and everybody's, like '60/h 3000/h'")
        return cls(*map(Rate.parse, rates))
