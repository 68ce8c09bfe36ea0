"""Releases: each is started beside the one that runs, on the same database."""

from collections.abc import Iterator
from contextlib import contextmanager

from ops.drills.load import load
from ops.drills.scene import Scene, release_beside


@contextmanager
def innocent(scene: Scene) -> Iterator[None]:
    """A new release a few seconds before the fault, as good as the old one."""
    with release_beside(scene, "1.9") as url, load(f"{url}/services/", pause=0.7):
        yield


@contextmanager
def failing_page(scene: Scene) -> Iterator[None]:
    """A new release beside the old one, one page of which fails."""
    with release_beside(scene, "1.1") as url, load(f"{url}/broken/raise/taps/", pause=0.5):
        yield


@contextmanager
def leaked_transaction(scene: Scene) -> Iterator[None]:
    """A new release, one page of which keeps its transaction open while it waits for something else."""
    with (
        release_beside(scene, "1.2") as url,
        load(f"{url}/broken/transaction/", clients=6),
        load(f"{url}/services/", clients=2, pause=0.5),
    ):
        yield


@contextmanager
def slow_page(scene: Scene) -> Iterator[None]:
    """A new release beside the old one, one page of which takes four seconds for no query."""
    with release_beside(scene, "1.4") as url, load(f"{url}/broken/sleep/", clients=2):
        yield


@contextmanager
def growing_memory(scene: Scene) -> Iterator[None]:
    """A new release, one page of which keeps 8 MB at every request."""
    with release_beside(scene, "1.3") as url, load(f"{url}/broken/memory/", clients=2, pause=0.2):
        yield
