"""The e-mails that a site without a mail server writes into files."""

from collections.abc import Iterator, Sequence
from email import message_from_bytes, policy
from pathlib import Path

from django.conf import settings

_LINE = b"-" * 79 + b"\n"  # Django's file backend closes each message so


def forget(*names: str) -> int:
    """Take the e-mails that name one of these addresses or references out of the files; returns how many."""
    lowered = [name.lower() for name in names]
    return sum(_forget(path, lowered) for path in _files())


def _files() -> Iterator[Path]:
    directory = getattr(settings, "EMAIL_FILE_PATH", None)
    if directory and Path(directory).is_dir():
        yield from sorted(path for path in Path(directory).iterdir() if path.is_file())


def _forget(path: Path, names: Sequence[str]) -> int:
    parts = path.read_bytes().split(_LINE)
    kept = [part for part in parts if not _mentions(part, names)]
    if len(kept) < len(parts):
        if any(part.strip() for part in kept):
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_bytes(_LINE.join(kept))
            fresh.replace(path)
        else:
            path.unlink()
    return len(parts) - len(kept)


def _mentions(part: bytes, names: Sequence[str]) -> bool:
    message = message_from_bytes(part, policy=policy.default)
    heads = " ".join(str(value) for value in message.values())
    bodies = (leaf.get_payload(decode=True) for leaf in message.walk() if not leaf.is_multipart())
    texts = [body.decode(errors="replace") for body in bodies if isinstance(body, bytes)]
    text = " ".join([heads, *texts]).lower()
    return any(name in text for name in names)
