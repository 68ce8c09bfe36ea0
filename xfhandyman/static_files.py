"""Static files, served by WhiteNoise."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.utils.functional import cached_property
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import Response, StaticFile


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Works out a file's headers when it is first asked for: those of all 400 files take a twentieth of a start.

    Which files there are is still found once, at the start.
    """

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> Any:
        make = partial(super().get_static_file, path, url, stat_cache=stat_cache)
        return make() if stat_cache is None else _Prepared(make)


class _Prepared:
    """Answers as the file that `make` returns."""

    def __init__(self, make: Callable[[], StaticFile]) -> None:
        self._make = make

    @cached_property
    def _file(self) -> StaticFile:
        return self._make()

    def get_response(self, method: str, request_headers: Mapping[str, str]) -> Response:
        return self._file.get_response(method, request_headers)
