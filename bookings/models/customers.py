"""The links by which customers see all their visits."""

from datetime import timedelta

from django.core import signing
from django.db import models
from django.utils import timezone

from bookings.models.booking import Booking

_SALT = "bookings.own_page"


class CustomerLink(models.Model):
    """The newest link that was mailed to an address, and the page that was opened by it. Keys alone, no address.

    The address is the booking's, as long as `digest` says that it is the one that asked.
    """

    MAILED_FOR = timedelta(hours=2)
    """How long the link of an e-mail can be used."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True, help_text="A keyed hash of the address.")
    mailed_key = models.CharField(max_length=22, help_text="In the e-mail's link; empty once it was used.", blank=True)
    page_key = models.CharField(max_length=22, help_text="In the address of the page, once it is open.", blank=True)
    made_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Link {self.pk}"

    @property
    def mailed_token(self) -> str:
        """What the address in the e-mail carries."""
        return self._token(self.mailed_key)

    @property
    def page_token(self) -> str:
        """What the address of the page carries."""
        return self._token(self.page_key)

    @staticmethod
    def read(token: str) -> tuple[int, str] | None:
        """The link's primary key and the key that a token carries; None when it was not signed here."""
        try:
            pk, key = signing.Signer(salt=_SALT).unsign_object(token)
        except (signing.BadSignature, ValueError, TypeError):
            return None
        return pk, key

    def _token(self, key: str) -> str:
        return signing.Signer(salt=_SALT).sign_object([self.pk, key])
