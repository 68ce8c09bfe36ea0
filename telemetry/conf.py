"""Every setting of telemetry, read in one place: `from telemetry.conf import conf`, then `conf.metrics_port`.

A value comes from the environment, else from `TELEMETRY = {"METRICS_PORT": 9100}` in the settings, else from the
default given here. A wrong value is a line of `manage.py check` and counts as not given: nothing in here raises.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

T = TypeVar("T")
_SHOWN = 80
"""Characters of a wrong value."""
_MOST = 2**31 - 1
"""A whole number that any part of a system takes."""


class Problem(NamedTuple):
    """A value that is not used. `where`: "the environment" or "settings.TELEMETRY"."""

    key: str
    shown: str
    where: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key} is {self.shown} in {self.where}; it must be {self.wanted}. The default is used."


class Kind(NamedTuple, Generic[T]):
    """A type of value: how it is called, how it is read (raises where it is another), and whether it is a secret."""

    name: str
    read: Callable[[Any], T]
    secret: bool = False

    def shown(self, value: object) -> str:
        """A wrong value as a line may show it: a secret that is no good is still one."""
        if self.secret:
            return "'…'"
        try:
            text = repr(value)
        except Exception:  # of the host's own class
            text = f"a {type(value).__name__}"
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _switch(value: Any) -> bool:
    known = {"on": True, "true": True, "1": True, "yes": True, "off": False, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    return known[str(value).lower()]


def one_of(*words: str, upper: bool = False) -> Kind[str]:
    """One of a few words, in whatever case."""

    def read(value: Any) -> str:
        word = str(value).upper() if upper else str(value).lower()
        if word not in words:
            raise ValueError(value)
        return word

    return Kind(f"one of {', '.join(words)}", read)


def number(least: float, most: float | None = None) -> Kind[float]:
    """A number between two, both included."""

    def read(value: Any) -> float:
        found = float(value)
        if isinstance(value, bool) or not isfinite(found):
            raise ValueError(value)
        if not least <= found <= (most if most is not None else found):
            raise ValueError(value)
        return found

    return Kind(f"a number from {least:g}" + (f" to {most:g}" if most is not None else ""), read)


def whole(least: int, most: int | None = None) -> Kind[int]:
    """A whole number between two, both included."""

    def read(value: Any) -> int:
        found = int(value)
        if isinstance(value, bool) or found != float(value):
            raise ValueError(value)
        if not least <= found <= (_MOST if most is None else most):
            raise ValueError(value)
        return found

    return Kind(f"a whole number from {least}" + (f" to {most}" if most is not None else ""), read)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float | os.PathLike):
        raise TypeError(value)
    text = str(value)
    if not text.isprintable():  # nor are bytes of the environment that are no text
        raise ValueError(value)
    return text


def _secret(value: Any) -> str:
    text = _text(value)
    if text and len(text) < 16:
        raise ValueError(value)
    return text


SWITCH = Kind("on or off", _switch)
TEXT = Kind("a line of text", _text)
SECRET = Kind("16 characters or more", _secret, secret=True)
PORT = whole(1, 65535)
DAYS = whole(1, 36_500)


class Setting(Generic[T]):
    """One setting: read at the first access and kept, so that reading it again is an attribute's look-up."""

    def __init__(self, kind: Kind[T], default: T | Callable[["Configuration"], T], text: str, unit: str = "") -> None:
        self.kind, self.default, self.text, self.unit = kind, default, text, unit
        self.key = self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.key = "TELEMETRY" if name == "enabled" else name.upper()

    @overload
    def __get__(self, conf: None, owner: type) -> "Setting[T]": ...
    @overload
    def __get__(self, conf: "Configuration", owner: type) -> T: ...
    def __get__(self, conf: "Configuration | None", owner: type) -> "T | Setting[T]":
        if conf is None:
            return self
        value, _ = self.read(conf)
        if settings.configured:
            conf.__dict__[self.name] = value
        return value

    def read(self, conf: "Configuration") -> tuple[T, list[Problem]]:
        """The value, and what was found wrong on the way to it."""
        problems: list[Problem] = []
        for where, given in conf.given(self.key):
            try:
                return self.kind.read(given), problems
            except Exception:  # whatever a settings file holds
                problems.append(Problem(self.key, self.kind.shown(given), where, self.kind.name))
        default: Any = self.default
        return (default(conf) if callable(default) else default), problems


