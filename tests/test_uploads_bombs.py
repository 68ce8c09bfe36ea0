"""Pictures that ask for more than they are: small files of many pixels, many scans, much memory, for ever."""

import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.core.exceptions import ValidationError
from PIL import Image

from bookings.messaging import drawing, photos
from harness.stack import Stack
from tests.test_slow_clients import permission

MEGABYTE = 1024 * 1024


def picture(kind: str, size: tuple[int, int], *, mode: str = "RGB", **options: object) -> bytes:
    """With something in it, as a photo has."""
    drawn, small = BytesIO(), (size[0] // 8, size[1] // 8)
    Image.effect_noise(small, 60).resize(size).convert(mode).save(drawn, kind, **options)
    return drawn.getvalue()


def blank(kind: str, size: tuple[int, int], **options: object) -> bytes:
    drawn = BytesIO()
    Image.new("L" if kind == "JPEG" else "RGB", size, "white").save(drawn, kind, **options)
    return drawn.getvalue()


def scans(number: int, size: tuple[int, int]) -> bytes:
    whole = blank("JPEG", size, progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * number + whole[-2:]


def extended(size: tuple[int, int]) -> bytes:
    """A WebP of 34 bytes: a canvas, and nothing on it."""
    sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
    return b"RIFF" + (26).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + sides + bytes(4)


BOMBS = {
    "a WebP of 34 bytes": extended((5000, 5000)),
    "a lossless WebP": blank("WEBP", (5000, 5000), lossless=True),
    "a lossy WebP": blank("WEBP", (5000, 5000)),
    "a PNG": blank("PNG", (5000, 5000)),
    "a JPEG of 100 scans": scans(100, (7000, 7000)),
    "a smaller one of 100 scans": scans(100, (3900, 3900)),
    "a progressive JPEG of 49 MP": blank("JPEG", (7000, 7000), progressive=True),
    "a JPEG of 400 MP": blank("JPEG", (20_000, 20_000)),
}


def test_no_marker_hides_scans() -> None:
    bare = b"\xff\x01"  # a marker without a length, which decoders pass over
    first, *others = scans(100, (640, 480)).split(b"\xff\xda")
    sent = first + b"\xff\xda" + (bare + b"\xff\xda").join(others)
    Image.open(BytesIO(sent)).load()
    with pytest.raises(ValueError, match="too many scans"):
        drawing.draw(sent)


def test_it_still_takes_what_telephones_send() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, sent, upright in (
        ("48 MP", picture("JPEG", (8064, 6048), quality=80), (1600, 1200)),
        ("12 MP on its side", picture("JPEG", (4032, 3024), exif=turned), (1200, 1600)),
        ("12 MP from an editor", picture("JPEG", (4032, 3024), progressive=True, subsampling=0), (1600, 1200)),
        ("with a film behind it", picture("JPEG", (1600, 1200)) + b"\xff\xda" * 1000, (1600, 1200)),
        ("a picture of a screen", picture("PNG", (1290, 2796), mode="RGBA"), (738, 1600)),
        ("a large screen", picture("PNG", (3840, 2160)), (1600, 900)),
        ("from a messenger", picture("WEBP", (2048, 1536)), (1600, 1200)),
    ):
        kept = photos.redraw(BytesIO(sent), size=len(sent))
        assert Image.open(BytesIO(kept)).size == upright, name
        assert not Image.open(BytesIO(kept)).getexif()


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_it_refuses_before_it_decodes(bomb: bytes) -> None:
    began = time.process_time()
    with pytest.raises((drawing.TooManyPixelsError, ValueError, OSError)):
        drawing.draw(bomb)
    assert time.process_time() - began < 0.5


def test_it_ends_what_takes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a decoder can be made to do: memory and time are bounded from outside of it."""
    greedy, endless = "x = bytes(2_000_000_000)", "while True: pass"
    for code in (greedy, endless):
        script = f"import drawing; drawing.SECONDS = 1; drawing._bound()\n{code}"
        command = (*photos._COMMAND[:-2], "-c", f"import sys; sys.path.insert(0, 'bookings/messaging'); {script}")
        monkeypatch.setattr(photos, "_COMMAND", command)
        began = time.monotonic()
        with pytest.raises(ValidationError, match="could not read"):
            photos.redraw(BytesIO(b"x"), size=1)
        assert code == greedy or time.monotonic() - began > 0.9  # it ran, and was ended


def test_it_waits_for_its_turn_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "TIMEOUT", 0.2)
    sent = blank("JPEG", (64, 64))
    with photos._turn(), pytest.raises(ValidationError, match="just now"):
        photos.redraw(BytesIO(sent), size=len(sent))
    assert photos.redraw(BytesIO(sent), size=len(sent))


def post(site: Stack, allowed: tuple[str, str], content: bytes) -> int:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="photos"; filename="{number}.jpg"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for number in range(photos.MOST)
    ]
    headers = dict(line.split(": ", 1) for line in allowed)
    headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    try:
        with urlopen(Request(f"{site.url}/contact/", body, headers), timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def family(pid: int) -> Iterator[int]:
    """A process and all that descends from it. psutil would look through every process of the machine."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def memory(site: Stack) -> int:
    """Bytes of all processes of the web; what they share is counted for each.

    A process that a worker starts has the worker's memory, and its name, until it runs its program: not counted twice.
    """
    pages = 0
    for pid in list(family(site.web.pid)):
        with suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            starting = parent != site.web.pid and name(pid) == name(parent)
            pages += 0 if starting else int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def name(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


HEAVIEST = [*BOMBS.values(), blank("WEBP", (2048, 2048), lossless=True), blank("JPEG", (3900, 3900), progressive=True)]


class Attack:
    """Eight clients that post bombs one after another, as long as `going` is set; ended with the block."""

    def __init__(self, site: Stack) -> None:
        self.site, self.allowed, self.sent, self.under_way = site, permission(site), 0, 0
        self.going, self.over, self.pool = threading.Event(), threading.Event(), ThreadPoolExecutor(8)

    def __enter__(self) -> "Attack":
        self.clients = [self.pool.submit(self.run, first) for first in range(8)]
        return self

    def run(self, first: int) -> None:
        for bomb in islice(cycle(HEAVIEST), first, None):
            self.going.wait()
            if self.over.is_set():
                return
            self.under_way += 1
            assert post(self.site, self.allowed, bomb) in (302, 422)  # 302 for pictures that are only heavy
            self.under_way -= 1
            self.sent += 1

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.going.set()
        self.pool.shutdown()
        for client in self.clients:
            client.result()


@pytest.mark.timing
@pytest.mark.timeout(300)
def test_pages_stay_as_quick_through_bombs(stack: Callable[..., Stack]) -> None:
    """Some seconds with the attack and some without, in turn, so that other work on the machine falls on both."""
    site = stack(workers=2, threads=4, env={"RATE_LIMIT_CONTACT": "10000/h 10000/h"})
    whole = "?postcode=SE15+4QL"  # with a query string a page is rendered for its request
    paths = cycle((f"/{whole}", f"/services/tap-repair/{whole}", f"/book/tap-repair/{whole}", "/contact/"))
    for path in islice(paths, 80):
        site.get(path)
    attacked: list[tuple[float, bool]] = []  # since when
    with Attack(site) as attack:
        for turn in range(8):
            (attack.going.set if turn % 2 else attack.going.clear)()
            while turn % 2 == 0 and attack.under_way:
                time.sleep(0.02)
            attacked.append((time.time(), turn % 2 == 1))
            until = time.monotonic() + 3
            while time.monotonic() < until:
                site.get(next(paths), timeout=30)
                time.sleep(0.02)
    # As the site tells it: this process has the attackers' threads too, who delay whoever looks at a clock in it.
    took: dict[bool, list[float]] = {False: [], True: []}
    for line in site.log_events("request_finished"):
        at = datetime.fromisoformat(line["timestamp"]).timestamp()
        if line["method"] == "GET" and at > attacked[0][0]:
            took[[each for since, each in attacked if since <= at][-1]].append(line["queue_ms"] + line["duration_ms"])
    calm, under_attack = (quantiles(each, n=20)[-1] for each in (took[False], took[True]))
    assert attack.sent > 4
    assert under_attack <= 1.2 * calm, f"p95 {calm:.0f} → {under_attack:.0f} ms"
    print(f"p95 {calm:.1f} → {under_attack:.1f} ms", len(took[False]), len(took[True]))


def test_it_keeps_its_memory_through_bombs(stack: Callable[..., Stack]) -> None:
    site = stack(workers=2, threads=4)
    allowed = permission(site)
    with ThreadPoolExecutor(8) as clients:  # what every page and form needs is there before
        list(clients.map(lambda number: site.get(("/", "/services/", "/privacy/")[number % 3], timeout=60), range(60)))
        list(clients.map(lambda _: post(site, allowed, blank("JPEG", (64, 64))), range(40)))
    before = most = memory(site)
    with Attack(site) as attack:
        attack.going.set()
        while attack.sent < 12:  # of five pictures each
            most = max(most, memory(site))
            attack.over.wait(0.02)
    after = memory(site)
    told = f"{before / MEGABYTE:.0f} → {most / MEGABYTE:.0f} → {after / MEGABYTE:.0f} MB"
    assert most - before <= 150 * MEGABYTE, told
    assert after - before <= 40 * MEGABYTE, told
