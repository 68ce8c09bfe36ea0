"""Mozilla's HTTP Observatory, re-implemented: its ten tests (algorithm 5, as of 2026) with their points, and its grade.

Where the original tells several bad states apart that cost the same, this one has one. What a site cannot do by its
headers (being on the browsers' preload list) is never granted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

_BROAD = {"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"}
_UNSAFE = {"'unsafe-inline'", "data:"}
_GRADES = {
    100: "A+",
    90: "A",
    85: "A-",
    80: "B+",
    70: "B",
    65: "B-",
    60: "C+",
    50: "C",
    45: "C-",
    40: "D+",
    30: "D",
    25: "D-",
}
"""By the least score that has it; "F" is what is left."""


@dataclass(frozen=True)
class Scan:
    """One page over HTTPS, and what plain HTTP answered. Header names are lower-case."""

    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    """Each a `Set-Cookie` header."""
    html: str
    host: str
    plain_location: str
    """Where plain HTTP redirects to; empty where it does not."""


def grade(scan: Scan) -> tuple[str, int]:
    """The grade and the score. Bonuses count from 90 points on, as in the original."""
    points = modifiers(scan).values()
    without_bonus = 100 + sum(point for point in points if point < 0)
    score = max(0, 100 + sum(points) if without_bonus >= 90 else without_bonus)
    return next((mark for least, mark in _GRADES.items() if score >= least), "F"), score


def modifiers(scan: Scan) -> dict[str, int]:
    """What each test adds or takes."""
    return {
        "content-security-policy": _policy(_directives(scan)),
        "cookies": _cookies(scan),
        "cross-origin-resource-sharing": _sharing(scan),
        "redirection": _redirection(scan),
        "referrer-policy": _referrer(scan),
        "strict-transport-security": 0 if _hsts(scan) else -20,
        "subresource-integrity": _integrity(scan),
        "x-content-type-options": 0 if scan.headers.get("x-content-type-options", "").lower() == "nosniff" else -5,
        "x-frame-options": _frames(scan),
        "cross-origin-resource-policy": _resource_policy(scan),
    }


def _directives(scan: Scan) -> dict[str, set[str]]:
    text = scan.headers.get("content-security-policy", "").lower()
    parts = [part.split() for part in text.split(";") if part.strip()]
    return {name: set(sources) for name, *sources in parts}


def _policy(policy: dict[str, set[str]]) -> int:
    if not policy:
        return -25
    default = policy.get("default-src", {"*"})
    scripts, styles = set(policy.get("script-src", default)), set(policy.get("style-src", default))
    for sources in (scripts, styles):
        if any(source.startswith(("'nonce-", "'sha")) for source in sources):
            sources.discard("'unsafe-inline'")
    if scripts & (_BROAD | _UNSAFE) or policy.get("object-src", default) & _BROAD:
        return -20
    others = {source for name, sources in policy.items() if name not in ("img-src", "media-src") for source in sources}
    if any(source.startswith(("http:", "ftp:")) for source in others):
        return -20
    if "'unsafe-eval'" in scripts | styles:
        return -10
    passive = policy.get("img-src", default) | policy.get("media-src", default)
    if any(source.startswith(("http:", "ftp:")) for source in passive):
        return -10
    if styles & (_BROAD | _UNSAFE):
        return 0
    return 10 if default == {"'none'"} else 5


def _cookies(scan: Scan) -> int:
    if not scan.cookies:
        return 0
    worst = 5
    for header in scan.cookies:
        ((name, cookie),) = SimpleCookie(header).items()
        session = any(mark in name.lower() for mark in ("login", "sess"))
        if session and not cookie["httponly"]:
            worst = min(worst, -30)
        if not cookie["secure"]:
            worst = min(worst, (-10 if session else -5) if _hsts(scan) else (-40 if session else -20))
        if cookie["samesite"].lower() not in ("", "lax", "strict") or (
            "csrf" in name.lower() and not cookie["samesite"]
        ):
            worst = min(worst, -20)
        if not cookie["samesite"]:
            worst = min(worst, 0)
    return worst


def _sharing(scan: Scan) -> int:
    shared = scan.headers.get("access-control-allow-origin", "")
    credentials = scan.headers.get("access-control-allow-credentials", "").lower() == "true"
    return -50 if shared not in ("", "*") and credentials else 0


def _redirection(scan: Scan) -> int:
    target = urlsplit(scan.plain_location)
    if target.scheme != "https":
        return -20
    return 0 if target.hostname == scan.host else -5


def _referrer(scan: Scan) -> int:
    said = scan.headers.get("referrer-policy", "").lower()
    if not said:
        return 0
    private = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
    return 5 if said.rpartition(",")[2].strip() in private else -5


def _hsts(scan: Scan) -> bool:
    found = re.search(r"max-age=(\d+)", scan.headers.get("strict-transport-security", ""))
    return found is not None and int(found[1]) >= 15_768_000


def _integrity(scan: Scan) -> int:
    scripts = [(tag, re.search(r'\bsrc="([^"]*)"', tag)) for tag in re.findall(r"<script\b[^>]*>", scan.html)]
    foreign = [(tag, source[1]) for tag, source in scripts if source and re.match(r"(https?:)?//", source[1])]
    if any(not address.startswith("https:") for _tag, address in foreign):
        return -50 if any("integrity=" not in tag for tag, _address in foreign) else -20
    if foreign:
        return 5 if all("integrity=" in tag for tag, _address in foreign) else -5
    return 5 if any(source and "integrity=" in tag for tag, source in scripts) else 0


def _frames(scan: Scan) -> int:
    if not _directives(scan).get("frame-ancestors", {"*"}) & _BROAD:
        return 5
    return 0 if scan.headers.get("x-frame-options", "").upper() in ("DENY", "SAMEORIGIN") else -20


def _resource_policy(scan: Scan) -> int:
    said = scan.headers.get("cross-origin-resource-policy", "").lower()
    return {"": 0, "cross-origin": 0, "same-origin": 10, "same-site": 10}.get(said, -5)
