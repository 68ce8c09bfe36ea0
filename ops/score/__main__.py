"""`make score`: play every session on the running site, then score all recordings; NAME="lock mail-down" plays some."""

import sys

from ops.score.catalogue import NEW, PLAYS, SESSIONS
from ops.score.plays import session
from xfhandyman import process_tree


def main(names: list[str]) -> int:
    """Play sessions or plays by name, all of them without one; 1 when the bounds are not reached."""
    unknown = set(names) - {*PLAYS, *NEW, *SESSIONS}
    if unknown:
        print(f"No play or session named {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    for name in [each for each in names if each in SESSIONS] or ([] if names else SESSIONS):
        print(f"Session {name}", flush=True)
        session(name)
    if some := tuple(each for each in names if each not in SESSIONS):
        session("some", some)
    return 0


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main(sys.argv[1:]))
