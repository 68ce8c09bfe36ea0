"""`make observe`: the site with real Prometheus and Alertmanager, the alerts printed as they arrive."""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ops.watch import OPS, Message, NotInstalledError, watching
from xfhandyman import process_tree


def main() -> int:
    """Serve until told to stop; returns the exit code of the site."""
    metrics = int(os.environ.get("METRICS_PORT", "9091"))
    worker = int(os.environ.get("WORKER_METRICS_PORT", str(metrics + 1)))
    targets = {"web": f"127.0.0.1:{metrics}", "worker": f"127.0.0.1:{worker}"}
    site = subprocess.Popen([sys.executable, "manage.py", "serve"], cwd=OPS.parent)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="xfhandyman-observe-") as scratch,
            watching(Path(scratch), targets, on_message=_show) as watch,
        ):
            print(f"Prometheus {watch.prometheus_url}   Alertmanager {watch.alertmanager_url}", flush=True)
            return site.wait()
    except NotInstalledError as error:
        print(error, file=sys.stderr)
        return 1
    except SystemExit:
        return 0
    finally:
        if site.poll() is None:
            site.terminate()
        site.wait()


def _show(message: Message) -> None:
    now = datetime.fromtimestamp(message.received_at, UTC)
    print(f"\n{now:%H:%M:%S} {message.alert}: {message.sentence}\n         {message.runbook}", flush=True)


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main())
