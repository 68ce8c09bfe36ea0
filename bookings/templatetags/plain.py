"""Text of customers in plain-text e-mails: it cannot pass for a line of ours, nor steer what shows it."""

from django import template

from bookings import text

register = template.Library()
register.filter("oneline", text.line)

_MOST = 500


@register.filter
def quoted(words: str) -> str:
    """The text with each line marked as somebody's words, at most 500 characters of it."""
    kept = words[:_MOST] + (" ..." if len(words) > _MOST else "")
    return "\n".join(f"> {text.line(line)}" for line in kept.splitlines())
