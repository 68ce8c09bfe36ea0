"""Browsers' stack traces, as each engine writes them."""

import pytest

from telemetry.errors.browser_stacks import MOST, frames

V8 = """TypeError: Cannot read properties of undefined (reading 'slot')
    at pick (http://127.0.0.1:8000/static/build/book.js?v=secret:12:34)
    at async Promise.all (index 0)
    at HTMLButtonElement.<anonymous> (http://127.0.0.1:8000/static/build/book.js:20:5)
    at http://127.0.0.1:8000/book/tap/:3:1"""

GECKO = """pick@http://127.0.0.1:8000/static/build/book.js?v=secret:12:34
EventListener.handleEvent*@http://127.0.0.1:8000/static/build/book.js:20:5
@http://127.0.0.1:8000/book/tap/:3:1"""

WEBKIT = """pick@http://127.0.0.1:8000/static/build/book.js?v=secret:12:34
[native code]
http://127.0.0.1:8000/static/build/book.js:20:5
global code@http://127.0.0.1:8000/book/tap/:3:1"""


@pytest.mark.parametrize("stack", [V8, GECKO, WEBKIT], ids=["v8", "gecko", "webkit"])
def test_it_reads_every_engine(stack: str) -> None:
    found = frames(stack, "/book/<slug>/")
    newest, oldest = found[-1], found[0]
    assert newest == {
        "filename": "/static/build/book.js",
        "function": "pick",
        "in_app": True,
        "lineno": 12,
        "colno": 34,
    }
    assert (oldest["filename"], oldest["lineno"], oldest["in_app"]) == ("/book/<slug>/", 3, False), (
        "no address of a page"
    )
    assert ("/static/build/book.js", 20, 5) in [(f["filename"], f.get("lineno"), f.get("colno")) for f in found]


def test_it_survives_what_is_no_stack() -> None:
    assert frames("") == []
    assert frames("the page said no") == []
    assert len(frames("    at f (http://x/a.js:1:1)\n" * 1000)) == MOST
    assert frames("@" * 60_000) == []
    assert frames("    at " + "(" * 60_000) == []
    assert frames("x@http://[::1:bad/:1:1") == [
        {"filename": "?", "function": "x", "in_app": False, "lineno": 1, "colno": 1}
    ]
