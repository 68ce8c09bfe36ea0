"""What machines ask of the public port, by whatever name or scheme they reach it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from telemetry.context import current
from telemetry.health.views import VIEWS
from telemetry.serve.exposition import metrics_view

ANSWERS = {**VIEWS, "/metrics": metrics_view}


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer before the host and the scheme are judged.

    A load balancer asks by address, which no ALLOWED_HOSTS knows, and inside, where there is no TLS.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        view = ANSWERS.get(request.path_info)
        if view is None:
            return get_response(request)
        if observation := current():
            observation.route = request.path_info
        response = view(request)
        response["Content-Length"] = str(len(response.content))  # CommonMiddleware is not asked
        return response

    return answer
