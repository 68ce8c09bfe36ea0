"""The issue of an incident, found and resolved through the API of Sentry or of Bugsink: a DSN can only open one."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import NAMESPACE_OID, uuid5

from telemetry import errors

TIMEOUT, READING = 5.0, 15.0
"""Seconds for each step of a request, and to read an answer."""
MOST_BYTES = 4_000_000
"""Of an answer: Sentry's holds the whole event."""
MOST_CANDIDATES = 20
"""Issues of Bugsink that are looked through: it finds none by the id of an event."""
SKEW = 120.0
"""Seconds by which the server's clock may be behind ours."""


class Issue(NamedTuple):
    """How an issue is resolved: a request."""

    method: str
    path: str
    body: dict[str, Any] | None


class _NoRedirects(HTTPRedirectHandler):
    """The library would send the token along, to whatever host an answer names."""

    def redirect_request(self, *_values: Any, **_named: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)


def event_id(incident: str) -> str:
    """The id of the event that reports an incident: any process can tell it from the incident's own id."""
    return uuid5(NAMESPACE_OID, incident).hex


class Tracker:
    """The API of the server that SENTRY_URL names. Each method may take long, and raises OSError or ValueError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._url = environ.get("SENTRY_URL") or "https://sentry.io/"  # as sentry-cli has it
        self._headers = {"Authorization": f"Bearer {environ['SENTRY_AUTH_TOKEN']}", "Content-Type": "application/json"}
        self._organization = quote(environ.get("SENTRY_ORG", ""), safe="")
        self._project = urlsplit(environ.get("SENTRY_DSN", "")).path.rpartition("/")[2]

    def find(self, incident: str, since: float) -> Issue | None:
        """The open issue of an incident that was reported at `since` (Unix seconds); None where there is none yet."""
        return self._of_sentry(event_id(incident)) or self._of_bugsink(event_id(incident), since - SKEW)

    def resolve(self, issue: Issue) -> None:
        """Resolve it, whatever state it is in."""
        self._ask(*issue)

    def _of_sentry(self, event: str) -> Issue | None:
        home = f"api/0/organizations/{self._organization}"
        found = self._get(f"{home}/eventids/{event}/") if self._organization else None
        if found is None:
            return None
        return Issue("PUT", f"{home}/issues/{quote(str(found['groupId']), safe='')}/", {"status": "resolved"})

    def _of_bugsink(self, event: str, since: float) -> Issue | None:
        """Of the issues that are open and were seen since."""
        home = "api/canonical/0"
        newest_first = self._get(f"{home}/issues/?project={quote(self._project)}&sort=last_seen&order=desc") or {}
        earliest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
        opened = [each for each in newest_first.get("results", ()) if not each["is_resolved"]]
        for issue in [each["id"] for each in opened if each["last_seen"] >= earliest][:MOST_CANDIDATES]:
            events = self._get(f"{home}/events/?issue={quote(issue)}") or {}
            if any(each["event_id"].replace("-", "") == event for each in events.get("results", ())):
                return Issue("POST", f"{home}/issues/{quote(issue)}/resolve/", None)
        return None

    def _get(self, path: str) -> dict[str, Any] | None:
        """None where the server knows no such thing: each of the two knows its own paths alone."""
        try:
            return self._ask("GET", path)
        except HTTPError as error:
            if error.code == 404:
                return None
            raise

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The JSON of the answer; None of another type, such as a page for people."""
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise ValueError("SENTRY_URL")
        data = json.dumps(body or {}).encode() if method != "GET" else None
        request = Request(urljoin(self._url, f"/{path}"), data, self._headers, method=method)  # noqa: S310 - http(s), see above
        deadline, content = time.monotonic() + READING, b""
        with _opener.open(request, timeout=TIMEOUT) as response:
            while part := response.read1(65_536):
                content += part
                if len(content) > MOST_BYTES or time.monotonic() > deadline:
                    raise TimeoutError("the answer does not end")
            json_ = response.headers.get_content_type() == "application/json"
        return dict(json.loads(content)) if json_ and content else None


def tracker() -> Tracker | None:
    """None while nothing is reported, or without SENTRY_AUTH_TOKEN."""
    return Tracker(os.environ) if errors.reporting() and os.environ.get("SENTRY_AUTH_TOKEN") else None
