"""The health checks of what the business depends on, registered in xfhandyman/apps.py: whether Stripe answers."""

from django.conf import settings

from telemetry.health import State

TIMEOUT = 3
"""Seconds it gets to answer."""


def stripe() -> State:
    """Ask Stripe for the account's balance: proves the way there and the key.

    Raises requests.RequestException.
    """
    key = getattr(settings, "STRIPE_SECRET_KEY", "")
    if not key:
        return "disabled"
    import requests  # 80 ms and 8 MB of each process, which owes them to nobody without a key

    base = (getattr(settings, "STRIPE_API_BASE", "") or "https://api.stripe.com").rstrip("/")
    answer = requests.get(f"{base}/v1/balance", auth=(key, ""), timeout=TIMEOUT, allow_redirects=False)
    answer.json()  # or it is somebody else who answers
    # A restricted key may not read the balance (403); it is Stripe that answered.
    return "degraded" if answer.status_code in (401, 429) or answer.status_code >= 500 else "ok"
