"""The calls to Stripe. Each is bounded in time, carries an idempotency key if it changes anything, and happens while no
database connection is held. What comes back is checked before anybody believes it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings

from bookings import connections, events
from bookings.payments import amounts

if TYPE_CHECKING:
    # Where it is needed it is imported late: pages that do not pay do not pay for it either (0.1 s, 15 MB).
    from stripe import StripeClient

_T = TypeVar("_T")
CONNECT_TIMEOUT, READ_TIMEOUT = 3, 5
"""Seconds. A customer waits for one call at most."""


class StripeFault(Exception):
    """The base of what can go wrong with Stripe."""


class StripeUnavailable(StripeFault):
    """No answer, or none that can be used. Whether anything was done is unknown; asking again is safe."""


class StripeRefused(StripeFault):
    """Stripe says no. `code` is Stripe's own word for why, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session as Stripe has it. `amount` is in minor units; `url` is empty once it is over."""

    id: str
    status: str
    paid: bool
    amount: int
    currency: str
    intent_id: str
    url: str

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def is_expired(self) -> bool:
        return self.status == "expired"


def create_session(
    *, amount: int, currency: str, name: str, reference: str, expires_at: int, paid_url: str, back_url: str, key: str
) -> Session:
    """Make the page where a deposit is paid, by card. The same key with the same arguments gives the same one.

    `expires_at` is in Unix seconds, from 30 minutes to 24 hours ahead. Raises StripeUnavailable, StripeRefused.
    """
    wanted: Any = {
        "mode": "payment",
        "payment_method_types": ["card"],  # no method that says later whether it worked
        "client_reference_id": reference,
        "expires_at": expires_at,
        "success_url": paid_url,
        "cancel_url": back_url,
    }

    def create(client: "StripeClient") -> Session:
        stripes = amounts.to_stripe(amount, currency)
        price = {"currency": currency, "unit_amount": stripes, "product_data": {"name": name}}
        wanted["line_items"] = [{"quantity": 1, "price_data": price}]
        session = _session(client.v1.checkout.sessions.create(wanted, {"idempotency_key": f"{key}-session"}))
        # Whoever answers in Stripe's place must not send customers anywhere else.
        if not session.url.startswith(settings.STRIPE_CHECKOUT_ORIGIN + "/"):
            raise ValueError("not an address of Stripe Checkout")
        return session

    return _ask("create_session", create)


def read_session(session_id: str) -> Session:
    """Raises StripeUnavailable, StripeRefused."""
    return _ask("read_session", lambda client: _session(client.v1.checkout.sessions.retrieve(session_id)))


def expire_session(session_id: str, *, key: str) -> Session:
    """Close the page. Raises StripeRefused when it is no longer open, StripeUnavailable."""
    options: Any = {"idempotency_key": f"{key}-expire"}
    return _ask(
        "expire_session", lambda client: _session(client.v1.checkout.sessions.expire(session_id, options=options))
    )


def refund(*, intent_id: str, amount: int, currency: str, key: str) -> str:
    """Send a whole payment back and return the refund's id; twice is the same as once, also after a day, when Stripe
    has forgotten the key. Raises StripeUnavailable, StripeRefused.
    """

    def give_back(client: "StripeClient") -> str:
        from stripe import InvalidRequestError

        try:
            made: Any = client.v1.refunds.create(
                {"payment_intent": intent_id, "amount": amounts.to_stripe(amount, currency)},
                {"idempotency_key": f"{key}-refund"},
            )
        except InvalidRequestError as error:
            if error.code != "charge_already_refunded":
                raise
            made = client.v1.refunds.list({"payment_intent": intent_id, "limit": 1}).data[0]
        return _text(made.id)

    return _ask("refund", give_back)


def _ask(action: str, work: Callable[["StripeClient"], _T]) -> _T:
    import stripe

    connections.release()
    started = time.perf_counter()

    def failed(outcome: str, error: Exception) -> None:
        seconds, name = round(time.perf_counter() - started, 4), type(error).__name__
        events.publish_now(events.StripeFailed(action=action, seconds=seconds, outcome=outcome, error=name))

    try:
        answer = work(_client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE))
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        failed("unavailable", error)
        raise StripeUnavailable(type(error).__name__) from error
    except stripe.StripeError as error:
        # A call with the same key is still on its way; Stripe asks to wait with this word.
        waits = error.code in ("idempotency_key_in_use", "lock_timeout")
        failed("unavailable" if waits else "refused", error)
        if waits:
            raise StripeUnavailable(type(error).__name__) from error
        raise StripeRefused(type(error).__name__, error.code or "") from error
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:  # an answer of another shape
        failed("unavailable", error)
        raise StripeUnavailable("garbled") from error
    events.publish_now(events.StripeAnswered(action=action, seconds=round(time.perf_counter() - started, 4)))
    return answer


@lru_cache(maxsize=4)
def _client(key: str, base: str) -> "StripeClient":
    import stripe

    # No repetition within a call: a customer is waiting, and tasks have retries of their own.
    http = stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
    return stripe.StripeClient(key, base_addresses={"api": base}, http_client=http, max_network_retries=0)


def _session(answer: Any) -> Session:
    if answer.status not in ("open", "complete", "expired") or not isinstance(answer.amount_total, int):
        raise ValueError("not a Checkout Session")
    intent, currency = answer.payment_intent, _text(answer.currency)
    paid = answer.payment_status == "paid"
    return Session(
        id=_text(answer.id),
        status=answer.status,
        paid=paid,
        amount=amounts.from_stripe(answer.amount_total, currency),
        currency=currency,
        intent_id=_text(intent) if paid else "",
        url=answer.url or "",
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise ValueError("not a short text")
    return value
