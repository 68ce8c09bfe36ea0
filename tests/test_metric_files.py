"""Metrics on a full disk, in processes of their own: a limit on the size of files stands for the disk's end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

PROGRAM = """
import resource, sys
from django.conf import settings
settings.configure()
from telemetry.metrics import files
files.install()
files.RETRY = 0.0
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
limit(int(sys.argv[1]))
from prometheus_client import Counter, Histogram
jobs, steps = Counter("jobs", "", ["name"]), Histogram("steps", "")
for number in range(2000):
    jobs.labels(f"job number {number}").inc()
    steps.observe(0.1)
print(sorted(__import__("os").listdir(sys.argv[2])), flush=True)
limit(resource.RLIM_INFINITY if hard == resource.RLIM_INFINITY else hard)
jobs.labels("job number 7").inc()
steps.observe(0.1)
"""


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_it_outlives_a_full_disk_and_loses_no_count(tmp_path: Path, limit: int) -> None:
    """1000 bytes: no file can be made; 100,000: it cannot grow."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(limit), str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    while_full = done.stdout.splitlines()[-1]
    assert ("counter_" in while_full) == (limit > 1000)
    (counters,) = tmp_path.glob("counter_*.db")
    counts = {key: value for key, value, _, _ in MmapedDict.read_all_values_from_file(str(counters))}
    assert len(counts) == 2000
    assert sum(counts.values()) == 2001
    (histograms,) = tmp_path.glob("histogram_*.db")
    values = {key: value for key, value, _, _ in MmapedDict.read_all_values_from_file(str(histograms))}
    assert [value for key, value in values.items() if '"steps_sum"' in key] == [pytest.approx(200.1)]
