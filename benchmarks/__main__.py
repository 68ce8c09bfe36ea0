"""`make bench` measures what docs/benchmarks.md says and writes that page; `make bench NAME=scrape` prints one part.

Ends with 1 when a figure is out of its bound.
"""

import sys
import time
from collections.abc import Callable

from benchmarks import availability, bookings, ingest, load, office, overhead, pages, scrape, start, travel
from benchmarks.measured import Figure, machine, table
from harness.stack import BASE_DIR
from xfhandyman import process_tree

PARTS: dict[str, Callable[[], list[Figure]]] = {
    "overhead": overhead.figures,
    "pages": pages.figures,
    "ingest": ingest.figures,
    "availability": availability.figures,
    "office": office.figures,
    "booking": bookings.figures,
    "load": load.figures,
    "scrape": scrape.figures,
    "start": start.figures,
    "travel": travel.figures,
}
_PAGE = BASE_DIR / "docs" / "benchmarks.md"
_TABLE = "<!-- the table -->"


def main() -> int:
    """Measure the parts named on the command line, or all of them and write the page."""
    began, figures = time.monotonic(), list[Figure]()
    wanted = sys.argv[1:] or list(PARTS)
    for name in wanted:
        started = time.monotonic()
        found = PARTS[name]()
        figures += found
        print(f"{table(found)}\n\n{name}: {time.monotonic() - started:.0f} s\n", file=sys.stderr, flush=True)
    shown = f"{machine()}; {time.monotonic() - began:.0f} s in all.\n\n{table(figures)}\n"
    print(shown)
    if not sys.argv[1:]:
        before, _, _ = _PAGE.read_text().partition(_TABLE)
        _PAGE.write_text(f"{before}{_TABLE}\n\n{shown}")
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main())
