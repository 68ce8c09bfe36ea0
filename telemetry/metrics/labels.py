"""Labels of bounded cardinality."""


class BoundedLabel:
    """Admits the first `limit` distinct values of a label and calls the rest "other"."""

    def __init__(self, limit: int) -> None:
        self._limit, self._seen = limit, set[str]()

    def __call__(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._limit:
            return "other"
        self._seen.add(value)
        return value
