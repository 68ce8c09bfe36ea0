"""nginx and PgBouncer with the files of ops/nginx and ops/pgbouncer; only addresses and certificates differ."""

import configparser
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from harness.stack import BASE_DIR, wait_for
from ops.scale.network import Place

OPS = BASE_DIR / "ops"
COMMANDS = ("nginx", "pgbouncer", "openssl")


def missing() -> list[str]:
    """What this machine lacks for running several nodes."""
    return [command for command in COMMANDS if _found(command) is None]


def _found(command: str) -> str | None:
    # Debian keeps servers where a user's PATH does not look.
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def nginx(directory: Path, address: str, port: int, nodes: Sequence[Place], *, name: str) -> Iterator[Path]:
    """Serve HTTPS at address:port for host `name`; yields the path of the access log (a JSON line a request)."""
    for room in ("body", "proxy", "unused"):
        (directory / room).mkdir(parents=True)
    shutil.copy(OPS / "nginx" / "nginx.conf", directory)
    lines = [f"server {node.address}:{node.port} max_fails=2 fail_timeout=5s;" for node in nodes]
    (directory / "nodes.conf").write_text("\n".join(lines))
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command = [str(_found("openssl")), *make.split(), "-subj", f"/CN={name}", "-keyout", str(key)]
    subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)
    (directory / "listen.conf").write_text(
        f"listen {address}:{port} ssl http2;\nssl_certificate {certificate};\nssl_certificate_key {key};\n"
    )
    own = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"  # scratch directories are their owner's
    command = [str(_found("nginx")), "-p", f"{directory}/", "-c", f"{directory}/nginx.conf", "-e", "stderr", "-g", own]
    with _running(command, directory / "nginx.log", address, port):
        yield directory / "access.log"


@contextmanager
def pgbouncer(directory: Path, address: str, port: int, database_url: str, servers: int) -> Iterator[str]:
    """Pool a database at address:port over so many connections to it; yields the URL that leads through the pool."""
    directory.mkdir()
    directory.chmod(0o755)
    target = urlsplit(database_url)
    host = (parse_qs(target.query).get("host") or [str(target.hostname)])[0]
    name, user = target.path.lstrip("/"), target.username or "postgres"
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(OPS / "pgbouncer" / "pgbouncer.ini")
    password = f" password={target.password}" if target.password else ""
    settings["databases"] = {name: f"host={host} port={target.port or 5432} dbname={name} user={user}{password}"}
    settings["pgbouncer"].update(
        listen_addr=address,
        listen_port=str(port),
        unix_socket_dir="",
        auth_type="any",
        admin_users="postgres",
        default_pool_size=str(servers),
        reserve_pool_size="0",
    )
    del settings["pgbouncer"]["auth_file"]
    with (directory / "pgbouncer.ini").open("w") as file:
        settings.write(file)
    command = [str(_found("pgbouncer")), "pgbouncer.ini"]
    if os.geteuid() == 0:  # which it refuses to run as; whoever owns PostgreSQL's socket can reach it
        owner = Path(host).stat().st_uid if host.startswith("/") else pwd.getpwnam("nobody").pw_uid
        command[1:1] = ["-u", pwd.getpwuid(owner).pw_name]
    with _running(command, directory / "pgbouncer.log", address, port):
        yield f"postgresql://{user}@{address}:{port}/{name}"


@contextmanager
def _running(command: list[str], log: Path, address: str, port: int) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended:\n{log.read_text()}")
        with suppress(OSError), socket.create_connection((address, port), 2):
            return True
        return False

    try:
        wait_for(f"{command[0]} to listen", answers, 30)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
