"""Write the dashboards' JSON beside this file, or with --check say which are not current."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from ops.dashboards.pages import PAGES
from ops.dashboards.panels import build

HERE = Path(__file__).resolve().parent


def rendered() -> dict[Path, str]:
    """Every dashboard's file and what it should hold."""
    return {
        HERE / f"{page.uid}.json": JSONEncoder(sort_keys=True, indent=2).encode(build(page)) + "\n" for page in PAGES
    }


def main() -> int:
    """Returns 1 when --check finds a file that is not current."""
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is not current: make dashboards", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.write_text(rendered()[path])
        print(f"wrote {path.relative_to(HERE.parent.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
