"""The content security policies and the other headers that tell a browser what to forbid.

Customers' pages run the scripts that carry the response's nonce, and no others. The admin's templates (Django's own)
know no nonces: its pages run script files of this site, and jQuery's writing of HTML goes through the default Trusted
Types policy of static/js/trusted.js. Neither runs inline code, handler attributes or `eval`.
"""

from collections.abc import Sequence
from typing import Any

from csp.constants import NONCE, NONE, SELF, UNSAFE_INLINE

OFFICE = "/admin/"
CREW = "/crew/"
REPORTS = "/api/telemetry/csp"

Directives = dict[str, Any]

_PASSKEYS = "publickey-credentials-get"
# Everything a customer's page could ask for and never does. The list is of what Chromium knows: others it warns about.
_FEATURES = (
    "accelerometer", "browsing-topics", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope",
    "hid", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    _PASSKEYS, "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

EVERYWHERE = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # booking links are secrets
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
BARE = EVERYWHERE | {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
"""For answers that no page of ours is: gunicorn's own."""
PAGES = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
}
OFFICE_PAGES = {
    "Permissions-Policy": PAGES["Permissions-Policy"].replace(f"{_PASSKEYS}=()", f"{_PASSKEYS}=(self)"),
}
"""Where staff log in with passkeys."""


def customers(*, form_targets: Sequence[str] = (), report_to: str = "") -> Directives:
    """django-csp's directives for customers' pages.

    `form_targets` are origins that a form may be redirected to; `report_to` names the endpoint of the Reporting API.
    """
    return {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF, *form_targets],
        "frame-ancestors": [NONE],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["picker"],
        "report-uri": [REPORTS],
        "report-to": [report_to] if report_to else None,
    }


def office(directives: Directives) -> Directives:
    """The admin's directives, from the customers' ones."""
    return directives | {
        "script-src": [SELF, NONCE],
        # procrastinate's list of tasks has style attributes; elements stay forbidden.
        "style-src-attr": [UNSAFE_INLINE],
        "form-action": [SELF],
        "trusted-types": ["default"],
    }


def crew(directives: Directives) -> Directives:
    """The directives of a handyman's pages, from the customers' ones: they register a service worker of this site."""
    return directives | {"worker-src": [SELF], "trusted-types": ["crew"]}
