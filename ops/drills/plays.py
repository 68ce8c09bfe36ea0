"""Plays one session: the site warms up, faults come and go, and every look is recorded."""

import random
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from ops.drills import releases
from ops.drills.catalogue import NEW, PLAYS, SESSIONS, Drill
from ops.drills.database import prepare_parts
from ops.drills.load import load
from ops.drills.recording import Recorder, Truth
from ops.drills.scene import Scene, staged
from ops.drills.scoring import RECORDINGS

WARM_UP = 60
"""Seconds of ordinary traffic before the first fault: what is usual is learned after half a minute."""
NIGHT = "night"
"""The session in which a visitor comes a minute, and nobody else."""
AFTER = 6
"""Seconds that a fault goes on after it was named."""
MOST = 36
CALM, PAUSE = 40, 10
"""Seconds within which all incidents must be closed, and of health between two plays, which is scored as well."""


def session(name: str, names: tuple[str, ...] = (), *, seed: int = 0) -> Path:
    """Run a session (or some drills of it) and return its recording. The load varies by `seed`."""
    vary = random.Random(f"{name} {seed}")  # noqa: S311 - no secret
    file = RECORDINGS / f"{name}-{seed}.xz"
    with tempfile.TemporaryDirectory(prefix="xfd", ignore_cleanup_errors=True) as directory, ExitStack() as stack:
        recorder = Recorder(Path(directory, "board"), file)
        scene = stack.enter_context(
            staged(
                Path(directory),
                pool=vary.choice([2, 4]),
                browsers=vary.randint(3, 5),
                pause=vary.uniform(0.3, 0.7),
                customers=name != NIGHT,
            )
        )
        recorder.start()
        stack.callback(recorder.stop)
        played = {each: (PLAYS | NEW)[each] for each in names or SESSIONS[name]}
        if "index-dropped" in played:
            prepare_parts(scene)
        if name == NIGHT:
            stack.enter_context(load(f"{scene.site.url}/services/", pause=60.0))
        else:
            stack.enter_context(load(f"{scene.site.url}/broken/defer/working/", pause=0.8))
        for path in {path for each in played.values() for path in each.extra}:
            stack.enter_context(load(scene.site.url + path, clients=2, pause=0.8))
        time.sleep(WARM_UP)
        for each, what in played.items():
            _play(scene, recorder, each, what)
        time.sleep(PAUSE)
    return file


def _play(scene: Scene, recorder: Recorder, name: str, what: Drill) -> None:
    deadline = time.monotonic() + CALM
    while recorder.diagnosis.open and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(PAUSE)
    with ExitStack() as stack:
        if what.decoy:
            stack.enter_context(releases.innocent(scene))
            time.sleep(5)
        before, start = len(recorder.incidents), time.time()
        with what.fault(scene):
            until, named = start + max(MOST, what.seconds), None
            while time.time() < until:
                time.sleep(0.2)
                if named is None and len(recorder.incidents) - before >= len(what.expected):
                    named = time.time()
                    until = min(until, max(named + AFTER, start + what.seconds))
        end = time.time()
        for expected in what.expected:
            recorder.note(Truth(name, what.group, **asdict(expected), start=start, end=end))
    for incident in recorder.incidents[before:]:
        print(f"  {name}: +{incident.opened_at - start:.0f} s {incident.sentence}", flush=True)
    if what.expected and not recorder.incidents[before:]:
        print(f"  {name}: no incident was opened", flush=True)
