"""How often a client, and everybody together, may do what costs the business something.

PostgreSQL holds the count, so a limit is the same for all workers and machines. One statement both judges and counts,
so no two requests share the last turn. A row is a leaky bucket (GCRA): the moment from which the allowance is whole.
The client is known by a keyed hash of its address, never by the address.
"""

import ipaddress
import math
from collections import OrderedDict
from contextlib import suppress
from functools import cache
from threading import Lock

from django.conf import settings
from django.core import signing
from django.db import Error, connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from bookings import events
from bookings.models import Allowance
from bookings.ratelimit.rates import Limit
from bookings.ratelimit.rates import Purpose as Purpose

# The moment moves on by the cost, unless the period would be overrun. One more than two periods ahead dates from before
# the clock was put back: it is forgiven.
_COUNT = """
ON CONFLICT (key) DO UPDATE SET whole_at = make_interval(secs => %({whose}_cost)s) + CASE
    WHEN kept.whole_at > clock_timestamp() + 2 * make_interval(secs => %({whose}_period)s) THEN clock_timestamp()
    ELSE greatest(kept.whole_at, clock_timestamp()) END
WHERE kept.whole_at <= clock_timestamp() + make_interval(secs => %({whose}_period)s - %({whose}_cost)s)
   OR kept.whole_at > clock_timestamp() + 2 * make_interval(secs => %({whose}_period)s)
RETURNING key
"""
_FIRST = """
INSERT INTO bookings_allowance AS kept (key, whole_at)
VALUES (%({whose})s, clock_timestamp() + make_interval(secs => %({whose}_cost)s))"""
_NEXT = """
INSERT INTO bookings_allowance AS kept (key, whole_at)
SELECT %({whose})s, clock_timestamp() + make_interval(secs => %({whose}_cost)s) FROM {before}"""
_GIVE_BACK = "UPDATE bookings_allowance SET whole_at = whole_at - make_interval(secs => %s) WHERE key = %s"
_AHEAD = "SELECT extract(epoch FROM whole_at - clock_timestamp())::float FROM bookings_allowance WHERE key = %s"


DELAY = 20
"""Seconds to wait, and send it again, when everybody's allowance is used up and not the client's own."""
_GOOD_FOR = 600  # s, of a turn
_REFUSED_COSTS = 0.2  # of a turn of all clients together: a form that is refused leaves no work behind


class Pause(int):
    """Whole seconds to wait. `turn`: what to send along after them, which then passes; "" where nothing helps."""

    turn = ""


def wait(request: HttpRequest, purpose: Purpose) -> Pause:
    """0 when the client may go on, which is then counted; else how long until it is worth trying again.

    When all clients together are over their limit, a client that is not is asked to wait: it sends the same again
    after DELAY seconds, with the `turn` that the page gave it, and passes, up to another, larger limit.

    REMOTE_ADDR is the client's: the site's first middleware has looked through our proxies (TRUSTED_PROXIES). When
    the count cannot be kept the client goes on, because a booking matters more, and listeners are notified. Raises
    django.db.Error where there is no connection to the database at all.
    """
    address = request.META.get("REMOTE_ADDR", "")
    client = _key(purpose, *_networks(address)[:1])
    turns = _TOGETHER.get(purpose, 1)
    if turns > 1 and not _due(client, turns):
        return Pause(0)
    try:
        pause, whose = _take(purpose, address, turns, patient=_waited(request, client))
    except Error as error:
        if connection.connection is None:
            raise  # there is no database to go on with either
        events.publish_now(events.LimitUnchecked(limit=purpose.value, error=type(error).__name__))
        return Pause(0)
    if pause:
        events.publish_now(events.LimitReached(limit=purpose.value, whose=whose))
    elif turns > 1:
        _settle(client)
    return pause


def client(request: HttpRequest) -> str:
    """The keyed hash of who asks: an IPv4 address, or an IPv6 /48; "" where there is none (a Unix socket)."""
    network = _networks(request.META.get("REMOTE_ADDR", ""))[-1]
    return _hash(network) if network else ""


def give_back(request: HttpRequest, purpose: Purpose) -> None:
    """What was counted by `wait` came to nothing: what all clients share gets most of it back, the client does not."""
    limit: Limit = settings.RATE_LIMITS[purpose.value]
    client, *around = (_key(purpose, network) for network in _networks(request.META.get("REMOTE_ADDR", "")))
    everybody = "patient" if _waited(request, client) else "everybody"
    shared = {**dict.fromkeys(around, limit.neighbours), f"{purpose.value}:{everybody}": getattr(limit, everybody)}
    with suppress(Error), connection.cursor() as cursor:
        for key, rate in shared.items():
            cursor.execute(_GIVE_BACK, [rate.step * (1 - _REFUSED_COSTS), key])


