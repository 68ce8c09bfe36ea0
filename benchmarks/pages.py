"""CPU of a public page with telemetry off, turn and turn about with a bare view and with nothing kept for it.

One process of its own answers, without a server and without sockets: what is counted is the CPU of the thread, from the
site's first middleware to its last. `make profile PAGE=/` shows where it goes as a flame graph.
"""

import json
import os
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from benchmarks import databases
from benchmarks.customers import SERVICE, UNLIMITED
from benchmarks.measured import Figure
from harness.stack import BASE_DIR

PAGES = {
    "home": "/",
    "services": "/services/",
    "service page": f"/services/{SERVICE}/",
    "booking page": f"/book/{SERVICE}/",
    "contact": "/contact/",
}
_BOUND = 0.5
"""Of the CPU with nothing kept, at most."""
_BARE = "/bare"
_REQUESTS = 60
_PROFILED = 300
_OUT = BASE_DIR / "profile.html"


def figures(quick: bool = False) -> list[Figure]:
    """Milliseconds of CPU per request of each page and of a bare view, and the ratio to the page with nothing kept."""
    taken = json.loads(_answer("measure", str(_REQUESTS // 3 if quick else _REQUESTS)))
    made = [Figure("pages", "a bare view: CPU", taken.pop(_BARE), "ms")]
    for name, (kept, emptied) in taken.items():
        ratios = [one / other for one, other in zip(kept, emptied, strict=True)]
        made.append(Figure("pages", f"{name}: CPU", kept, "ms"))
        made.append(Figure("pages", f"{name}: against nothing kept", ratios, bound=_BOUND))
    return made


def profile(path: str) -> None:
    """Write the flame graph of a page, and open it in a browser where there is one."""
    _answer("profile", path)
    print(f"{_OUT}: choose Timeline or Call stack", file=sys.stderr)
    webbrowser.open(_OUT.as_uri())


def _answer(*arguments: str) -> str:
    """What this module prints in a process of its own, on a fresh database of the demo business."""
    with databases.demo_template() as template, databases.copy(template) as url:
        env = {**databases.environment(url), **UNLIMITED, "TELEMETRY": "off", "ALLOWED_HOSTS": "localhost"}
        command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.pages", *arguments]
        return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


class _Site:
    def __init__(self) -> None:
        import django

        django.setup()
        from django.test import Client
        from django.urls import path

        from benchmarks.bare import bare
        from bookings import process_cache
        from xfhandyman import urls

        urls.urlpatterns.append(path(_BARE[1:], bare))
        self.forget = process_cache.forget
        self._client = Client(headers={"host": "localhost"})

    def get(self, path: str) -> float:
        """Milliseconds of CPU."""
        before = time.thread_time()
        status = self._client.get(path).status_code
        taken = time.thread_time() - before
        assert status in (200, 204), f"{path} answered {status}"
        return taken * 1000

    def emptied(self, path: str) -> float:
        self.forget()
        return self.get(path)


def _measure(requests: int) -> dict[str, object]:
    site, bare = _Site(), list[float]()
    taken: dict[str, object] = {_BARE: bare}
    for name, path in PAGES.items():
        kept, emptied = list[float](), list[float]()
        for turn in range(-3, requests):
            again, one = site.emptied(path), site.get(path)
            if turn >= 0:  # before, what is compiled on first use
                kept.append(one)
                emptied.append(again)
                bare.append(site.get(_BARE))
        taken[name] = kept, emptied
    return taken


def _profile(path: str, out: Path) -> None:
    from pyinstrument import Profiler

    site = _Site()
    site.get(path)
    with Profiler(interval=0.0005) as profiler:
        for _ in range(_PROFILED):
            site.get(path)
    out.write_text(profiler.output_html())


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        os.environ.setdefault("TELEMETRY", "off")
        print(json.dumps(_measure(int(sys.argv[2]))))
    elif sys.argv[1] == "profile":
        _profile(sys.argv[2], _OUT)
    else:
        profile(sys.argv[1])
