"""The table of results, printed and kept in docs/drills.md. A drill played alone replaces its own row."""

from collections.abc import Iterable
from pathlib import Path

from ops.drills.play import START, WITHIN, Result

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "drills.md"
HEAD = f"""\
# Drills: results

Written by `make drill` (docs/operations.md says what it does). A drill passes when the sentence names cause and
component, arrives within {WITHIN} s, names the start within {START} s, nothing else is notified until all is calm
again, and a resolved message follows the end of the fault. "Start off by": the start named less the injection.
"""
COLUMNS = ("drill", "fault", "result", "notified after", "start off by", "resolved after", "sentence received")


def row(result: Result) -> str:
    """A row of the table in Markdown."""
    cells = (
        result.name,
        result.what,
        "passed" if not result.faults else f"FAILED: {'; '.join(result.faults)}",
        _seconds(result.after),
        _seconds(result.start_off, signed=True),
        _seconds(result.resolved),
        result.sentence,
    )
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def table(rows: Iterable[str]) -> str:
    """Rows under their headings."""
    return "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows])


def keep(results: Iterable[Result], order: Iterable[str], page: Path = PAGE) -> None:
    """Write the page, with the rows it has for drills that were not played this time."""
    known = {}
    if page.exists():
        rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
        known = {cells[0].removeprefix("| "): " | ".join(cells) for cells in rows if len(cells) == len(COLUMNS)}
    known |= {result.name: row(result) for result in results}
    page.write_text(f"{HEAD}\n{table(known[name] for name in order if name in known)}\n")


def _seconds(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.0f} s" if signed else f"{value:.0f} s"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")
