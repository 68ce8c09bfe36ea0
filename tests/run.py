"""`make test`: every static check, then every test. Ends with the first exit code that is not 0.

A check that fails does not hide the next: all of them run. A table of what passed closes the output, and under it each
test that failed with the line that says why, so that the end of a long log is enough to start from.
`--lint` leaves the tests out. `--quick [path ...]` runs the quick checks and, of the tests that start no site, those in
the paths, else those that name a module that has changed since the last commit (or in it).
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from harness.production import PRODUCTION
from tests import tools
from xfhandyman import process_tree

BIN = Path(sys.executable).parent
BASE_DIR = Path(__file__).resolve().parent.parent

CHECKS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "--quiet", "."],
    "ruff format": ["ruff", "format", "--quiet", "--check", "."],
    "mypy": ["mypy", "--no-error-summary"],
    "templates": ["djlint", "--check", "templates"],
    "template rules": ["djlint", "--lint", "templates"],
    "prose": ["python", "-m", "tests.prose"],
    "import contract": ["lint-imports", "--no-cache"],
    "dead code": ["vulture"],
    "duplicates": ["python", "-m", "tests.duplicates"],
    "migrations": ["python", "manage.py", "makemigrations", "--check", "--dry-run"],
    "safe migrations": ["python", "manage.py", "lintmigrations", "--settings", "tests.migration_settings"],
    "deploy check": ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
}
QUICK = ("ruff", "ruff format", "mypy", "import contract")
BESIDE = ["--dist", "loadfile", "--no-loadscope-reorder", "--reruns", "1", "-rR"]
"""Several files at a time, in the order of conftest.py. What another disturbs is tried again, but no race is."""

TESTS = {
    "tests": ["python", "-m", "pytest", "-m", "not (long or waits or alone)", "-n", "3", *BESIDE],
    "tests of whole sites": ["python", "-m", "pytest", "-m", "waits and not long", "-n", "2", *BESIDE],
    "tests that run alone": ["python", "-m", "pytest", "-m", "not long and alone"],
}


def main() -> int:
    """Run the checks and, without --lint, the tests. A signal ends what they have started too."""
    process_tree.lead(clean_up=False)
    # Containers often set it. Each of some hundred processes would then compile the whole project at its start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    quick = "--quick" in sys.argv
    if not {"--quick", "--lint"} & set(sys.argv) and not tools.has_browser():
        print("There is no Chromium, without which no page can be tested. Try: make tools")
        return 1
    checks = {name: CHECKS[name] for name in QUICK} if quick else CHECKS
    results = {name: _run(name, command) for name, command in checks.items()}
    with TemporaryDirectory() as reports:
        for name, command in _tests(quick=quick).items():
            report = Path(reports) / f"{name}.xml"
            results[name] = _run(name, [*command, f"--junitxml={report}", "-o", "junit_logging=no"], quiet=False)
        failures = [line for report in sorted(Path(reports).iterdir()) for line in _failures(report)]
    failed = [name for name, (code, _) in results.items() if code]
    for name, (code, seconds) in results.items():
        print(f"{'FAILED' if code else 'ok':>7}  {seconds:6.1f} s  {name}")
    for line in failures:
        print(line)
    return 1 if failed else 0


def _tests(*, quick: bool) -> dict[str, list[str]]:
    """The runs of pytest that were asked for, by name; what they need is there."""
    if quick:
        chosen = [path for path in sys.argv[2:] if path] or _related()
        command = ["python", "-m", "pytest", "-m", "not (long or waits or alone)", "--no-site", *chosen]
        return {"tests": command} if chosen else {}
    if "--lint" in sys.argv:
        return {}
    if servers := tools.missing_servers():
        print(f"Not installed: {', '.join(servers)}. The tests that need them are SKIPPED. Try: make tools", flush=True)
    return TESTS


def _failures(report: Path) -> list[str]:
    """Each test that failed at last, and why, as lines of at most 300 characters."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        for outcome in [*case.iter("failure"), *case.iter("error")]:
            why = " ".join((outcome.get("message") or outcome.text or "").split())
            found[f"{case.get('classname')}::{case.get('name')}"] = why
    return [f"FAILED {test}: {why}"[:300] for test, why in found.items()]


def _related() -> list[str]:
    """The tests that have changed, and those that name a changed module."""

    def git(*command: str) -> list[str]:
        done = subprocess.run(["git", *command], cwd=BASE_DIR, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line.endswith(".py")]

    changed = git("diff", "--name-only", "HEAD") + git("ls-files", "--others", "--exclude-standard")
    changed = changed or git("diff", "--name-only", "HEAD~1")
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in changed}
    names = {module.rpartition(".")[::2] for module in modules if not module.startswith("tests.")}
    found = {path for path in changed if Path(path).name.startswith("test_") and (BASE_DIR / path).exists()}
    for test in (BASE_DIR / "tests").glob("test_*.py"):
        text = test.read_text()
        if any(re.search(rf"from {package} import .*\b{name}\b|{package}\.{name}\b", text) for package, name in names):
            found.add(str(test.relative_to(BASE_DIR)))
    return sorted(found)


def _run(name: str, command: list[str], *, quiet: bool = True) -> tuple[int, float]:
    environment = dict(os.environ)
    if name == "deploy check":
        environment |= PRODUCTION
    if name in {"mypy", "deploy check"}:
        environment.setdefault("DATABASE_URL", "postgresql:///never-opened")
    started = time.monotonic()
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=BASE_DIR,
        env=environment,
        capture_output=quiet,
        text=True,
        preexec_fn=process_tree.with_parent(),
    )
    process_tree.end_descendants()  # of a command that was killed
    if done.returncode and quiet:
        print(f"--- {name}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
