"""The photos of a visit: sent by its customer, at most five, for who comes."""

import hashlib
from collections.abc import Sequence

from django.db import transaction

from bookings import events
from bookings.messaging import photos
from bookings.models import Booking, VisitPhoto


class TooManyPhotos(Exception):
    """The visit would have more photos than it may; nothing was added."""


@transaction.atomic
def add(*, booking: Booking, jpegs: Sequence[bytes]) -> int:
    """Keep pictures that photos.redraw has drawn; returns how many are new. Raises TooManyPhotos."""
    Booking.objects.for_change(booking.pk)  # two forms at once take turns, and count each other's
    had = set(VisitPhoto.objects.filter(booking=booking).values_list("digest", flat=True))
    new = {hashlib.sha256(jpeg).hexdigest(): jpeg for jpeg in jpegs}
    added = {digest: jpeg for digest, jpeg in new.items() if digest not in had}
    if len(had) + len(added) > photos.MOST:
        raise TooManyPhotos
    VisitPhoto.objects.bulk_create(
        VisitPhoto(booking=booking, jpeg=jpeg, digest=digest) for digest, jpeg in added.items()
    )
    if added:
        events.publish(events.PhotosAdded(booking_id=booking.pk, service=booking.service.slug, count=len(added)))
    return len(added)
