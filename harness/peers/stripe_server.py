"""Stripe's side for tests: `localstripe` (charges, payment intents, payment methods, refunds, balance, signed webhooks)
and, because it lacks them, our own thin stand-ins for what a deposit needs besides:

- Checkout Sessions and their hosted page, paid by localstripe's own payment intent and charge;
- idempotency keys: a repeated key answers as the first time, with other parameters it is refused;
- refunds of more than was paid are refused;
- faults on request: POST /_config/fault {"mode": ..., "times": n, "paths": "regular expression"}.

It is run as `python -m harness.peers.stripe_server PORT`. GET /_config/ledger gives all the money and every event.
"""

import asyncio
import hashlib
import json
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from aiohttp import web
from localstripe import resources, server
from localstripe.errors import UserError
from localstripe.resources import Event, PaymentIntent, PaymentMethod, Refund, StripeObject, store
from localstripe.webhooks import schedule_webhook

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MINUTES = 60


class CheckoutSession(StripeObject):
    """A page on which one payment is made, once."""

    object = "checkout.session"
    _id_prefix = "cs_test_"

    def __init__(
        self,
        mode: str = "",
        line_items: Any = None,
        success_url: str = "",
        cancel_url: str = "",
        expires_at: Any = None,
        client_reference_id: str | None = None,
        payment_method_types: Any = None,
    ) -> None:
        now = int(time.time())
        expires_at = int(expires_at or now + 24 * 60 * MINUTES)
        price = line_items[0]["price_data"]
        amount = int(price["unit_amount"]) * int(line_items[0]["quantity"])
        if mode != "payment" or amount < 30 or not success_url.startswith("http"):
            raise UserError(400, "Bad request")
        if not now + 30 * MINUTES <= expires_at <= now + 24 * 60 * MINUTES:
            raise UserError(400, "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.")
        super().__init__()
        self.mode, self.success_url, self.cancel_url, self.expires_at = mode, success_url, cancel_url, expires_at
        self.amount_total, self.currency = amount, price["currency"]
        self.client_reference_id, self.payment_method_types = client_reference_id, payment_method_types
        self.payment_intent: str | None = None
        self.name = price["product_data"]["name"]
        self._closed = False

    @property
    def status(self) -> str:
        if self.payment_intent:
            return "complete"
        return "expired" if self._closed or time.time() > self.expires_at else "open"

    @property
    def payment_status(self) -> str:
        return "paid" if self.payment_intent else "unpaid"

    @property
    def url(self) -> str | None:
        return f"{ORIGIN}/c/pay/{self.id}" if self.status == "open" else None

    @classmethod
    def _api_expire(cls, id: str) -> "CheckoutSession":
        session: CheckoutSession = cls._api_retrieve(id)
        if session.status != "open":
            raise UserError(400, 'Only Checkout Sessions with a status in ["open"] can be expired.')
        session._closed = True
        schedule_webhook(Event("checkout.session.expired", session))
        return session

    def _pay(self, card: str) -> None:
        """Raises UserError when the card is declined or the page is over."""
        if self.status != "open":
            raise UserError(400, "This page is no longer open.")
        details = {"number": card, "exp_month": "12", "exp_year": "2040", "cvc": "123"}
        method = PaymentMethod(type="card", card=details)
        intent = PaymentIntent._api_create(
            amount=self.amount_total, currency=self.currency, payment_method=method.id, confirm="true"
        )
        self.payment_intent = intent.id
        schedule_webhook(Event("checkout.session.completed", self))


_make_refund = Refund.__init__


def _make_refund_once(self: Any, payment_intent: Any = None, amount: Any = None, **data: Any) -> None:
    """What was refunded already is refused, as Stripe does."""
    charge = PaymentIntent._api_retrieve(payment_intent).latest_charge
    if charge.amount_refunded + int(amount or charge.amount) > charge.amount:
        raise UserError(400, "Charge has already been refunded.", {"code": "charge_already_refunded"})
    _make_refund(self, payment_intent=payment_intent, amount=amount, **data)
    schedule_webhook(Event("charge.refunded", charge))


@dataclass
class Fault:
    """What goes wrong with the next `times` calls to the API whose path matches."""

    mode: str = ""
    times: int = 0
    paths: str = ".*"
    release: asyncio.Event = field(default_factory=asyncio.Event)


fault = Fault()
answers: dict[str, tuple[str, int, bytes]] = {}
under_way: set[str] = set()
ORIGIN = ""


