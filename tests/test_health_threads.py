"""The threads apart of the health paths, and beacons that need none, on the real server."""

import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPResponse
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from django.urls import get_script_prefix, set_script_prefix
from pytest_django import Settings

from harness.stack import Stack, wait_for
from telemetry.contrib.gunicorn.worker import _request
from telemetry.serve import probes

PAUSE = {"DJANGO_SETTINGS_MODULE": "tests.pool_settings"}


def connect(site: Stack) -> socket.socket:
    address = urlsplit(site.url)
    return socket.create_connection((address.hostname, address.port or 80), timeout=5)


def send_beacon(site: Stack) -> int:
    body = b'{"token": "none"}'
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    with urlopen(Request(f"{site.url}/api/telemetry", body, headers), timeout=5) as answer:
        return int(answer.status)


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def test_health_has_its_threads_wherever_the_urls_are_included(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.prefixed_urls"
    caches = (probes.answers, probes.health, probes.beacons)
    try:
        for each in caches:
            each.cache_clear()
        assert probes.health() == {"/hc/livez", "/hc/readyz", "/hc/api/health"}
        assert probes.beacons() == {"/hc/api/telemetry", "/hc/api/telemetry/csp"}
        assert set(probes.answers()) == {*probes.health(), *probes.beacons(), "/hc/metrics"}
    finally:
        for each in caches:
            each.cache_clear()


@pytest.mark.parametrize("urls", ["tests.prefixed_urls", "tests.no_urls"])
def test_probes_are_answered_below_the_prefix_of_a_host(settings: Settings, urls: str) -> None:
    settings.ROOT_URLCONF = urls
    here = "/hc" if urls == "tests.prefixed_urls" else ""
    caches = (probes.answers, probes.health, probes.beacons)
    before = get_script_prefix()
    set_script_prefix("/shop/")
    try:
        for each in caches:
            each.cache_clear()
        assert probes.health() == {f"{here}/livez", f"{here}/readyz", f"{here}/api/health"}
        assert probes.path_of("telemetry_beacon") == f"/shop{here}/api/telemetry"
        assert f"{here}/livez" in probes.answers()
    finally:
        set_script_prefix(before)
        for each in caches:
            each.cache_clear()


@pytest.mark.parametrize("prefix", ["", "/hc", "/hc/"])
def test_health_has_its_threads_below_the_prefix_that_a_proxy_keeps(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("SCRIPT_NAME", prefix)
    is_health = _request("GET|HEAD", ["/livez", "/readyz"]).match
    assert is_health(request("/livez"))
    assert bool(is_health(request("/hc/livez"))) == bool(prefix)
    assert not is_health(request("/other/livez"))
    assert not is_health(request("/hc/livezz"))


@pytest.mark.waits
@pytest.mark.timing
def test_it_answers_probes_while_every_thread_is_taken(stack: Callable[..., Stack]) -> None:
    site = stack(env=PAUSE, workers=1, threads=2)
    busy = [threading.Thread(target=site.get, args=("/pause/",)) for _ in range(6)]
    for thread in busy:
        thread.start()
    time.sleep(0.3)
    began = time.perf_counter()
    urgent = ("/livez", "/readyz", "/api/health", "/admin/operations/now.css")  # the last is one of HEALTH_PATHS
    assert [site.get(path)[0] for path in urgent] == [200, 200, 200, 200]
    assert time.perf_counter() - began < 1
    assert send_beacon(site) == 204
    with urlopen(Request(f"{site.url}/livez", headers={"SCRIPT_NAME": "/livez"}), timeout=5) as answer:
        assert answer.read(20) == b"ok"  # no header leads a page to the threads for health
    assert time.perf_counter() - began < 1
    assert all(thread.is_alive() for thread in busy)

    # A sender that stalls in the middle of a probe takes none of its threads.
    stalled = [connect(site) for _ in range(4)]
    for sock in stalled:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: ")
    time.sleep(0.2)
    began = time.perf_counter()
    assert site.get("/livez")[0] == 200
    assert time.perf_counter() - began < 0.5
    for sock in stalled:
        sock.close()
    for thread in busy:
        thread.join()

    # One kept-alive connection changes threads from request to request; two requests at once are both answered.
    with connect(site) as sock:
        for path in ("/livez", "/innocent/", "/readyz"):
            sock.sendall(request(path))
            answer = HTTPResponse(sock)
            answer.begin()
            answer.read()
            assert answer.status == 200
        sock.sendall(request("/innocent/") + request("/livez"))
        received = bytearray()
        wait_for("both answers", lambda: received.extend(sock.recv(4000)) or received.count(b" 200 OK") == 2)  # type: ignore[func-returns-value]  # extend, then look

    # Connections nobody has spoken on hold up neither requests nor the stop.
    silent = [connect(site) for _ in range(20)]
    began = time.perf_counter()
    assert site.get("/innocent/")[0] == 200
    assert time.perf_counter() - began < 1
    site.stop()
    assert '"event":"Worker exiting' in site.log_text
    for sock in silent:
        sock.close()
