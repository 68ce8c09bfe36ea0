"""Settings: one pillar of our own watching alone, named by the environment variable PILLAR.

The observation itself (who asks what, which queries) always runs; of what is made of it only the pillar's part is
left: metrics, logs, traces, errors or rum (the browser's token). Traces and errors are on when they have a sink.
"""

import os

from django.utils.safestring import SafeString
from prometheus_client import Counter, Gauge, Histogram

PILLAR = os.environ["PILLAR"]
if PILLAR != "logs":
    os.environ["LOG_LEVEL"] = "ERROR"

from xfhandyman.settings import *  # noqa: E402, F403 - after the level is set

if PILLAR != "metrics":
    for kind in (Counter, Gauge, Histogram):
        for step in ("inc", "dec", "set", "observe"):
            if hasattr(kind, step):
                setattr(kind, step, lambda *_args, **_kwargs: None)
        kind.labels = lambda self, *_values, **_labels: self  # type: ignore[method-assign] # that is the point

if PILLAR != "rum":
    from telemetry import templatetags  # noqa: F401 - the package, before its module
    from telemetry.rum import tokens

    tokens.issue = lambda *_page, **_ids: SafeString("")
