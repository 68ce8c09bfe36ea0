"""Queries that are written out once in a process and asked again with other values.

Django takes longer to write a statement than PostgreSQL to answer it. Only the words are kept, never what was read: a
kept query sees what is in the database at that moment, as any other.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from django.db import connections, router
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange
from django.db.models import Model, QuerySet

Row = tuple[Any, ...]
_M = TypeVar("_M", bound=Model)
_Fill = Callable[[Sequence[Any]], Any]

_STAND_INS: dict[type, Callable[[int], Any]] = {
    int: lambda number: 2**62 + number,
    str: lambda number: f"stand-in {number}",
    date: lambda number: date(9000 + number, 1, 1),
    datetime: lambda number: datetime(9000 + number, 1, 1, tzinfo=UTC),
    list: lambda number: [2**62 + number],
}


class KeptQuery:
    """The statement of `query(*values)`, of values of these types.

    They may stand in it as values, or as the ends of ranges, alone: the same words must do for any of them.
    """

    def __init__(self, query: Callable[..., QuerySet[Any, Any]], *types: type) -> None:
        stand_ins = [_STAND_INS[each](number) for number, each in enumerate(types)]
        written = query(*stand_ins)
        self.sql, params = written.query.get_compiler(written.db).as_sql()
        self.model = written.model
        self._params: list[Any] = list(params)
        fills = [_fill(each, stand_ins) for each in self._params]
        self._fills = [(number, fill) for number, fill in enumerate(fills) if fill]

    def params(self, values: Sequence[Any]) -> list[Any]:
        """Of the statement, with these values."""
        params = self._params.copy()
        for number, fill in self._fills:
            params[number] = fill(values)
        return params

    def rows(self, *values: Any) -> list[Row]:
        """What `values_list` of the query gives, where no field of it converts."""
        return together((self, values))[0]


class Statement:
    """SQL of our own that returns rows of a model's database; its parameters are the values, in their order."""

    def __init__(self, sql: str, model: type[Model]) -> None:
        self.sql, self.model = sql, model

    def params(self, values: Sequence[Any]) -> list[Any]:
        return list(values)


Asked = tuple[KeptQuery | Statement, Sequence[Any]]
"""A query with its values."""


def together(*asked: Asked) -> list[list[Row]]:
    """The rows of each query with its values, in one round trip. At least one query.

    They are run one after the other, and each sees what is committed when its own turn comes: so what follows a
    statement that waits for a lock sees what the lock's last holder has written.
    """
    sql = "; ".join(query.sql for query, _ in asked)
    params = [param for query, values in asked for param in query.params(values)]
    found = list[list[Row]]()
    with connections[router.db_for_read(asked[0][0].model)].cursor() as cursor:
        cursor.execute(sql, params)
        for number in range(len(asked)):
            if number:
                cursor.nextset()
            found.append(list(cursor.fetchall()))
    return found


def columns(model: type[Model]) -> list[str]:
    """All of a model's table."""
    return [field.attname for field in model._meta.concrete_fields]


def instance(model: type[_M], row: Row) -> _M:
    """The object that a row of all columns is."""
    return model.from_db(router.db_for_read(model), columns(model), row)


def _fill(param: Any, stand_ins: list[Any]) -> _Fill | None:
    """What gives the parameter from the values, if it stands for one of them or holds one."""
    if isinstance(param, DateTimeTZRange | NumericRange):
        lower, upper = (_fill(each, stand_ins) for each in (param.lower, param.upper))
        made, low, high, bounds = type(param), param.lower, param.upper, param.bounds
        if lower or upper:
            return lambda values: made(lower(values) if lower else low, upper(values) if upper else high, bounds)
    elif param in stand_ins:
        number = stand_ins.index(param)
        return lambda values: values[number]
    return None
