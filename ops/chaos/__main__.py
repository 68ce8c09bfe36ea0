"""`make chaos` runs every fault on one stage, `make chaos NAME=disk-full` one; each writes its row in docs/chaos.md."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harness.stack import BASE_DIR
from ops.chaos.faults import FAULTS
from ops.chaos.scene import staged
from ops.chaos.trial import Result, run
from xfhandyman import process_tree

PAGE = BASE_DIR / "docs" / "chaos.md"
MARK = "<!-- The table below is written by `make chaos`. -->\n"
HEAD = (
    "| fault | tried | acknowledged | lost | duplicated | half | e-mails once / stuck / twice / missing "
    "| failed answers | pages apart: failed of | recovered |"
)


def main(names: list[str]) -> int:
    """Run the faults, print the table; 1 when something was not as it must be."""
    unknown = set(names) - set(FAULTS)
    if unknown:
        print(f"No fault named {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}.", file=sys.stderr)
        return 2
    results = []
    with tempfile.TemporaryDirectory(prefix="xfc") as directory, staged(Path(directory)) as scene:
        for name in [name for name in FAULTS if name in names or not names]:
            if name == "clock-jumps" and not scene.clock.can_jump:
                print("skipped  clock-jumps: needs a C compiler", flush=True)
                continue
            result = run(scene, name, [FAULTS[name]])
            results.append(result)
            print(f"{'ok' if not result.wrong else 'FAILED':>7}  {name}", flush=True)
            for each, number in Counter(result.wrong).items():
                print(f"         - {number} × {each}", flush=True)
            _write(result)
    print(table(map(_row, results)))
    return int(any(result.wrong for result in results))


def _write(result: Result) -> None:
    """Put a fault's row into the page, among those of other runs."""
    text, _, rest = PAGE.read_text().partition(MARK)
    rows = {row.split()[1]: row for row in rest.splitlines() if row.split()[1:2] and row.split()[1] in FAULTS}
    rows[result.name] = _row(result)
    PAGE.write_text(f"{text}{MARK}\n{table(rows[name] for name in FAULTS if name in rows)}")


def table(rows: Iterable[str]) -> str:
    """The rows with their heading, in Markdown."""
    return "\n".join([HEAD, "|" + "---|" * HEAD.count(" |"), *rows, ""])


def _row(result: Result) -> str:
    found = result.verdict
    cells = [
        result.name if not result.wrong else f"{result.name} FAILED",
        result.tried,
        result.acknowledged,
        found.lost,
        found.duplicated,
        found.half,
        f"{found.once} / {found.stuck} / {found.twice} / {found.missing}",
        ", ".join(f"{number} × {each}" for each, number in sorted(result.failed.items())) or "none",
        f"{result.reading_failed.total()} of {result.read}",
        f"{result.recovered:.1f} s",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main(sys.argv[1:]))
