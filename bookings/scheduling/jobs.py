"""The jobs of a visit beyond its first."""

from collections.abc import Sequence

from bookings.models import Booking, BookingLine


def write(booking: Booking, jobs: Sequence[BookingLine]) -> None:
    """Write the further jobs of a visit; a basket's own lines stay unsaved, as an attempt may come again."""
    lines = [
        BookingLine(
            booking=booking,
            position=position,
            service=job.service,
            quantity=job.quantity,
            minutes=job.minutes,
            pricing=job.pricing,
            price_pence=job.price_pence,
            minimum_minutes=job.minimum_minutes,
        )
        for position, job in enumerate(jobs, start=1)
    ]
    if lines:
        BookingLine.objects.bulk_create(lines)
