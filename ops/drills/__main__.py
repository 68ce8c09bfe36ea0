"""`make drill` plays every drill on one stage; `make drill NAME="lock surge"` only those named."""

import sys
import tempfile
import time
from pathlib import Path

from ops.drills.catalogue import DRILLS
from ops.drills.play import Result, play
from ops.drills.results import keep, row, table
from ops.drills.scene import Scene, staged
from xfhandyman import process_tree

WARM_UP = 95
"""Seconds that Prometheus watches a healthy site first: rules that compare with a minute ago have nothing before."""


def main(names: list[str]) -> int:
    """Play the drills, print and keep the table; 1 when one failed, 2 when there is none of that name."""
    unknown = set(names) - set(DRILLS)
    if unknown:
        print(f"No drill named {', '.join(sorted(unknown))}; there are {', '.join(DRILLS)}.", file=sys.stderr)
        return 2
    results: list[Result] = []
    with (
        tempfile.TemporaryDirectory(prefix="xfd", ignore_cleanup_errors=True) as directory,
        staged(Path(directory)) as scene,
    ):
        print(f"Warming up for {WARM_UP} s ...", flush=True)
        time.sleep(WARM_UP)
        _expect_bookings(scene)
        for name in names or DRILLS:
            results.append(play(scene, name, DRILLS[name]))
            _tell(results[-1])
            keep(results, DRILLS)
    print(f"\n{table(map(row, results))}")
    return int(any(result.faults for result in results))


def _expect_bookings(scene: Scene) -> None:
    """A stage on which nobody can book proves nothing."""
    if not scene.watch.query("sum(bookings_created_total) > 0"):
        raise SystemExit(f"The customers could not book:\n{scene.site.log_text[-2000:]}")


def _tell(result: Result) -> None:
    print(f"{time.strftime('%H:%M:%S')} {'ok' if not result.faults else 'FAILED':>7}  {result.name}: {result.sentence}")
    for fault in result.faults:
        print(f"         - {fault}")
    sys.stdout.flush()


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main(sys.argv[1:]))
