"""Pages whose HTML is kept per process, until the catalogue changes.

Of a template everything is kept but what stands in `{% each_request %}`: nonces, tokens, forms and free windows. A page
asks the database for the version of the catalogue before anything is taken from here, so the first request after
a change is committed shows it, whichever process or node it reaches. What books reads the tables themselves.
"""

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import Context, NodeList, RequestContext, Template, loader
from django.utils import timezone

from bookings.models import CatalogueChange

_MOST_PAGES = 200
_MOST_VALUES = 1000
_MOST_FRAGMENTS = 100
_MARK = f"<!--{secrets.token_hex(16)}-->"
_COLLECTED = "each_request_nodes"
Values = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Page:
    """A template's HTML in pieces, and what is rendered between them for every request."""

    version: str
    day: date
    template: Template
    pieces: list[str]
    nodes: list[NodeList] = field(default_factory=list)

    def html(self, request: HttpRequest, live: dict[str, Any]) -> str:
        context, parts = RequestContext(request, live), [self.pieces[0]]
        with context.render_context.push_state(self.template), context.bind_template(self.template):
            for nodes, piece in zip(self.nodes, self.pieces[1:], strict=True):
                parts += (nodes.render(context), piece)
        return "".join(parts)


_T = TypeVar("_T")
_pages: dict[tuple[str, str], _Page] = {}
_values: dict[Hashable, tuple[str, object]] = {}
_fragments: dict[Hashable, tuple[object, str]] = {}


def forget(**_signal: object) -> None:
    """Keep nothing of what is kept: the settings are others."""
    _pages.clear()
    _values.clear()
    _fragments.clear()


setting_changed.connect(forget)


def value(version: str, key: Hashable, make: Callable[[], _T]) -> _T:
    """What `make` reads of the catalogue, kept for this version of it: for showing alone, and not to be changed."""
    found = _values.get(key)
    if found is None or found[0] != version:
        found = (version, make())
        if len(_values) >= _MOST_VALUES:
            _values.clear()
        _values[key] = found
    return cast("_T", found[1])


def fragment(key: Hashable, shown: object, render: Callable[[], str]) -> str:
    """The HTML of `shown`, which is rendered again as soon as that is no longer equal to what it was for this key.

    Key and `shown` say everything that the HTML depends on but the settings.
    """
    found = _fragments.get(key)
    if found is None or found[0] != shown:
        found = (shown, render())
        if len(_fragments) >= _MOST_FRAGMENTS:
            _fragments.clear()
        _fragments[key] = found
    return found[1]


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
    key, current, today = (request.path, template), version(), timezone.localdate()
    page = _pages.get(key)
    if page is None or page.version != current or page.day != today:
        page = _rendered(request, template, kept(), current, today)
        if len(_pages) >= _MOST_PAGES:
            _pages.clear()
        _pages[key] = page
    return HttpResponse(page.html(request, live()))


def each_request(context: Context, nodes: NodeList) -> str:
    """What the tag of that name renders: its contents, or in a page that is being kept a mark in their place."""
    collected = cast("list[NodeList] | None", context.get(_COLLECTED))
    if collected is None:
        return nodes.render(context)
    collected.append(nodes)
    return _MARK


def _rendered(request: HttpRequest, template: str, kept: dict[str, Any], version: str, today: date) -> _Page:
    nodes, backend = list[NodeList](), loader.get_template(template)
    html = backend.render(kept | {_COLLECTED: nodes}, request)
    return _Page(version, today, backend.template, html.split(_MARK), nodes)  # type: ignore[attr-defined] # Django's engine
