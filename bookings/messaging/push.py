"""Notifications on a handyman's phone (Web Push, RFC 8030; signed by VAPID, RFC 8292).

They say what an e-mail's subject says and no more: the push services are others' machines, though what they carry is
encrypted for the phone. A second one with the same `tag` replaces the first, so that one sent twice is seen once.
"""

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

from django.conf import settings

from bookings import connections, events
from bookings.models import Handyman, PushSubscription

_TIMEOUT = 10
"""Seconds a push service gets."""
_GOOD_FOR = 24 * 3600
"""Seconds for which it keeps a notification for a phone that is off."""
_GONE = (404, 410)


def is_on() -> bool:
    """Whether the site can notify phones."""
    return bool(settings.VAPID_PRIVATE_KEY)


def public_key() -> str:
    """What a browser subscribes with: the key's public half, as an uncompressed point in base64url."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from py_vapid import Vapid02

    key = Vapid02.from_string(settings.VAPID_PRIVATE_KEY).public_key
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).decode().rstrip("=")


def is_known(endpoint: str) -> bool:
    """Whether this is the address of a push service that the site sends to; no other machine is written to."""
    try:
        address = urlsplit(endpoint)
    except ValueError:
        return False
    host = address.hostname or ""
    known = any(host == each or host.endswith(f".{each}") for each in settings.PUSH_HOSTS)
    return known and (address.scheme == "https" or host == "127.0.0.1")


def send(handyman: Handyman, *, title: str, tag: str) -> bool:
    """Notify each of his phones; whether a push service took it for at least one. A phone that is gone is forgotten.

    None of somebody who may not log in (any more): it was switched on behind the login.
    """
    if not is_on() or not handyman.may_log_in:
        return False
    phones = list(handyman.subscriptions.all())
    if not phones:
        return False
    connections.release()
    body = json.dumps({"title": title, "tag": tag})
    taken = [_sent(phone, body) for phone in phones]
    return any(taken)


def _sent(phone: PushSubscription, body: str) -> bool:
    from pywebpush import WebPushException, webpush  # when it is used: it brings aiohttp

    try:
        webpush(
            {"endpoint": phone.endpoint, "keys": phone.keys},
            body,
            vapid_private_key=settings.VAPID_PRIVATE_KEY,
            vapid_claims={"sub": f"mailto:{settings.STAFF_EMAIL}"},
            timeout=_TIMEOUT,
            ttl=_GOOD_FOR,
        )
    except WebPushException as refusal:
        if refusal.response is not None and refusal.response.status_code in _GONE:
            phone.delete()
            events.publish(events.PushSent(outcome="gone"))
        else:
            events.publish(events.PushFailed(error=type(refusal).__name__))
        return False
    except (OSError, ValueError) as error:  # no answer (requests' errors are OSErrors), or keys that are none
        events.publish(events.PushFailed(error=type(error).__name__))
        return False
    events.publish(events.PushSent(outcome="sent"))
    return True
