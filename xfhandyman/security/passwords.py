"""Passwords that a guesser tries first here, though no list of common ones has them."""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

_OURS = {"handyman", "xfhandyman", "office"}
_SHORTEST = 4


def words() -> set[str]:
    """What belongs to this business: words of its name and of the site's host name, and what the product is called."""
    told = re.findall(r"\w+", f"{settings.BUSINESS_NAME} {urlsplit(settings.SITE_URL).hostname}".lower())
    return _OURS | {word for word in told if len(word) >= _SHORTEST and not word.isdecimal()}


class BusinessWordsValidator:
    """Refuses a password that has one of the words in it."""

    def validate(self, password: str, user: object = None) -> None:
        if any(word in password.lower() for word in words()):
            raise ValidationError("The password has a word of the business in it, which is guessed first.")

    def get_help_text(self) -> str:
        return "Your password can't have the name of the business in it."
