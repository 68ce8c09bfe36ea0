"""What a process keeps of what it has made, for as long as what that was made of is the same."""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, cast

from django.core.signals import setting_changed

T = TypeVar("T")
_caches: "list[ProcessCache[Any]]" = []


class ProcessCache(Generic[T]):
    """At most so many values by key; when it is full, all are dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Hashable, tuple[object, T]] = {}
        _caches.append(self)

    def get(self, key: Hashable, of: object, make: Callable[[], T]) -> T:
        """What `make` gave for this key, unless that was of something else: then it is made again."""
        found = self._found.get(key)
        if found is None or found[0] != of:
            found = (of, make())
            if len(self._found) >= self._most:
                self.clear()
            self._found[key] = found
        return found[1]

    def clear(self) -> None:
        self._found.clear()


_of_catalogue = ProcessCache[Any](1000)


def of_catalogue(version: str, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` reads of the catalogue, kept for this version of it: for showing alone, and not to be changed."""
    return cast("T", _of_catalogue.get(key, version, make))


def forget(**_signal: object) -> None:
    """Keep nothing of what is kept: the settings are others."""
    for each in _caches:
        each.clear()


setting_changed.connect(forget)
