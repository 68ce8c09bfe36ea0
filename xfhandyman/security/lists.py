"""What may be asked of the admin's lists: bounds that every model's admin gets when it is registered."""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.utils.text import smart_split

MOST_WORDS = 8
MOST_LETTERS = 100
_TOO_MUCH = f"Search for {MOST_WORDS} words and {MOST_LETTERS} characters at most. Nothing was searched for."

# What Django's filters ask of the field they stand for, and the links of its date hierarchy.
_OF_FILTERS = ("exact", "isnull", "isempty", "gte", "gt", "lt", "lte")
_OF_DATES = ("year", "month", "day", "gte", "lt")


class BoundedListMixin:
    """Filters by allow-list, searches bounded in words and length, and no link to an object's page on the public site.

    Django lets an address filter by every column of the model (`?link_key__startswith=a`), also by one that no page
    shows, and turns each word of a search into a condition on each searched column.
    """

    view_on_site: Any  # ModelAdmin's

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        """Only what the admin itself names by a method: an object's own address may be a link that acts."""
        named = callable(self.view_on_site)
        return super().get_view_on_site_url(obj) if named else None  # type: ignore[misc]  # ModelAdmin's

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the list's own filters and its date hierarchy ask."""
        return lookup in self._offered(request) and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]  # ModelAdmin's

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """None for what is too long, with a message, and the list answers 400."""
        if len(search_term) > MOST_LETTERS or sum(1 for _ in smart_split(search_term)) > MOST_WORDS:
            request.search_refused = True  # type: ignore[attr-defined]  # for changelist_view
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[misc, no-any-return]  # ModelAdmin's

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)  # type: ignore[misc]  # ModelAdmin's
        if getattr(request, "search_refused", False):
            messages.error(request, _TOO_MUCH)
            response.status_code = 400
        return cast(HttpResponse, response)

    def _offered(self, request: HttpRequest) -> set[str]:
        model_admin = cast(admin.ModelAdmin, self)
        offered = {
            f"{model_admin.date_hierarchy}{LOOKUP_SEP}{each}" for each in _OF_DATES if model_admin.date_hierarchy
        }
        for item in model_admin.get_list_filter(request):
            if isinstance(item, type):
                offered.add(str(getattr(item, "parameter_name", "")))
                continue
            path = str(item[0] if isinstance(item, list | tuple) else item)
            offered |= {path, *(f"{path}{LOOKUP_SEP}{each}" for each in _OF_FILTERS)}
            offered |= {f"{path}{LOOKUP_SEP}{key}{LOOKUP_SEP}exact" for key in ("id", "pk")}
        return offered


def bounded(admin_class: type[admin.ModelAdmin], *mixins: type) -> type[admin.ModelAdmin]:
    """The class with the bounds above, and `mixins`, before its own behaviour."""
    bases = (BoundedListMixin, *mixins, admin_class)
    return type(admin_class.__name__, bases, {"__module__": admin_class.__module__})
