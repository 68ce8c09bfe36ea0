"""Uploads the scripts' source maps to Sentry, or what speaks its protocol: `make sourcemaps`.

As an artifact bundle with debug ids (https://docs.sentry.io/platforms/javascript/sourcemaps/), so that neither the
release nor the address of a script has to agree. SENTRY_URL, SENTRY_AUTH_TOKEN, SENTRY_ORG and SENTRY_PROJECT say
where to, as they do for sentry-cli; SENTRY_PROJECT may name several, parted by commas.
"""

import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

BASE_DIR = Path(__file__).resolve().parent.parent
MAPS = BASE_DIR / "sourcemaps"
SCRIPTS = (BASE_DIR / "static" / "build", BASE_DIR / "telemetry" / "static" / "telemetry")
TIMEOUT, ASSEMBLY_TIMEOUT = 30, 60
"""Seconds for one request, and for the server to put the bundle together."""


class NotUploaded(Exception):
    """What is missing, or what the server answered; a sentence."""


def bundle(maps: Path = MAPS, scripts: tuple[Path, ...] = SCRIPTS) -> bytes:
    """The artifact bundle of every script that has a map: a ZIP with a manifest. Equal builds make equal bundles."""
    files: dict[str, Any] = {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(maps.glob("*.js.map")):
            headers = {"debug-id": json.loads(path.read_text())["debugId"]}
            script = next((at / path.stem for at in scripts if _has(at / path.stem, headers["debug-id"])), None)
            if script is None:
                continue
            for file, kind, more in (
                (script, "minified_source", {"sourcemap": path.name}),
                (path, "source_map", {}),
            ):
                files[f"files/{file.name}"] = {"url": f"~/{file.name}", "type": kind, "headers": {**headers, **more}}
                archive.writestr(zipfile.ZipInfo(f"files/{file.name}"), file.read_bytes(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("manifest.json"), json.dumps({"files": files}), zipfile.ZIP_DEFLATED)
    if not files:
        raise NotUploaded("There are no source maps: build the scripts first (make static/build/stamp).")
    return packed.getvalue()


def _has(script: Path, debug_id: str) -> bool:
    """Whether a script is the one that a map was built with: what is left of an older build has another id."""
    return script.exists() and script.read_text().endswith(f"//# debugId={debug_id}\n")


def upload(packed: bytes, environ: Mapping[str, str]) -> None:
    """Send the bundle in chunks and have the server put it together. Raises NotUploaded and requests' errors."""
    names = ("SENTRY_URL", "SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT")
    if missing := [name for name in names if not environ.get(name)]:
        raise NotUploaded(f"Set {', '.join(missing)}.")
    projects = [name.strip() for name in environ["SENTRY_PROJECT"].split(",")]
    home = urljoin(environ["SENTRY_URL"], f"/api/0/organizations/{environ['SENTRY_ORG']}/")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {environ['SENTRY_AUTH_TOKEN']}"
        options = _json(session.get(urljoin(home, "chunk-upload/"), timeout=TIMEOUT))
        size = int(options["chunkSize"])
        chunks = {_checksum(part): part for at in range(0, len(packed), size) if (part := packed[at : at + size])}
        wanted = {"checksum": _checksum(packed), "chunks": list(chunks), "projects": projects}
        deadline = time.monotonic() + ASSEMBLY_TIMEOUT
        while True:
            said = _json(session.post(urljoin(home, "artifactbundle/assemble/"), json=wanted, timeout=TIMEOUT))
            for missing_chunk in said.get("missingChunks") or ():
                files = {"file": (missing_chunk, chunks[missing_chunk])}
                _checked(session.post(urljoin(home, options["url"]), files=files, timeout=TIMEOUT))
            if said["state"] in ("ok", "created", "assembling") and not said.get("missingChunks"):
                return
            if said["state"] == "error" or time.monotonic() > deadline:
                raise NotUploaded(f"The server has not put the bundle together: {said}")


def _checksum(data: bytes) -> str:
    return sha1(data, usedforsecurity=False).hexdigest()  # the protocol's, and no secret


def _json(response: requests.Response) -> Any:
    return _checked(response).json()


def _checked(response: requests.Response) -> requests.Response:
    if not response.ok:
        raise NotUploaded(f"The server answered {response.status_code}: {response.text[:300]}")
    return response


def main() -> None:
    try:
        packed = bundle()
        upload(packed, os.environ)
    except (NotUploaded, requests.RequestException) as error:
        sys.exit(str(error))
    print(f"Uploaded {len(packed) // 1024} KB of scripts and source maps.")


if __name__ == "__main__":
    main()
