"""Where the nodes live: a network namespace each where the kernel and our rights allow it, else loopback ports."""

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from harness.stack import free_port


@dataclass(frozen=True)
class Place:
    """Where one node runs. `command` goes before each of its commands."""

    address: str
    port: int
    metrics_port: int
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Network:
    """`gateway` is the address of nginx and PgBouncer as the nodes see it."""

    gateway: str
    places: list[Place]
    namespaces: bool


@contextmanager
def network(nodes: int) -> Iterator[Network]:
    """Lay the network for so many nodes, and take it away. Nothing leaves this machine in either form."""
    name = f"xf{os.getpid()}"
    # The range of addresses is drawn, so that runs beside each other do not meet.
    prefix = f"10.{random.randrange(128, 256)}.{random.randrange(256)}"  # noqa: S311 - nothing secret
    laid: Network | None = None
    try:
        with suppress(OSError, subprocess.CalledProcessError):
            _ip(f"link add {name} type bridge", f"addr add {prefix}.1/24 dev {name}", f"link set {name} up")
            places = [_namespace(name, prefix, number) for number in range(1, nodes + 1)]
            if _reaches(places[-1], f"{prefix}.1"):
                laid = Network(f"{prefix}.1", places, namespaces=True)
        yield laid or Network(
            "127.0.0.1", [Place("127.0.0.1", free_port(), free_port()) for _ in range(nodes)], namespaces=False
        )
    finally:
        for command in (*(f"netns del {name}n{number}" for number in range(1, nodes + 1)), f"link del {name}"):
            with suppress(OSError, subprocess.CalledProcessError):
                _ip(command)


def _namespace(name: str, prefix: str, number: int) -> Place:
    space, address = f"{name}n{number}", f"{prefix}.{number + 10}"
    _ip(
        f"netns add {space}",
        f"link add {space} type veth peer name eth0 netns {space}",
        f"link set {space} master {name} up",
        f"-n {space} addr add {address}/24 dev eth0",
        f"-n {space} link set eth0 up",
        f"-n {space} link set lo up",
    )
    return Place(address, 8000, 9091, ["ip", "netns", "exec", space])


def _reaches(place: Place, gateway: str) -> bool:
    with socket.create_server((gateway, 0)) as listener:
        address = (gateway, listener.getsockname()[1])
        script = f"import socket; socket.create_connection({address}, 5)"
        return subprocess.run([*place.command, "python3", "-c", script], capture_output=True).returncode == 0


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)
