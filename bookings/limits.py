"""How often a client, and everybody together, may do what costs the business something.

PostgreSQL holds the count, so a limit is the same for all workers and machines. One statement both judges and counts,
so no two requests share the last turn. A row is a leaky bucket (GCRA): the moment from which the allowance is whole.
The client is known by a keyed hash of its address, never by the address.
"""

import ipaddress
import math
from collections import OrderedDict
from enum import StrEnum
from threading import Lock

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from . import events
from .models import Allowance
from .rates import Limit


class Purpose(StrEnum):
    """What is limited; the names in settings.RATE_LIMITS."""

    BOOKING = "booking"  # a post that books, moves or cancels
    CONTACT = "contact"  # a message
    LINK = "link"  # a booking link that opens nothing: somebody may be guessing
    AVAILABILITY = "availability"  # a look at the free windows
    LOGIN = "login"  # a password of staff, right or wrong: hashing it is what costs
    LOGIN_KNOWN = "login_known"  # the same from a browser that logged in before: strangers cannot use its turns up


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
_TAKE = f"""
WITH client AS (
    INSERT INTO bookings_allowance AS kept (key, whole_at)
    VALUES (%(client)s, clock_timestamp() + make_interval(secs => %(client_cost)s))
    {_COUNT.format(whose="client")}
)
INSERT INTO bookings_allowance AS kept (key, whole_at)
SELECT %(everybody)s, clock_timestamp() + make_interval(secs => %(everybody_cost)s) FROM client
{_COUNT.format(whose="everybody")}
"""  # noqa: S608  # names of parameters alone
_AHEAD = "SELECT extract(epoch FROM whole_at - clock_timestamp())::float FROM bookings_allowance WHERE key = %s"


def wait(request: HttpRequest, purpose: Purpose) -> int:
    """0 when the client may go on, which is then counted; else the whole seconds after which it is worth trying again.

    REMOTE_ADDR is the client's: the site's first middleware has looked through our proxies (TRUSTED_PROXIES). When
    the count cannot be kept the client goes on, because a booking matters more, and listeners are told. Raises
    django.db.Error where there is no connection to the database at all.
    """
    client = _client(request.META.get("REMOTE_ADDR", ""), purpose)
    turns = _TOGETHER.get(purpose, 1)
    if turns > 1 and not _due(client, turns):
        return 0
    try:
        seconds, whose = _take(purpose, client, turns)
    except Error as error:
        if connection.connection is None:
            raise  # there is no database to go on with either
        events.publish_now(events.LimitUnchecked(limit=purpose.value, error=type(error).__name__))
        return 0
    if seconds:
        events.publish_now(events.LimitReached(limit=purpose.value, whose=whose))
    elif turns > 1:
        _settle(client)
    return seconds


def forget_whole() -> int:
    """Delete the rows that say nothing any more, and so all hashes of addresses; returns how many."""
    whole = Allowance.objects.filter(whole_at__lte=Now())
    with transaction.atomic():
        # A row being counted now is not waited for: its client's statement may wait for one we hold.
        unused = list(whole.select_for_update(skip_locked=True).values_list("pk", flat=True))
        return Allowance.objects.filter(pk__in=unused).delete()[0]


def _client(address: str, purpose: Purpose) -> str:
    """A name that says nothing without SECRET_KEY. One household of IPv6 has a whole /64."""
    try:
        known = ipaddress.ip_address(address)
        network = str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address
    except ValueError:  # a Unix socket has none
        network = ""
    return f"{purpose.value}:{salted_hmac('bookings.limits', network, algorithm='sha256').hexdigest()[:40]}"


def _take(purpose: Purpose, client: str, turns: int) -> tuple[int, str]:
    """Count so many turns, or say how long (s) to wait and whose allowance is used up, client's or everybody's."""
    limit: Limit = settings.RATE_LIMITS[purpose.value]
    everybody = f"{purpose.value}:everybody"
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "client": client,
                "client_cost": limit.client.step * turns,
                "client_period": limit.client.seconds,
                "everybody": everybody,
                "everybody_cost": limit.everybody.step * turns,
                "everybody_period": limit.everybody.seconds,
            },
        )
        if cursor.fetchone():
            return 0, ""
        waits = {}
        for whose, key, rate in (("client", client, limit.client), ("everybody", everybody, limit.everybody)):
            cursor.execute(_AHEAD, [key])
            ahead = cursor.fetchone()
            waits[whose] = (ahead[0] if ahead else 0.0) + rate.step * turns - rate.seconds
        whose = max(waits, key=lambda name: waits[name])
        return max(1, math.ceil(waits[whose])), whose


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
