"""Where a handyman's visits go besides the site: his calendar and his phones."""

from django.core import signing
from django.db import models
from django.utils import timezone

from bookings.models.booking import new_link_key
from bookings.models.people import Handyman

_SALT = "bookings.feed"


class CalendarFeedQuerySet(models.QuerySet["CalendarFeed"]):
    def for_link(self, token: str) -> "CalendarFeed":
        """The feed of a signed address, of a handyman who works here and may log in.

        Raises CalendarFeed.DoesNotExist when the address is forged or revoked.
        """
        try:
            pk, key = signing.Signer(salt=_SALT).unsign_object(token)
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise self.model.DoesNotExist from error
        theirs = self.select_related("handyman__user")
        found = theirs.get(handyman=pk, key=key)
        if not found.handyman.may_log_in:
            raise self.model.DoesNotExist
        return found


class CalendarFeed(models.Model):
    """A handyman's visits, for a calendar that reads them at a secret address. Without the row there is no address."""

    handyman = models.OneToOneField(Handyman, models.CASCADE, related_name="feed")
    key = models.CharField(max_length=22, default=new_link_key, editable=False)
    names = models.BooleanField(default=False, help_text="With the customers' names, addresses and phone numbers.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CalendarFeedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Calendar of {self.handyman}"

    @property
    def token(self) -> str:
        """Signed, and unguessable even to who knows the signing key."""
        return signing.Signer(salt=_SALT).sign_object([self.handyman_id, self.key])


class PushSubscription(models.Model):
    """A browser of a handyman's that is notified by Web Push, with the keys that the message is encrypted for."""

    handyman = models.ForeignKey(Handyman, models.CASCADE, related_name="subscriptions")
    endpoint = models.CharField(max_length=600, unique=True)
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Phone of {self.handyman}"

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": self.p256dh, "auth": self.auth}
