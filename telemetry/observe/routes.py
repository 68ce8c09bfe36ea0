"""The bounded names of a request: its method and its route template."""

from functools import lru_cache

from django.contrib.admindocs.views import simplify_regex
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from telemetry.context import UNMATCHED

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method_name(method: str | None) -> str:
    """The method, or "other" for what clients invent."""
    return method if method in METHODS else "other"


def route_name(request: HttpRequest) -> str:
    """`/book/<slug>/` of the URL pattern that matched, or "unmatched"."""
    match = request.resolver_match
    return template(match.route) if match is not None else UNMATCHED


def route_of_path(path: str) -> str:
    """The route template of a path somebody names (a browser tells where its fetches went), or "unmatched"."""
    try:
        return template(resolve(path).route)
    except Resolver404:
        return UNMATCHED


@lru_cache(maxsize=1024)
def template(route: str) -> str:
    """`book/<slug:slug>/` and `^book/(?P<slug>[a-z]+)/$` both become `/book/<slug>/`."""
    if "(" in route or "^" in route:
        return str(simplify_regex(route))
    parts = route.split("<")
    return (
        "/"
        + parts[0]
        + "".join("<" + part[part.find(":") + 1 if ":" in part.partition(">")[0] else 0 :] for part in parts[1:])
    )
