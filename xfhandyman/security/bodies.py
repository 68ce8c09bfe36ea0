"""Bodies that are refused by their length alone, before anything of them is read, and those that did not come whole."""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render


class WholeStream(LimitedStream):
    """A request's body. Raises OSError where it ends before its length: half a form is not taken for a whole one."""

    _pos: int

    def __init__(self, stream: Any, limit: int) -> None:
        super().__init__(stream, limit)
        self.cut_off = False

    def read(self, size: int | None = -1, /) -> bytes:
        asked = self._asked(size)
        return self._checked(super().read(size), asked)

    def readline(self, size: int | None = -1, /) -> bytes:
        asked = self._asked(size)
        line: bytes = super().readline(size)
        return line if line.endswith(b"\n") else self._checked(line, asked)

    def _asked(self, size: int | None) -> int:
        left = self.limit - self._pos
        return left if size is None or size < 0 else min(size, left)

    def _checked(self, data: bytes, asked: int) -> bytes:
        if len(data) < asked:
            self.cut_off = True
            raise ConnectionAbortedError("the body ended before its length")
        return data


class BodyLimitMiddleware:
    """413 above BODY_LIMITS of the path, elsewhere above what Django reads into memory; 408 where not all of it came.

    Stands before who reads forms. A body without a length is no way around it: Django then reads none. Browsers check
    photos by themselves first (static/js/draft.js), and so need not send what is refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.limits = [(re.compile(path), limit) for path, limit in settings.BODY_LIMITS.items()]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        own = (limit for path, limit in self.limits if path.search(request.path_info))
        limit = next(own, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if len(length) > 15 or (length.isdecimal() and int(length) > limit):
            return _refusal(request, 413, megabytes=limit // 1_000_000)
        response = self.get_response(request)
        # Django's check of the form's token takes a body that cannot be read for one without a token.
        return _refusal(request, 408) if getattr(request, "cut_off", False) else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """No fault of the site."""
        return _refusal(request, 408) if isinstance(exception, UnreadablePostError) else None


def _refusal(request: HttpRequest, status: int, **context: int) -> HttpResponse:
    context_and_id = {**context, "request_id": getattr(request, "request_id", "")}
    return render(request, f"{status}.html", context_and_id, status=status)
