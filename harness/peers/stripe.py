"""Stripe's side as tests see it: start it, pay as a customer does, make it sick, read its books, carry its webhooks."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stripe

from harness.stack import BASE_DIR, free_port, wait_for

GOOD_CARD, DECLINED_CARD = "4242424242424242", "4000000000000341"


@dataclass(frozen=True)
class StripePeer:
    """A running server; `environment` makes a site use it."""

    url: str
    process: subprocess.Popen[bytes]
    secret: str = "whsec_only_for_tests_0123456789"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "STRIPE_SECRET_KEY": "sk_test_only_for_tests",
            "STRIPE_WEBHOOK_SECRET": self.secret,
            "STRIPE_API_BASE": self.url,
            "STRIPE_CHECKOUT_ORIGIN": self.url,
        }

    def pay(self, session_url: str, card: str = GOOD_CARD) -> bool:
        """Pay as the hosted page does. False when the page is over or the card is declined."""
        body = urllib.parse.urlencode({"card": card}).encode()
        request = urllib.request.Request(session_url, body, {"Accept": "application/json"})
        try:
            _no_redirect.open(request, timeout=10)
        except urllib.error.HTTPError as answer:
            return answer.code == 303
        return False

    def ledger(self) -> dict[str, list[dict[str, Any]]]:
        """Every checkout.session, payment_intent, charge, refund and event."""
        with urllib.request.urlopen(f"{self.url}/_config/ledger", timeout=30) as answer:
            found: dict[str, list[dict[str, Any]]] = json.load(answer)
        return found

    def forget(self) -> None:
        """Begin with empty books."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_config/data", method="DELETE"), timeout=10).close()

    def fail(self, mode: str, *, times: int = 10**9, paths: str = ".*") -> None:
        """The next calls to the API hang, garble, are nonsense, error or lose (done, but never answered)."""
        self._configure("fault", {"mode": mode, "times": times, "paths": paths})

    def refuse(self) -> None:
        """Refuse connections until it recovers; the books stay."""
        self.process.send_signal(signal.SIGUSR1)
        wait_for("Stripe's peer to refuse", lambda: not _answers(self), 30)

    def recover(self) -> None:
        """Answer properly from now on."""
        self.process.send_signal(signal.SIGUSR2)
        wait_for("Stripe's peer to answer", lambda: _answers(self), 30)
        self.fail("", times=0)

    def tell(self, site_url: str) -> None:
        """Send webhooks to a site by itself, a second after each event."""
        self._configure("webhooks/site", {"url": f"{site_url}/api/stripe", "secret": self.secret})

    def signed(self, event: dict[str, Any], *, at: int | None = None, secret: str = "") -> tuple[bytes, str]:
        """An event as Stripe posts it: the body, and the header `Stripe-Signature`."""
        text = json.dumps(event)
        return text.encode(), stripe.WebhookSignature.generate_signature_header(text, secret or self.secret, at)

    def _configure(self, what: str, body: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_config/{what}", json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=10).close()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_no_redirect = urllib.request.build_opener(_NoRedirect)


@contextmanager
def running_stripe() -> Iterator[StripePeer]:
    """Run a server on a free port until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "harness.peers.stripe_server", str(port)]
    server = subprocess.Popen(command, cwd=BASE_DIR, env={"PATH": "", "PYTHONPATH": str(BASE_DIR)})
    peer = StripePeer(f"http://127.0.0.1:{port}", server)
    try:
        wait_for("Stripe's peer to answer", lambda: _answers(peer), 30)
        yield peer
    finally:
        server.terminate()
        server.wait(10)


def _answers(peer: StripePeer) -> bool:
    try:
        return "event" in peer.ledger()
    except OSError:
        return False
