"""Pages whose HTML is kept per process, until the catalogue changes.

Of a template everything is kept but what stands in `{% each_request %}`: nonces, tokens, forms and free windows. A page
asks the database for the version of the catalogue before anything is taken from here, so the first request after
a change is committed shows it, whichever process or node it reaches. What books reads the tables themselves.
"""

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import Context, NodeList, RequestContext, Template, loader
from django.utils import timezone

from bookings.models import CatalogueChange
from bookings.process_cache import ProcessCache

_MARK = f"<!--{secrets.token_hex(16)}-->"
_COLLECTED = "each_request_nodes"
Values = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Page:
    """A template's HTML in pieces, and what is rendered between them for every request."""

    template: Template
    pieces: list[str]
    nodes: list[NodeList] = field(default_factory=list)

    def html(self, request: HttpRequest, live: dict[str, Any]) -> str:
        context, parts = RequestContext(request, live), [self.pieces[0]]
        with context.render_context.push_state(self.template), context.bind_template(self.template):
            for nodes, piece in zip(self.nodes, self.pieces[1:], strict=True):
                parts += (nodes.render(context), piece)
        return "".join(parts)


_pages = ProcessCache[_Page](200)
_fragments = ProcessCache[str](100)


def fragment(key: Hashable, shown: object, render: Callable[[], str]) -> str:
    """The HTML of `shown`, which is rendered again as soon as that is no longer equal to what it was for this key.

    Key and `shown` say everything that the HTML depends on but the settings.
    """
    return _fragments.get(key, shown, render)


def answer(
    request: HttpRequest,
    template: str,
    *,
    kept: Values,
    live: Values = dict,
    version: Callable[[], str] = CatalogueChange.objects.version,
    keep: bool | None = None,
) -> HttpResponse:
    """The page of this path. `kept` is asked for what it shows when that may have changed, `live` every time.

    Only `live` may depend on more than the path, the settings, the day and what `version` stands for. A page asked
    for with a query string is rendered whole, unless `keep` says that `kept` does not depend on it.
    """
    may_keep = not request.META.get("QUERY_STRING") if keep is None else keep
    if settings.DEBUG or not may_keep:
        return render(request, template, kept() | live())
    of = version(), timezone.localdate()
    page = _pages.get((request.path, template), of, lambda: _rendered(request, template, kept()))
    return HttpResponse(page.html(request, live()))


def each_request(context: Context, nodes: NodeList) -> str:
    """What the tag of that name renders: its contents, or in a page that is being kept a mark in their place."""
    collected = cast("list[NodeList] | None", context.get(_COLLECTED))
    if collected is None:
        return nodes.render(context)
    collected.append(nodes)
    return _MARK


def _rendered(request: HttpRequest, template: str, kept: dict[str, Any]) -> _Page:
    nodes, backend = list[NodeList](), loader.get_template(template)
    html = backend.render(kept | {_COLLECTED: nodes}, request)
    return _Page(backend.template, html.split(_MARK), nodes)  # type: ignore[attr-defined] # Django's engine
