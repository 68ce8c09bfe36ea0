"""`make audit` tells "none known" from "nobody could be asked"."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import audit

FAULT = {
    "id": "PYSEC-2099-1",
    "summary": "It opens every door.",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
            "versions": ["5.2.0"],
        }
    ],
}
ADVISORY = {"id": 1, "title": "Loud", "severity": "high", "vulnerable_versions": "<99", "url": "https://example.com"}


class Service(BaseHTTPRequestHandler):
    """Stands in for OSV and for npm's registry: answers as they do, on the loopback address."""

    known: bool

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/query":
            wanted = json.loads(body)["package"]["name"] == "django"
            answer: object = {"vulns": [FAULT]} if self.known and wanted else {}
        else:
            answer = {"esbuild": [ADVISORY]} if self.known else {}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"{url}/v1/query")
        monkeypatch.setenv("npm_config_registry", url)
        yield Service
        server.shutdown()


@pytest.mark.parametrize(("known", "code"), [(True, audit.FOUND), (False, 0)])
def test_it_says_what_is_known(
    service: type[Service], capsys: pytest.CaptureFixture[str], known: bool, code: int
) -> None:
    service.known = known
    assert audit.main() == code
    said = capsys.readouterr().out
    assert ("Python packages: 1 known vulnerability." in said) is known
    assert ("django 5.2" in said and "PYSEC-2099-1, fixed in 99.1" in said) is known
    assert ("browser packages: 1 known vulnerability." in said) is known
    assert said.count("no known vulnerabilities") == (0 if known else 2)


def test_it_says_when_nobody_could_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", "http://127.0.0.1:9/v1/query")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    assert audit.main() == audit.NOT_ASKED
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in said] == [
        "Python packages: NOT AUDITED",
        "browser packages: NOT AUDITED",
    ]
