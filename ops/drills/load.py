"""Clients that ask for the same page again and again, beside the steady load."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests

from ops.drills.customers import customer


@contextmanager
def load(url: str, *, clients: int = 1, pause: float = 0.0) -> Iterator[None]:
    """That many clients ask for `url` until the block ends, each with `pause` seconds between two requests."""
    over = threading.Event()

    def ask() -> None:
        with customer() as session:
            while not over.wait(pause):
                with suppress(requests.RequestException):
                    session.get(url, timeout=20)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