class Configuration:
    """The settings, by name. `describe()` lists them; telemetry/README.md has the same table."""

    enabled = Setting(SWITCH, True, "Off leaves nothing of telemetry but the answers to probes.")
    release = Setting(TEXT, "development", "The version in metrics, spans, error reports and health.")
    environment = Setting(
        TEXT,
        lambda _: "development" if not settings.configured or settings.DEBUG else "production",
        "In metrics, spans and error reports; unset, what DEBUG says.",
    )
    service_name = Setting(TEXT, lambda _: _project(), "Of spans, unless OTEL_SERVICE_NAME says otherwise.")
    log_format = Setting(
        one_of("json", "console"),
        lambda conf: "console" if conf.environment == "development" else "json",
        "json: a line each; console: for people. Unset, console in development.",
    )
    log_level = Setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", upper=True), "INFO", "Of the root logger."
    )
    metrics_host = Setting(TEXT, "127.0.0.1", "Where the metrics are served.")
    metrics_port = Setting(PORT, 9091, "Of the web's metrics.")
    worker_metrics_port = Setting(PORT, lambda conf: conf.metrics_port + 1, "Of a task worker's metrics.")
    metrics_token = Setting(SECRET, "", "Opens /metrics on the public port to who sends it as a bearer token.")
    stock_metrics = Setting(SWITCH, False, "Export django-prometheus' own names (`django_http_…`) too, bounded.")
    incidents_dir = Setting(
        TEXT, "", "Where the processes of a host share their looks and incidents; unset, in the temporary directory."
    )
    health_paths = Setting(
        TEXT, "", "More paths, comma-separated, that are answered on the health threads: pages that wait for nothing."
    )
    web_threads = Setting(whole(0), 0, "Threads of a web worker; 0: what the server says of itself.")
    rum_sample_rate = Setting(number(0, 1), 1.0, "Of page views: a row and a log line each. Metrics count all.")
    rum_retention_days = Setting(DAYS, 30, "How long rows of page views are kept.", "days")
    incident_retention_days = Setting(DAYS, 90, "How long incidents are kept in the database.", "days")
    rum_count_automation = Setting(SWITCH, False, "Count crawlers and driven browsers as customers.")
    rum_client_window = Setting(number(0), 3600.0, "In which one client counts once for a page; 0: always.", "seconds")
    rum_rate = Setting(number(0), 50.0, "Beacons a web worker takes from everybody.", "per second")
    rum_rate_per_client = Setting(number(0), 2.0, "And from one address; bursts of ten seconds' worth.", "per second")

    def given(self, key: str) -> Iterator[tuple[str, object]]:
        """What the environment and the settings say of a key, in the order in which they count."""
        if value := os.environ.get(key):
            yield "the environment", value
        # Not before the host has read its settings: asking for them would read them, in processes that must not.
        declared: Any = getattr(settings, "TELEMETRY", None) if settings.configured else None
        if isinstance(declared, dict):
            name = "ENABLED" if key == "TELEMETRY" else key
            if declared.get(name) is not None:
                yield "settings.TELEMETRY", declared[name]
        elif key == "TELEMETRY" and declared is not None:
            yield "settings.TELEMETRY", declared

    def describe(self) -> list[Setting[Any]]:
        """Every setting, in the order of this class."""
        return [each for each in vars(Configuration).values() if isinstance(each, Setting)]

    def problems(self) -> list[Problem]:
        """Every value that is not used because it is wrong."""
        return [problem for setting in self.describe() for problem in setting.read(self)[1]]

    def unknown(self) -> list[str]:
        """Keys of settings.TELEMETRY that are no setting."""
        declared = getattr(settings, "TELEMETRY", None)
        known = {"ENABLED", *(each.key for each in self.describe())}
        return sorted(map(str, declared.keys() - known)) if isinstance(declared, dict) else []

    def told(self) -> dict[str, Any]:
        """The values, by name, for a process that does not read the host's settings; without the secrets."""
        return {each.name: getattr(self, each.name) for each in self.describe() if not each.kind.secret}

    def adopt(self, told: dict[str, Any]) -> None:
        """Take the values that another process has told, until they are forgotten."""
        self.__dict__.update(told)

    def forget(self, **changed: Any) -> None:
        """Read everything again at its next use."""
        if changed.get("setting", "TELEMETRY") in ("TELEMETRY", "DEBUG"):
            self.__dict__.clear()


def refused(wanted: Mapping[str, Kind[Any]]) -> Iterator[str]:
    """Environment variables that are of another kind than `wanted`, a sentence each; an empty one counts as not set."""
    for name, kind in wanted.items():
        if not (value := os.environ.get(name, "").strip()):
            continue
        try:
            kind.read(value)
        except Exception:  # as of the settings
            yield f"{name} is {kind.shown(value)}; it must be {kind.name}."


def databases() -> tuple[str, ...]:
    """The host's database aliases, where it has several: then they are named. Empty before its settings are read."""
    aliases = tuple(settings.DATABASES) if settings.configured else ()
    return aliases if len(aliases) > 1 else ()


MIDDLEWARE = "telemetry.middleware.ObservingMiddleware"


def middleware_at() -> int | None:
    """Where in the host's MIDDLEWARE ours is, or a class derived from it; None where it is not."""
    for number, name in enumerate(settings.MIDDLEWARE):
        try:
            derived = getattr(import_string(name), "__mro__", ())
        except Exception:  # which Django itself reports when it loads the middleware
            derived = ()
        if name == MIDDLEWARE or any(f"{each.__module__}.{each.__qualname__}" == MIDDLEWARE for each in derived):
            return number
    return None


def here() -> Path:
    """The working directory; the root where there is none any more."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def temporary() -> Path | None:
    """The directory for temporary files; None where none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def _project() -> str:
    """The package that the settings lie in, which is the name of the project."""
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "").partition(".")[0]
    return module if module not in ("", "settings") else here().name


conf = Configuration()
setting_changed.connect(conf.forget, dispatch_uid="telemetry.conf")
