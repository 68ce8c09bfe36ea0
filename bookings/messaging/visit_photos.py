"""The photos of a visit: at most five from its customer, for who comes, and five from each handyman who was there."""

import hashlib
from collections.abc import Sequence

from django.db import transaction

from bookings import events
from bookings.messaging import photos
from bookings.models import Booking, Handyman, VisitPhoto

TOO_MANY = f"A visit has at most {photos.MOST} photos from you. Remove one first."


class TooManyPhotos(Exception):
    """The visit would have more photos of this sender than it may; nothing was added."""


def add(*, booking: Booking, jpegs: Sequence[bytes], handyman: Handyman | None = None) -> int:
    """Keep pictures that photos.redraw has drawn, from the customer or a handyman; returns how many are new.

    None are kept of a booking that was erased meanwhile. Raises TooManyPhotos.
    """
    return _add(booking, jpegs, handyman) if jpegs else 0


@transaction.atomic
def _add(booking: Booking, jpegs: Sequence[bytes], handyman: Handyman | None) -> int:
    # Under its lock two forms at once take turns, and none is added behind the back of an erasure.
    if Booking.objects.for_change(booking.pk).erased_at is not None:
        return 0
    had = dict(VisitPhoto.objects.filter(booking=booking).values_list("digest", "handyman_id"))
    new = {hashlib.sha256(jpeg).hexdigest(): jpeg for jpeg in jpegs}
    added = {digest: jpeg for digest, jpeg in new.items() if digest not in had}
    own = sum(sender == (handyman.pk if handyman else None) for sender in had.values())
    if added and own + len(added) > photos.MOST:
        raise TooManyPhotos
    VisitPhoto.objects.bulk_create(
        VisitPhoto(booking=booking, handyman=handyman, jpeg=jpeg, digest=digest) for digest, jpeg in added.items()
    )
    if added:
        events.publish(
            events.PhotosAdded(
                booking_id=booking.pk,
                service=booking.service.slug,
                sender="handyman" if handyman else "customer",
                count=len(added),
            )
        )
    return len(added)
