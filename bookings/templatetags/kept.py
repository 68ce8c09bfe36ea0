"""What of a page is never kept for the next request, and what is while it shows the same (bookings/kept_pages.py)."""

from django import template
from django.template.base import FilterExpression, Parser, Token

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


class _KeptWhile(template.Node):
    def __init__(self, same: FilterExpression, nodelist: template.NodeList) -> None:
        self.same, self.nodelist = same, nodelist

    def render(self, context: template.Context) -> str:
        same = self.same.resolve(context, ignore_failures=True)
        if not same:
            return self.nodelist.render(context)
        key, shown = same
        return kept_pages.fragment((id(self), key), shown, lambda: self.nodelist.render(context))


@register.tag
def kept_while(parser: Parser, token: Token) -> _KeptWhile:
    """`{% kept_while same %}`: keep what stands in between while the second of two, (key, shown), stays equal.

    Without such a pair it is rendered for every request.
    """
    same = parser.compile_filter(token.split_contents()[1])
    nodelist = parser.parse(("endkept_while",))
    parser.delete_first_token()
    return _KeptWhile(same, nodelist)
