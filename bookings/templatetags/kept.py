"""`{% each_request %}`: what of a page is never kept for the next request (bookings/kept_pages.py)."""

from django import template
from django.template.base import Parser, Token

from bookings import kept_pages

register = template.Library()


class _EachRequest(template.Node):
    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: template.Context) -> str:
        return kept_pages.each_request(context, self.nodelist)


@register.tag
def each_request(parser: Parser, _token: Token) -> _EachRequest:
    """Render what stands in between for every request. It sees no variable of a `with` or `for` around it."""
    nodelist = parser.parse(("endeach_request",))
    parser.delete_first_token()
    return _EachRequest(nodelist)
