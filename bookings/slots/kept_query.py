"""A query that is written out once and asked again of other times: writing it costs more than reading the rows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import connections, router
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import QuerySet

_STAND_INS = tuple(datetime(9000 + n, 1, 1, tzinfo=UTC) for n in range(3))


class KeptQuery:
    """The statement of `query(start, end, now)`, which may hold its times as values or as the ends of ranges alone."""

    def __init__(self, query: Callable[[datetime, datetime, datetime], QuerySet[Any, Any]]) -> None:
        written = query(*_STAND_INS)
        self._model = written.model
        self._sql, self._params = written.query.get_compiler(written.db).as_sql()

    def rows(self, start: datetime, end: datetime, now: datetime) -> list[tuple[Any, ...]]:
        """What `values_list` of the query gives, where no field of it converts."""
        times: dict[Any, datetime] = dict(zip(_STAND_INS, (start, end, now), strict=True))

        def at_these_times(param: Any) -> Any:
            if isinstance(param, DateTimeTZRange):
                return DateTimeTZRange(*(times.get(each, each) for each in (param.lower, param.upper)), param.bounds)
            return times.get(param, param) if isinstance(param, datetime) else param

        with connections[router.db_for_read(self._model)].cursor() as cursor:
            cursor.execute(self._sql, [at_these_times(param) for param in self._params])
            return list(cursor.fetchall())
