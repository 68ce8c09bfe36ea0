"""Text of customers in plain-text e-mails: it cannot pass for a line of ours, nor steer what shows it."""

import re
import unicodedata

from django import template

register = template.Library()

_MOST = 500


@register.filter
def oneline(text: str) -> str:
    """The text on one line, without control characters and marks that change the direction of writing."""
    return re.sub(r"\s+", " ", "".join(each if _shows(each) else " " for each in text)).strip()


@register.filter
def quoted(text: str) -> str:
    """The text with each line marked as somebody's words, at most 500 characters of it."""
    kept = text[:_MOST] + (" ..." if len(text) > _MOST else "")
    return "\n".join(f"> {oneline(line)}" for line in kept.splitlines())


def _shows(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
