"""Source maps: built beside the scripts, served to nobody, uploaded, and what a frame reads then."""

import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage

from harness.peers.bugsink import Project
from ops import sourcemaps
from telemetry import errors
from telemetry.errors import sentry
from telemetry.errors.browser_events import BrowserError

pytestmark = pytest.mark.usefixtures("static_files")
LITERAL = "[data-announce]"


@pytest.fixture
def reporting(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("SENTRY_DSN", project.dsn)
    sentry.start("r1", "drill")
    yield project
    errors.stop()


def place_of(text: str, literal: str) -> tuple[int, int]:
    """Line and column, from 1, where a literal begins."""
    before = text[: text.index(literal)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_no_map_and_no_address_of_one_is_served() -> None:
    assert (settings.BASE_DIR / "sourcemaps" / "picker.js.map").exists()
    served = [path for path in Path(settings.STATIC_ROOT).rglob("*") if path.is_file()]
    assert len(served) > 50
    of_packages = {"rest_framework", "django_otp_webauthn"}  # published with them: they show nothing of ours
    assert not [path for path in served if path.suffix == ".map" and not of_packages & set(path.parts)]
    for path in Path(settings.STATIC_ROOT, "build").glob("*.js"):
        assert "sourceMappingURL" not in path.read_text()


def test_the_bundle_pairs_each_script_with_its_map_by_debug_id() -> None:
    packed = sourcemaps.bundle()
    assert packed == sourcemaps.bundle(), "equal builds make equal bundles"
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        files = json.loads(archive.read("manifest.json"))["files"]
        for name in ("picker.js", "rum.js"):
            script, source_map = files[f"files/{name}"], files[f"files/{name}.map"]
            assert (script["type"], source_map["type"]) == ("minified_source", "source_map")
            assert script["headers"]["sourcemap"] == f"{name}.map"
            debug_id = script["headers"]["debug-id"]
            assert debug_id == source_map["headers"]["debug-id"]
            assert archive.read(f"files/{name}").decode().endswith(f"//# debugId={debug_id}\n")
            assert json.loads(archive.read(f"files/{name}.map"))["debugId"] == debug_id
            sources = json.loads(archive.read(f"files/{name}.map"))["sources"]
            assert not [source for source in sources if source.startswith((".", "/"))]


def test_a_frame_reads_the_line_of_the_source(reporting: Project) -> None:
    environment = {
        "SENTRY_URL": reporting.server.url,
        "SENTRY_AUTH_TOKEN": reporting.server.token,
        "SENTRY_ORG": "any",
        "SENTRY_PROJECT": str(reporting.server.api(f"projects/{reporting.id}/")["slug"]),
    }
    packed = sourcemaps.bundle()
    sourcemaps.upload(packed, environment)
    sourcemaps.upload(packed, environment)  # a second time does no harm

    origin, address = "http://127.0.0.1:8000", staticfiles_storage.url("build/picker.js")
    assert re.search(r"picker\.[0-9a-f]{12}\.js$", address), "as a production serves it"
    minified = Path(settings.STATIC_ROOT, address.removeprefix(settings.STATIC_URL)).read_text()
    line, column = place_of(minified, LITERAL)
    stack = f"TypeError: x\n    at i ({origin}{address}:{line}:{column})"
    errors.browser(BrowserError("TypeError", "x is null", stack, "/book/<slug>/", "r1", origin=origin))

    [event] = reporting.wait_for_events()
    assert {image["code_file"] for image in event["debug_meta"]["images"]} == {address, origin + address}
    wanted, _ = place_of((settings.BASE_DIR / "static/js/picker.js").read_text(), LITERAL)
    assert wanted > 1
    [issue] = reporting.issues()
    [listed] = reporting.server.api(f"events/?issue={issue['id']}")["results"]
    read = reporting.server.api(f"events/{listed['id']}/")["stacktrace_md"]
    assert re.search(rf"static/js/picker\.js\W+(line )?{wanted}\b", read), read


@pytest.mark.parametrize("missing", ["SENTRY_URL", "SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT"])
def test_it_says_what_is_not_set(missing: str) -> None:
    environment = dict.fromkeys(["SENTRY_URL", "SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT"], "http://x")
    with pytest.raises(sourcemaps.NotUploaded, match=missing):
        sourcemaps.upload(b"x", {**environment, missing: ""})


def test_it_says_what_the_server_answered(project: Project) -> None:
    environment = {"SENTRY_URL": project.server.url, "SENTRY_AUTH_TOKEN": "0" * 40, "SENTRY_ORG": "any"}
    with pytest.raises(sourcemaps.NotUploaded, match="401"):
        sourcemaps.upload(b"x", {**environment, "SENTRY_PROJECT": "any"})
