"""Where something is reported, while that is on: tracing and error reports each have one."""

from typing import Generic, Protocol, TypeVar


class _Stoppable(Protocol):
    def stop(self, timeout: float) -> None: ...


T = TypeVar("T", bound=_Stoppable)

STOP_TIMEOUT = 0.8
"""Seconds the last reports get to leave when the process ends."""


class Sink(Generic[T]):
    """`active`: a back end, or a null object while there is none."""

    def __init__(self, off: T) -> None:
        self._off = self.active = off

    @property
    def on(self) -> bool:
        """Whether anything is reported."""
        return self.active is not self._off

    def use(self, backend: T) -> None:
        """Report through `backend` from now on."""
        self.active = backend

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Send what is queued, for at most `timeout` seconds; what is left is dropped and counted."""
        stopping, self.active = self.active, self._off
        stopping.stop(timeout)
