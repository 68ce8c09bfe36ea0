"""`make score`: play every session on the running site, then score all recordings.

NAME="lock mail-down" plays some, NAME=recordings none.
"""

import sys

from ops.drills.catalogue import NEW, PLAYS, SESSIONS
from ops.drills.plays import session
from ops.drills.scoring import RECORDINGS, score, table
from xfhandyman import process_tree


def main(names: list[str]) -> int:
    """Play sessions or plays by name, all of them without one, and score; 1 when something is not right at first."""
    if names == ["recordings"]:
        return report()
    unknown = set(names) - {*PLAYS, *NEW, *SESSIONS}
    if unknown:
        print(f"No play or session named {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    for name in [each for each in names if each in SESSIONS] or ([] if names else SESSIONS):
        print(f"Session {name}", flush=True)
        session(name)
    if some := tuple(each for each in names if each not in SESSIONS):
        session("some", some)
    return report()


def report() -> int:
    """Print the diagnosis of each recorded drill, and the table."""
    scores = {file.stem: score(file) for file in sorted(RECORDINGS.glob("*.xz"))}
    for name, each in scores.items():
        print(f"{name}: {each.healthy:.0f} healthy seconds")
        for result in each.results:
            print(f"  {'ok' if result.first else 'WRONG':>5} {result.play}: {' // '.join(result.said) or 'nothing'}")
        for sentence in each.false_alarms:
            print(f"  FALSE {sentence}")
    print(f"\n{table(scores.values())}")
    return int(not all(result.first for each in scores.values() for result in each.results))


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main(sys.argv[1:]))
