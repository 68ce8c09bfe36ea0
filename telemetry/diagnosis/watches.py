"""Everything that is wrong beside slow and failing work, and what is usual for it. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from telemetry.diagnosis.backlog import Backlog
from telemetry.diagnosis.browsers import WITHIN, Browsers
from telemetry.diagnosis.flows import Flows
from telemetry.diagnosis.memory import Memory
from telemetry.diagnosis.model import Look
from telemetry.diagnosis.signals import Finding


@dataclass(slots=True)
class Watches:
    """What usually goes on, how much memory there usually is, how long tasks usually wait, what browsers report."""

    flows: Flows = field(default_factory=Flows)
    memory: Memory = field(default_factory=Memory)
    backlog: Backlog = field(default_factory=Backlog)
    browsers: Browsers = field(default_factory=Browsers)
    _unlearned: deque[Look] = field(default_factory=deque)

    def add(self, look: Look) -> None:
        """Take in one process's second."""
        self.flows.add(look)
        self.memory.add(look)
        self.backlog.add(look)
        if look.browsers:
            self._unlearned.append(look)

    def findings(self, at: float, looks: Sequence[Look]) -> list[Finding]:
        """What is wrong now. `looks`: of the last minutes."""
        browsers = self.browsers.findings(at, looks)
        while self._unlearned and self._unlearned[0].at < at - WITHIN:
            old = self._unlearned.popleft()
            if not browsers:
                self.browsers.learn(old)
        return [*self.flows.findings(at), *self.memory.findings(), *self.backlog.findings(at, looks), *browsers]

    def to_json(self) -> dict[str, Any]:
        return {
            "flows": self.flows.to_json(),
            "memory": self.memory.to_json(),
            "backlog": self.backlog.usual,
            "browsers": self.browsers.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Watches":
        """Read what `to_json` made; what an older release did not keep is not known yet."""
        return cls(
            Flows.from_json(values.get("flows", {})),
            Memory.from_json(values.get("memory", {})),
            Backlog(float(values.get("backlog", 0.0))),
            Browsers.from_json(values.get("browsers", [])),
        )
