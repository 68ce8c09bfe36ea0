"""The WSGI application gunicorn serves."""

import gc
import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http.request import MediaType
from django.utils.functional import cached_property

from xfhandyman import embedded
from xfhandyman.security.bodies import WholeStream

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")


class Request(WSGIRequest):
    """Leaves out header parameters in a charset that does not exist (RFC 2231), for which Django would answer 500.

    A body that ends too early cannot be read (Django would take what came for all of it).
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ)
        self.whole = WholeStream(environ["wsgi.input"], self._stream.limit)  # type: ignore[attr-defined]  # a LimitedStream
        self._stream = self.whole  # type: ignore[assignment]  # as above

    @property
    def cut_off(self) -> bool:
        """Whether that happened."""
        return self.whole.cut_off

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # the stubs leave it out
        except ValueError:
            meta["CONTENT_TYPE"] = meta["CONTENT_TYPE"].partition(";")[0]
            super()._set_content_type_params(meta)  # type: ignore[misc]  # as above

    @cached_property
    def accepted_types(self) -> list[MediaType]:
        try:
            return super().accepted_types
        except ValueError:
            return [MediaType("*/*")]


embedded.stand_in()
gc.disable()  # What is loaded stays. Looking through it for garbage, some hundred times, is a tenth of a start.
application = get_wsgi_application()
gc.freeze()
gc.enable()
application.request_class = Request
