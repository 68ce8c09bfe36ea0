"""`make audit`: known vulnerabilities in what requirements*.txt and package-lock.json pin.

Exit code 0: asked, none known; 1: some are known; 3: a service could not be asked, so nothing is said. pip-audit itself
calls it success when its service knows none of the packages.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.run import BASE_DIR, BIN

FOUND, NOT_ASKED = 1, 3


def main() -> int:
    """Ask both services, print a line for each and for every vulnerability."""
    codes = {_told(name, ask) for name, ask in {"Python packages": python, "browser packages": browser}.items()}
    return FOUND if FOUND in codes else max(codes)


def python() -> list[str]:
    """Vulnerabilities of the Python packages, a line each. Raises LookupError when the service cannot be asked."""
    flags = ["--progress-spinner=off", "--disable-pip", "--require-hashes", "--format=json"]
    told = _json("pip-audit", *flags, "--requirement", "requirements-dev.txt")
    packages = told.get("dependencies", [])
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        raise LookupError(f"the service knows nothing of {len(unknown)} of {len(packages)} packages")
    return [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or 'none'}"
        for package in packages
        for fault in package["vulns"]
    ]


def browser() -> list[str]:
    """The same of the browser's packages."""
    told = _json("npm", "audit", "--json")
    if "vulnerabilities" not in told:
        raise LookupError(str(told.get("message", "no answer")))
    return [f"{name} {fault['range']}: {fault['severity']}" for name, fault in told["vulnerabilities"].items()]


def _told(name: str, ask: Callable[[], list[str]]) -> int:
    try:
        faults = ask()
    except LookupError as error:
        print(f"{name}: NOT AUDITED, the vulnerability service could not be asked ({error.args[0]}).")
        return NOT_ASKED
    print(f"{name}: {len(faults) or 'no'} known vulnerabilit{'y' if len(faults) == 1 else 'ies'}.")
    for fault in faults:
        print(f"  {fault}")
    return FOUND if faults else 0


def _json(command: str, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}  # npm looks for node there
    done = subprocess.run(
        [str(BIN / command), *arguments], cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=300
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise LookupError((done.stderr.strip().splitlines() or ["no answer"])[-1][:160]) from None
    return told


if __name__ == "__main__":
    sys.exit(main())
