"""Signs that nobody human wrote a message. A suspicion is only a flag: every message is kept."""

import re

from django.core import signing

_SALT = "contact.opened"
_LEAST_SECONDS = 3  # nobody fills in a form sooner
_MOST_LINKS = 2
_LINK = re.compile(r"https?://|www\.|\[url", re.IGNORECASE)


def opened_stamp() -> str:
    """A signed record of when the form was shown."""
    return signing.TimestampSigner(salt=_SALT).sign("form")


def looks_like_spam(*, opened: str, trap: str, body: str) -> bool:
    """Whether the hidden field was filled in, the form came back too soon or unsigned, or it is full of links."""
    return bool(trap) or len(_LINK.findall(body)) > _MOST_LINKS or not _took_its_time(opened)


def _took_its_time(opened: str) -> bool:
    signer = signing.TimestampSigner(salt=_SALT)
    try:
        signer.unsign(opened)
    except signing.BadSignature:
        return False
    try:
        signer.unsign(opened, max_age=_LEAST_SECONDS)
    except signing.SignatureExpired:
        return True
    return False