def _waited(request: HttpRequest, client: str) -> bool:
    """Whether the request brings a turn of this client's that is old enough."""
    given = request.POST.get("turn") or request.GET.get("turn") or ""
    signer = signing.TimestampSigner(salt="bookings.limits")
    with suppress(signing.BadSignature):
        if signer.unsign(given, max_age=_GOOD_FOR) == client:
            try:
                signer.unsign(given, max_age=DELAY)
            except signing.SignatureExpired:
                return True
    return False


def forget_whole() -> int:
    """Delete the rows that say nothing any more, and so all hashes of addresses; returns how many."""
    whole = Allowance.objects.filter(whole_at__lte=Now())
    with transaction.atomic():
        # A row being counted now is not waited for: its client's statement may wait for one we hold.
        unused = list(whole.select_for_update(skip_locked=True).values_list("pk", flat=True))
        return Allowance.objects.filter(pk__in=unused).delete()[0]


def _networks(address: str) -> list[str]:
    """Whom an address stands for: one client (itself, or its /64), and with IPv6 those who have the /48 in common."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return [""]
    if known.version == 4:
        return [address]
    return [str(ipaddress.ip_network((known, length), strict=False)) for length in (64, 48)]


def _key(purpose: Purpose, network: str) -> str:
    """A name that says nothing without SECRET_KEY."""
    return f"{purpose.value}:{_hash(network)}"


def _hash(network: str) -> str:
    return salted_hmac("bookings.limits", network, algorithm="sha256").hexdigest()[:40]


def _take(purpose: Purpose, address: str, turns: int, *, patient: bool) -> tuple[Pause, str]:
    """Count so many turns; or how long to wait and whose allowance is used up, client's, neighbours' or everybody's."""
    limit: Limit = settings.RATE_LIMITS[purpose.value]
    keys = dict(zip(("client", "neighbours"), (_key(purpose, each) for each in _networks(address)), strict=False))
    everybody = "patient" if patient else "everybody"
    keys[everybody] = f"{purpose.value}:{everybody}"
    rates = {whose: getattr(limit, whose) for whose in keys}
    with connection.cursor() as cursor:
        cursor.execute(
            _statement(tuple(keys)),
            keys
            | {f"{whose}_cost": rate.step * turns for whose, rate in rates.items()}
            | {f"{whose}_period": rate.seconds for whose, rate in rates.items()},
        )
        if cursor.fetchone():
            return Pause(0), ""
        waits = {}
        for whose, key in keys.items():
            cursor.execute(_AHEAD, [key])
            ahead = cursor.fetchone()
            waits[whose] = (ahead[0] if ahead else 0.0) + rates[whose].step * turns - rates[whose].seconds
    whose = max(waits, key=lambda name: waits[name])
    if whose != "everybody":
        return Pause(max(1, math.ceil(waits[whose]))), "everybody" if whose == "patient" else whose
    pause = Pause(DELAY + 1)
    pause.turn = signing.TimestampSigner(salt="bookings.limits").sign(keys["client"])
    return pause, whose


@cache
def _statement(whom: tuple[str, ...]) -> str:
    """Judges and counts for each in turn, as long as nobody before is over his limit; a row when all may go on."""
    steps = [
        (_FIRST if number == 0 else _NEXT).format(whose=whose, before=whom[number - 1]) + _COUNT.format(whose=whose)
        for number, whose in enumerate(whom)
    ]
    before = ", ".join(f"{whose} AS ({step})" for whose, step in zip(whom, steps[:-1], strict=False))
    return f"WITH {before} {steps[-1]}"


# A page view is too cheap to pay for a write each: a worker counts a client's looks and pays for ten at once. So a
# client may have nine more from each worker than its limit says.
_TOGETHER = {Purpose.AVAILABILITY: 10}
_MOST_CLIENTS = 10_000
_unpaid = OrderedDict[str, int]()
_lock = Lock()


def _due(client: str, turns: int) -> bool:
    with _lock:
        _unpaid[client] = _unpaid.get(client, 0) + 1
        _unpaid.move_to_end(client)
        if len(_unpaid) > _MOST_CLIENTS:
            _unpaid.popitem(last=False)
        return _unpaid[client] >= turns


def _settle(client: str) -> None:
    with _lock:
        _unpaid.pop(client, None)