@web.middleware
async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """hang: never answer. garble, nonsense: answer something else. error: 500. lose: do it, and hang up unanswered."""
    if not fault.times or not request.path.startswith("/v1/") or not re.fullmatch(fault.paths, request.path):
        return await handler(request)
    fault.times -= 1
    if fault.mode == "hang":
        await fault.release.wait()
        return web.Response(status=503)
    if fault.mode == "garble":
        return web.Response(text="<html>a proxy's idea of an answer", content_type="text/html")
    if fault.mode == "nonsense":
        return web.json_response(["not", "a", {"session": None}])
    if fault.mode == "error":
        return web.json_response({"error": {"type": "api_error", "message": "sorry"}}, status=500)
    await handler(request)
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@web.middleware
async def idempotency(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The same key gives the same answer; nothing is done twice."""
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST":
        return await handler(request)
    asked = hashlib.sha256(request.path.encode() + await request.read()).hexdigest()
    if key in under_way:
        raise UserError(409, "In progress.", {"code": "idempotency_key_in_use"})
    if key in answers:
        before, status, body = answers[key]
        if before != asked:
            error = {"type": "idempotency_error", "message": "Keys can only be used with the same parameters."}
            return web.json_response({"error": error}, status=400)
        return web.Response(status=status, body=body, content_type="application/json")
    under_way.add(key)
    try:
        response = await handler(request)
    finally:
        under_way.discard(key)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    answers[key] = (asked, response.status, response.body)
    return response


@web.middleware
async def hosted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The page where the customer pays; it needs no secret key."""
    if not request.path.startswith("/c/pay/"):
        return await handler(request)
    session: CheckoutSession = CheckoutSession._api_retrieve(request.path.rpartition("/")[2])
    said = ""
    if request.method == "POST":
        try:
            session._pay(str((await request.post()).get("card", "")))
        except UserError as error:
            said = error.body["error"].get("message") or "This did not work."
            if request.headers.get("Accept") == "application/json":
                return web.json_response({"error": said}, status=402)
        else:
            raise web.HTTPSeeOther(session.success_url)
    page = f"""<!doctype html><title>Checkout</title><h1>Pay {session.amount_total / 100:.2f} {session.currency}</h1>
        <p>{escape(session.name)}: {session.status}</p><p role=alert>{escape(said)}</p>
        <form method=post><label>Card <input name=card value=4242424242424242></label><button>Pay</button></form>
        <a href="{escape(session.cancel_url)}">Back</a>"""
    return web.Response(text=page, content_type="text/html")


async def set_fault(request: web.Request) -> web.Response:
    fault.release.set()
    wanted = await request.json()
    fault.mode, fault.times, fault.paths = wanted["mode"], wanted.get("times", 10**9), wanted.get("paths", ".*")
    fault.release = asyncio.Event()
    return web.Response()


async def ledger(request: web.Request) -> web.Response:
    """Everything: a list of exported objects for each kind."""
    kinds = ("checkout.session", "payment_intent", "charge", "refund", "event")
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for key, value in list(store.items()):
        kind = key.partition(":")[0]
        if kind in found:
            found[kind].append(_plain(value) if kind == "payment_intent" else value._export())
    return web.json_response(found, dumps=lambda it: json.dumps(it, default=repr))


def _plain(intent: Any) -> dict[str, Any]:
    charge = intent.latest_charge
    return {"id": intent.id, "amount": intent.amount, "status": intent.status, "charge": charge and charge.id}


def main(port: int) -> None:
    global ORIGIN
    ORIGIN = f"http://127.0.0.1:{port}"
    resources.Store.dump_to_disk = lambda self: None  # it would write all of it to one file for the whole machine
    app = server.app
    app.middlewares.insert(0, hosted)
    app.middlewares.insert(0, faults)
    app.middlewares.append(idempotency)
    Refund.__init__ = _make_refund_once
    session = CheckoutSession
    app.router.add_post("/v1/checkout/sessions", server.api_create(session, ""))
    app.router.add_get("/v1/checkout/sessions/{id}", server.api_retrieve(session, ""))
    app.router.add_post("/v1/checkout/sessions/{id}/expire", server.api_extra(session._api_expire, ""))
    app.router.add_post("/_config/fault", set_fault)
    app.router.add_get("/_config/ledger", ledger)
    asyncio.run(serve(app, port))


async def serve(app: web.Application, port: int) -> None:
    """Until SIGTERM. SIGUSR1: refuse connections; SIGUSR2: take them again, with the books as they were."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    web_server = runner.server
    assert web_server is not None
    loop, ended, listening = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    refusing = asyncio.Event()
    listening.set()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, refusing.set)
    loop.add_signal_handler(signal.SIGUSR2, listening.set)

    async def come_and_go() -> None:
        while True:
            await listening.wait()
            site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
            await site.start()
            await refusing.wait()
            refusing.clear()
            listening.clear()
            await site.stop()
            fault.release.set()
            await web_server.shutdown(0.1)  # and hang up on those who are connected

    serving = asyncio.create_task(come_and_go())
    await ended.wait()
    fault.release.set()
    serving.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    main(int(sys.argv[1]))
