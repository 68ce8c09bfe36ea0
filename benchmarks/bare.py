"""Settings and addresses: the site's own middleware before one bare view that answers 204. Run with TELEMETRY=off."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from xfhandyman.settings import *  # noqa: F403 - what Django's settings are made of


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Does nothing with what is sent."""
    return HttpResponse(status=204)


ROOT_URLCONF = __name__
urlpatterns = [path("bare", bare)]
