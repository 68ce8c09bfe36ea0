"""One middleware for the policies: texts are made once, and a response only gets its nonce written in."""

from collections.abc import Callable

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy, default_config
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from telemetry.conf import conf
from telemetry.rum import tokens
from xfhandyman.security import policy

_NONCE = "{nonce}"


class HeadersMiddleware(CSPMiddleware):
    """django-csp's, without its building of the policy for every response: no view here changes its policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
        self.customers = _texts(directives)
        self.staff = {
            policy.OFFICE: _texts(policy.office(directives)),
            policy.CREW: _texts(policy.crew(directives)),
        }
        self.pages, self.office_pages = (
            each | settings.REPORTING_HEADERS for each in (policy.PAGES, policy.OFFICE_PAGES)
        )

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in policy.EVERYWHERE.items():
            response[name] = value
        if request.path_info.startswith(settings.STATIC_URL) and response.status_code in (200, 206, 304):
            return response  # a style sheet or a script is bound by the policy of the page that uses it
        if settings.DEBUG and response.status_code in (404, 500):
            return response  # Django's page about an exception has its styles and scripts in it
        staff = next((texts for path, texts in self.staff.items() if request.path_info.startswith(path)), None)
        with_nonce, without = staff or self.customers
        nonce = getattr(request, "_csp_nonce", None)
        reports = _reports(request, staff is not None)
        response[HEADER] = (with_nonce.replace(_NONCE, nonce) if nonce else without).replace(policy.REPORTS, reports)
        pages = self.office_pages if request.path_info.startswith(policy.OFFICE) else self.pages
        for name, value in pages.items():
            response[name] = value.replace(policy.REPORTS, reports)
        if staff and "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "private, no-store"
        return response


def _reports(request: HttpRequest, staff: bool) -> str:
    """Where the browser reports to, with the page's token: what has none is believed less (docs/rum.md)."""
    if conf.enabled and (staff or hasattr(request, "page_token")):
        return f"{policy.REPORTS}?page={tokens.of_page(request)}"
    return policy.REPORTS


def _texts(directives: policy.Directives) -> tuple[str, str]:
    """The policy with a place for the nonce, and the one for a page without a script of ours."""
    config = default_config(directives)
    made = (build_policy(config, nonce=_NONCE), build_policy(config))
    with_nonce, without = ("; ".join(sorted(text.split("; "))) for text in made)  # django-csp's order is a set's
    return with_nonce, without
