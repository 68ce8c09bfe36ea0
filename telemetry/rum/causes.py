"""What a vital hung on: the element, the event, the script, and how the time was spent.

A browser could say anything here, so nothing stays that our own templates and static files do not hold: elements and
classes of the templates, names of our scripts, and the words of the lists below.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.template.utils import get_app_template_dirs

from telemetry.metrics.labels import BoundedLabel
from telemetry.static_files import file_of

PARTS = {
    "LCP": ("ttfb", "load_delay", "load", "render_delay"),
    "INP": ("input_delay", "processing", "presentation"),
    "CLS": (),
}
"""How the time of a vital is divided, in the order in which the beacon sends it."""
SCRIPT = "script"
"""In place of a vital: the script that held up a frame longest."""
EVENTS = frozenset(
    {"auxclick", "beforeinput", "click", "contextmenu", "dblclick", "input", "keydown", "keypress", "keyup"}
    | {"mousedown", "mouseup", "pointerdown", "pointerup", "touchend", "touchstart"}
)
INVOKERS = frozenset(
    {"classic-script", "module-script", "event-listener", "user-callback", "resolve-promise", "reject-promise"}
)
MOST_TARGETS, LONGEST = 200, 100
"""Different targets that one process keeps apart, and characters of one."""

_TAGS, _CLASSES, _TEMPLATE = re.compile(r"<([a-z][a-z0-9-]*)"), re.compile(r'class="([^"]*)"'), re.compile(r"{.*?}+")
_WORD = re.compile(r"[\w-]{1,40}")
_OF_FORMS = frozenset(["div", "input", "label", "li", "option", "select", "textarea", "ul"])
"""Elements that Django's own widgets write."""
_HASH = re.compile(r"\.[0-9a-f]{12}(?=\.\w+$)")
_bounded = BoundedLabel(MOST_TARGETS)


class Cause(NamedTuple):
    """`vital` is a name of PARTS or SCRIPT; `target` a selector or a script's name, `event` what set it off ("" for
    none); `parts` in ms by name. `value` is the vital's own, or the script's ms."""

    vital: str
    target: str
    event: str
    value: float
    parts: Mapping[str, float]


def of_vitals(sent: Mapping[str, Any], vitals: Mapping[str, float]) -> Iterator[Cause]:
    """What each of these vitals hung on, as far as the browser named an element of ours. `sent`: lists by name."""
    for name, parts in PARTS.items():
        found = sent.get(name)
        if name not in vitals or not isinstance(found, list) or not found or not isinstance(found[0], str):
            continue
        if not (target := selector(found[0])):
            continue
        times = found[2 : 2 + len(parts)]
        valid = all(type(time) in (int, float) and 0 <= time <= vitals[name] + 10 for time in times)
        event = found[1] if len(found) > 1 and isinstance(found[1], str) else ""
        yield Cause(
            name,
            _bounded(target),
            event if event in EVENTS else "other" if name == "INP" else "",
            vitals[name],
            dict(zip(parts, map(float, times), strict=True)) if valid and len(times) == len(parts) else {},
        )


def of_script(sent: object) -> Iterator[Cause]:
    """The script of ours that held up a frame longest. `sent`: [path, how it was called, ms]."""
    match sent:
        case [str(path), str(invoker), float() | int() as lasted] if 0 <= lasted <= 60_000 and path.endswith(".js"):
            if file := file_of(path[:500]):
                name = _HASH.sub("", file.name)[:LONGEST]
                yield Cause(SCRIPT, _bounded(name), invoker if invoker in INVOKERS else "other", float(lasted), {})


@lru_cache(maxsize=1024)
def selector(text: str) -> str:
    """A selector of elements and classes that our templates hold: "*" for another element, without other classes.

    The outermost elements are left out where it would be longer than LONGEST; "" where nothing of it is ours.
    """
    known = words()
    steps = []
    for step in text[-500:].split(">"):
        name, *classes = step.split(".")
        steps.append(".".join([name if name in known else "*", *(each for each in classes if f".{each}" in known)]))
    while len(steps) > 1 and len(">".join(steps)) > LONGEST:
        del steps[0]
    return ">".join(steps)[:LONGEST] if any(step != "*" for step in steps) else ""


@lru_cache(maxsize=1)
def words() -> frozenset[str]:
    """Every element of the project's templates, and every class with a dot before it."""
    found = set(_OF_FORMS)
    for template in _templates():
        try:
            text = template.read_text(errors="replace")
        except OSError:  # its words are not ours then, and the beacon is taken all the same
            continue
        found.update(_TAGS.findall(text))
        for classes in _CLASSES.findall(text):
            found.update(f".{each}" for each in _TEMPLATE.sub(" ", classes).split() if _WORD.fullmatch(each))
    return frozenset(found)


def _templates() -> Iterator[Path]:
    own = [
        Path(directory)
        for backend in engines.all()
        if isinstance(backend, DjangoTemplates)
        for directory in backend.engine.dirs
    ]
    for directory in own + [Path(each) for each in get_app_template_dirs("templates")]:
        yield from directory.rglob("*.html")


def environment(connection: object, memory: object) -> tuple[str, str]:
    """The class of the connection ("slow-2g" to "4g") and of the memory ("low", "middle", "high"), or "unknown"."""
    known = connection if isinstance(connection, str) and connection in ("slow-2g", "2g", "3g", "4g") else "unknown"
    if type(memory) not in (int, float) or not 0 < float(memory) <= 1024:  # type: ignore[arg-type]  # a number now
        return known, "unknown"
    gigabytes = float(memory)  # type: ignore[arg-type]  # likewise
    return known, "low" if gigabytes <= 2 else "middle" if gigabytes <= 4 else "high"
