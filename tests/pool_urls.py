"""Routes that exhaust a pool in known ways, beside the site's own."""

import contextvars
import threading
import time

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

_release = threading.Event()


def booking(request: HttpRequest, slug: str) -> HttpResponse:
    """Reads the table a test locks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bookings_booking")
    return HttpResponse("ok")


def innocent(request: HttpRequest) -> HttpResponse:
    """Reads another table, fast; it exists without migrations too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class")
    return HttpResponse("ok")


def quick(request: HttpRequest) -> HttpResponse:
    """Holds its connection for 30 ms."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.03)")
    return HttpResponse("ok")


def pause(request: HttpRequest) -> HttpResponse:
    """Takes a thread for 1.5 s and no connection."""
    time.sleep(1.5)
    return HttpResponse("ok")


def large(request: HttpRequest) -> HttpResponse:
    """More than the kernel keeps for who reads slowly."""
    return HttpResponse(bytes(20_000_000))


def leak(request: HttpRequest) -> HttpResponse:
    """Leaves a transaction open in a thread that outlives the request, until /release/."""
    began = threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM auth_group")
                began.set()
                _release.wait(60)
        finally:
            began.set()
            connection.close()

    threading.Thread(target=contextvars.copy_context().run, args=(hold,), daemon=True).start()
    began.wait(10)
    return HttpResponse(str(threading.get_native_id()))


def release(request: HttpRequest) -> HttpResponse:
    """Ends what /leak/ began, in this worker."""
    _release.set()
    return HttpResponse("ok")


urlpatterns = [
    path("book/<slug>/", booking),
    path("innocent/", innocent),
    path("quick/", quick),
    path("pause/", pause),
    path("large/", large),
    path("leak/", leak),
    path("release/", release),
    path("", include("xfhandyman.urls")),
]
