"""A visitor without a browser: fetches pages, fills in forms, books."""

import http.client
import json
import re
from urllib.parse import urlencode, urlsplit

from harness.stack import Stack


def book(site: Stack, **fields: str) -> int:
    """Book the first free window of a service as a browser does; the status."""
    week = json.loads(site.get("/api/availability?service=tap-repair")[1])
    start = next(slot["start"] for day in week["days"] for slot in day["slots"])
    return submit(site, f"/book/tap-repair/details/?{urlencode({'start': start})}", **fields)


def submit(site: Stack, path: str, **fields: str) -> int:
    """Fetch the page for its CSRF token and post its form with its hidden fields; the status."""
    _, page, cookie = request(site, "GET", path, "", {})
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    body = urlencode({**hidden, "topic": "question", **fields, "website": ""})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Referer": site.url + path}
    return request(site, "POST", path, body, headers)[0]


def request(site: Stack, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)
    connection.request(method, path, body.encode() or None, headers)
    response = connection.getresponse()
    cookie = "; ".join(value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie")
    page = response.read().decode(errors="replace")
    connection.close()
    return response.status, page, cookie
