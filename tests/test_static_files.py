"""Static files are found when the site starts, and described when they are first asked for."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from whitenoise.middleware import WhiteNoiseMiddleware

from xfhandyman.static_files import StaticFilesMiddleware

NAMES = ["css/site.css", "site.0123456789ab.js", "deep/er/picture.png"]
REQUESTS: list[dict[str, str]] = [
    {},
    {"Accept-Encoding": "gzip, br"},
    {"Range": "bytes=2-5"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
]


@pytest.fixture
def files(tmp_path: Path, settings: Any) -> Path:
    """A directory of collected files."""
    settings.STATIC_ROOT, settings.WHITENOISE_AUTOREFRESH = tmp_path, False
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name * 100)
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return tmp_path


def not_found(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=404)


def answer(middleware: WhiteNoiseMiddleware, method: str, path: str, headers: dict[str, str]) -> tuple[object, ...]:
    response = middleware(RequestFactory().generic(method, path, headers=headers))
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return response.status_code, sorted(response.items()), body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("headers", REQUESTS)
def test_it_answers_as_whitenoise_does(files: Path, method: str, headers: dict[str, str]) -> None:
    ours, theirs = StaticFilesMiddleware(not_found), WhiteNoiseMiddleware(not_found)
    for name in [*NAMES, "css/site.css.gz", "css/", "none.css", "../manage.py"]:
        for _ in "first", "again":
            assert answer(ours, method, f"/static/{name}", headers) == answer(
                theirs, method, f"/static/{name}", headers
            )


def test_the_start_describes_no_file_and_the_first_request_one(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[str] = []
    describe = StaticFilesMiddleware.add_cache_headers

    def noting(self: StaticFilesMiddleware, headers: object, path: str, url: str) -> None:
        described.append(url)
        describe(self, headers, path, url)

    monkeypatch.setattr(StaticFilesMiddleware, "add_cache_headers", noting)
    middleware = StaticFilesMiddleware(not_found)
    assert not described
    for _ in "first", "again":
        assert answer(middleware, "GET", "/static/css/site.css", {})[0] == 200
    assert described == ["/static/css/site.css"]


def test_a_file_that_comes_later_is_found_where_files_are_looked_for_each_time(files: Path, settings: Any) -> None:
    settings.WHITENOISE_AUTOREFRESH = True
    middleware = StaticFilesMiddleware(not_found)
    assert answer(middleware, "GET", "/static/new.css", {})[0] == 404
    (files / "new.css").write_text("new")
    assert answer(middleware, "GET", "/static/new.css", {})[0] == 200
