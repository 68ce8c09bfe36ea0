"""How far today's visits are, by what their handymen have reported from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from bookings.messaging.emails import news_of
from bookings.models import Booking, VisitReport


@dataclass(frozen=True, slots=True)
class Progress:
    """By the keys of visits: when their handyman arrived or, where he has not, when he last said he would be there."""

    arrived: dict[int, datetime]
    expected: dict[int, datetime]

    @classmethod
    def of(cls, visits: Iterable[Booking]) -> "Progress":
        """What was reported of these visits. One query."""
        known = {visit.pk: visit for visit in visits}
        kinds = VisitReport.Kind
        told = VisitReport.objects.accepted().filter(
            Q(booking__in=known, kind__in=(kinds.ON_THE_WAY, kinds.ARRIVED)) | Q(told__in=known, kind=kinds.LATE)
        )
        arrived: dict[int, datetime] = {}
        expected: dict[int, datetime] = {}
        for report in told if known else ():
            if report.kind == kinds.ARRIVED:
                arrived.setdefault(report.booking_id, report.at)
                continue
            concerned = report.told_id if report.kind == kinds.LATE else report.booking_id
            if concerned in known:
                expected[concerned] = news_of(report, known[concerned])[1]
        return cls(arrived, {pk: at for pk, at in expected.items() if pk not in arrived})

    def is_at_work(self, visit: Booking, now: datetime) -> bool:
        """Whether its handyman is there and needs no longer than was planned, however late he began."""
        return visit.pk in self.arrived and now < self.arrived[visit.pk] + visit.duration

    def breaks_promise(self, visit: Booking) -> bool:
        """Whether its handyman has said that he comes after the window has closed."""
        return visit.pk in self.expected and self.expected[visit.pk] > visit.arrival_until
