"""How fast p75 by route, device and day is over millions of page views: `python -m benchmarks.rum_rows [rows]`.

Fills a database of its own with page views of 30 days, then asks for 28 days' percentiles from the daily
distributions and, for comparison, from the rows themselves, and prints both plans and the cost of storing.
"""

import os
import sys
import time

import django
import psycopg
from psycopg import sql

from xfhandyman import process_tree

ROWS = 5_000_000
NAME = "xf_rum_benchmark"
FILL = """
INSERT INTO telemetry_rumsample
    (received_at, route, device, navigation, release, trace_id, part, lcp, cls, inp, fcp, ttfb, load, js_errors)
SELECT now() - interval '30 days' * (1 - n / %(rows)s::float), '/page-' || (n * 7919) %% 20 || '/',
       (ARRAY['mobile', 'desktop', 'tablet'])[1 + (n * 104729) %% 3], 'navigate', '1.0', md5(n::text), 0,
       exp(0.3 + 0.6 * random_normal()), greatest(0, 0.05 * random_normal()), exp(-2.5 + 0.8 * random_normal()),
       exp(-0.2 + 0.5 * random_normal()), exp(-2 + 0.7 * random_normal()), exp(0.5 + 0.5 * random_normal()), 0
FROM generate_series(1::bigint, %(rows)s) AS n
"""
ROLL_UP = """
INSERT INTO telemetry_rumdaily (day, route, device, vital, bucket, count)
SELECT (received_at AT TIME ZONE 'UTC')::date, route, device, vital,
       CASE WHEN value < 0.0001 THEN -1000 ELSE ceil(ln(value) / ln(1.05::float)) END, count(*)
FROM telemetry_rumsample,
     LATERAL (VALUES ('lcp', lcp), ('cls', cls), ('inp', inp), ('fcp', fcp), ('ttfb', ttfb)) AS vitals (vital, value)
WHERE value IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""
FROM_ROWS = """
SELECT (received_at AT TIME ZONE 'UTC')::date AS day, route, device,
       percentile_disc(0.75) WITHIN GROUP (ORDER BY lcp)
FROM telemetry_rumsample WHERE received_at >= now() - interval '28 days' GROUP BY 1, 2, 3
"""


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xfhandyman.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection, connections

    from telemetry.rum import models

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        connections["default"].settings_dict["NAME"] = NAME
        connections["default"].settings_dict["OPTIONS"]["options"] = "-c statement_timeout=0"
        try:
            call_command("migrate", "telemetry", verbosity=0)
            with connection.cursor() as cursor:
                for what, statement in (("page views", FILL), ("daily distributions", ROLL_UP)):
                    started = time.perf_counter()
                    cursor.execute(statement, {"rows": rows})
                    print(f"{cursor.rowcount:,} rows of {what} in {time.perf_counter() - started:.1f} s")
                cursor.execute("VACUUM ANALYZE telemetry_rumsample, telemetry_rumdaily")
                for table in ("telemetry_rumsample", "telemetry_rumdaily"):
                    cursor.execute("SELECT pg_size_pretty(pg_total_relation_size(%s))", (table,))
                    print(table, cursor.fetchone())
                cursor.execute("SELECT max(day) - 27, max(day) + 1 FROM telemetry_rumdaily")
                since, until = cursor.fetchone()
                bounds = {"since": since, "until": until, "quantile": 0.75}
                for what, statement in (
                    ("the daily distributions (RumDaily.objects.percentiles)", models._PERCENTILES),
                    ("the rows, LCP alone", FROM_ROWS),
                ):
                    print(f"\n28 days of p75 from {what}:")
                    cursor.execute("EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF) " + statement, bounds)
                    print("\n".join(line for (line,) in cursor.fetchall()))
            started = time.perf_counter()
            found = models.RumDaily.objects.percentiles(since, until)
            print(f"\n{len(found):,} percentiles in {time.perf_counter() - started:.3f} s")
        finally:
            connection.close()
            connections["default"].close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has it
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME)))


if __name__ == "__main__":
    process_tree.lead(clean_up=True)
    main()
