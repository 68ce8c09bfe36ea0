"""gunicorn's worker of this site: what it answers by itself, before Django is asked, has the policies too."""

from typing import Any

from telemetry.contrib.gunicorn.worker import LanedWorker
from xfhandyman.security import policy

_BEGINNING = b"Connection: close\r\n"
_POLICIES = "".join(f"{name}: {value}\r\n" for name, value in policy.BARE.items()).encode()


class SiteWorker(LanedWorker):
    """What `worker_class` of gunicorn.conf.py names."""

    too_slow = LanedWorker.too_slow.replace(_BEGINNING, _BEGINNING + _POLICIES)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        super().handle_error(req, _WithPolicies(client), addr, exc)


class _WithPolicies:
    """A socket that adds the policies to the answer that gunicorn writes into it in one go."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, answer: bytes) -> None:
        self._sock.sendall(answer.replace(_BEGINNING, _BEGINNING + _POLICIES, 1))
