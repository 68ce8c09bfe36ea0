"""`make scale`: three nodes under booking load, one killed in the middle; then what each thing costs (docs/scaling.md).

The demo database is copied to one of its own in the embedded PostgreSQL. About half a minute.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psutil
import psycopg
from psycopg import sql

from xfhandyman import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
embedded.stand_in()
django.setup()

from harness.stack import manage  # noqa: E402 - as above
from ops.scale.customers import SERVICE, Client, book_all, free_windows  # noqa: E402 - after the set-up
from ops.scale.servers import missing  # noqa: E402 - as above
from ops.scale.site import SERVER_CONNECTIONS, THREADS, Site, scaled_out  # noqa: E402 - as above
from xfhandyman import process_tree  # noqa: E402 - as above

WINDOWS, CUSTOMERS = 120, 12
TABLES = (
    "bookings_booking",
    "bookings_bookingevent",
    "procrastinate_jobs",
    "procrastinate_events",
    "bookings_sentemail",
)
PAGES = ("/", "/services/", f"/services/{SERVICE}/", f"/book/{SERVICE}/", "/contact/", "/privacy/")
_OURS = """
    SELECT count(*), count(DISTINCT (handyman_id, starts_at)) FROM bookings_booking WHERE customer_email LIKE 'scale%'
"""


def main() -> int:
    """Print the table; 0 when nothing was lost or booked twice."""
    if lacking := missing():
        print(f"Not installed: {', '.join(lacking)}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="scale-") as scratch, _database() as url:
        Path(scratch).chmod(0o755)
        with scaled_out(Path(scratch) / "site", url) as site:
            return _measure(site)


@contextmanager
def _database() -> Iterator[str]:
    name, url = f"xf_scale_{os.getpid()}", os.environ["DATABASE_URL"]
    server, _, options = url.partition("?")
    own = server.rpartition("/")[0] + f"/{name}" + (f"?{options}" if options else "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        for command in (["migrate"], ["demo", "--empty"]):
            manage(*command, env={**os.environ, "DATABASE_URL": own})
        yield own
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _measure(site: Site) -> int:
    client = Client(site)
    for page in PAGES * len(site.nodes) * 4:
        client.ask("GET", page)
    client.close()
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        windows = free_windows(site, WINDOWS)
        before = _sizes(connection)
        victim = site.nodes[1]
        began = time.monotonic()
        answers = book_all(
            site,
            windows,
            rivals=2,
            customers=CUSTOMERS,
            booked=lambda n: victim.die() if n == len(windows) // 3 else None,
        )
        seconds = time.monotonic() - began
        after = _sizes(connection)
        rows, distinct = connection.execute(_OURS).fetchone() or (0, 0)
        backends = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
    acknowledged = sum(answer.status == 302 for answer in answers)
    posts = Counter(line["upstream"].split(", ")[-1] for line in site.proxied if line["method"] == "POST")
    _say("network", "a namespace for each node" if site.namespaces else "ports of the loopback")
    _say("forms by node", ", ".join(f"{name} {number}" for name, number in sorted(posts.items())))
    _say("sent again by the customer", str(sum(answer.sent - 1 for answer in answers if answer.sent)))
    _say("acknowledged, in the database, of them distinct", f"{acknowledged}, {rows}, {distinct}")
    _say("bookings a second (one of three nodes dead for two thirds)", f"{acknowledged / seconds:.0f}")
    _connections(site, backends[0] if backends else 0)
    _node(site)
    for table in TABLES:
        grown = [(after[table][each] - before[table][each]) / max(rows, 1) for each in (0, 1)]
        _say(f"{table}, a booking", f"{grown[0]:.1f} rows, {grown[1] / 1024:.1f} KB with indexes")
    return 0 if acknowledged == rows == distinct == len(windows) else 1


def _connections(site: Site, backends: int) -> None:
    console = site.pooled_url.rpartition("/")[0] + "/pgbouncer"
    with psycopg.connect(console, autocommit=True) as connection:
        clients = len(connection.execute("SHOW CLIENTS").fetchall()) - 1
        servers = len(connection.execute("SHOW SERVERS").fetchall())
    _say(f"connections of 2 nodes of {THREADS} threads to PgBouncer", str(clients))
    _say(f"connections of PgBouncer to PostgreSQL (at most {SERVER_CONNECTIONS})", str(servers))
    _say("connections to PostgreSQL, with two task workers and this script", str(backends))


def _node(site: Site) -> None:
    _, text = site.nodes[0].get(site.nodes[0].metrics_url)
    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    _say("series of one node, its scrape", f"{len(series)}, {len(text) / 1024:.0f} KB")
    arbiter = psutil.Process(site.nodes[0].web.pid)
    memory = [process.memory_info().rss / 2**20 for process in (arbiter, *arbiter.children())]
    _say("memory of a node: arbiter, then its worker", ", ".join(f"{each:.0f} MB" for each in memory))
    tasks = [each.worker for each in site.workers if each.worker is not None]
    _say("memory of a task worker", f"{psutil.Process(tasks[0].pid).memory_info().rss / 2**20:.0f} MB")


def _sizes(connection: psycopg.Connection) -> dict[str, tuple[int, int]]:
    """Rows and bytes of each table."""
    found = {}
    for table in TABLES:
        query = sql.SQL("SELECT count(*), pg_total_relation_size({}) FROM {}").format(table, sql.Identifier(table))
        row = connection.execute(query).fetchone()
        found[table] = row or (0, 0)
    return found


def _say(what: str, figure: str) -> None:
    print(f"{what:<70} {figure}", flush=True)


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    sys.exit(main())
