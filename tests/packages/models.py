"""A model whose saves are counted."""

from django_prometheus.models import ExportModelOperationsMixin

from bookings.models import Service


class CountedService(ExportModelOperationsMixin("service"), Service):  # type: ignore[misc]  # a class made at run time
    class Meta:
        proxy = True
