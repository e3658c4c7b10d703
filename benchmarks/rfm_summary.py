"""RFM summary of ten million purchases through DuckDB, against a hand-written SQL query.

Both start from the same DuckDB table and end with numpy columns by customer. Each measurement is a process of its own,
the two in turn; CPU is process time with all threads, after one warm-up on a hundredth of the table. Prints medians,
their ratio (the target is at most 1.5) and the peak memory of each process beyond the table.

    python benchmarks/rfm_summary.py [--purchases 10000000] [--repeats 5] [--returns]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MAKE_TABLE = """
CREATE TABLE log AS
SELECT
    (hash(i) % {customers})::BIGINT AS customer_id,
    TIMESTAMP '2022-01-01' + INTERVAL (hash(i * 7 + 1) % 63072000) SECOND AS date,
    {sign} * (hash(i * 3 + 5) % 10000)::DOUBLE / 100 AS amount
FROM range({purchases}) AS numbers(i)
"""

# What an analyst would write for the same table: no check of nulls, amounts or dates, no quality table.
BY_HAND = """
WITH days AS (
    SELECT customer_id, date::DATE AS day, sum(amount) AS amount
    FROM log
    WHERE date < TIMESTAMP '2024-01-01'
    GROUP BY customer_id, day
)
SELECT
    customer_id,
    count(*) - 1 AS frequency,
    (max(day) - min(day)) / 7 AS recency,
    (DATE '2023-12-31' - min(day)) / 7 AS T,
    CASE WHEN count(*) > 1 THEN (sum(amount) - arg_min(amount, day)) / (count(*) - 1) ELSE 0 END AS monetary_value,
    min(day) AS first_purchase
FROM days
GROUP BY customer_id
ORDER BY customer_id
"""


def summarise_by_hand(connection: Any, table: str) -> dict[str, Any]:
    return connection.sql(BY_HAND.replace("FROM log", f"FROM {table}")).fetchnumpy()


def summarise_with_predclv(connection: Any, table: str) -> dict[str, Any]:
    from predclv import RFMSummary

    rfm = RFMSummary.from_transactions(connection.table(table), amount="amount", observation_end="2023-12-31")
    return {name: getattr(rfm, name) for name in ("frequency", "recency", "T", "monetary_value")}


WAYS = {"by hand": summarise_by_hand, "predclv": summarise_with_predclv}


def measure_one(way: str, database: str) -> None:
    import duckdb

    connection = duckdb.connect(database, read_only=True)
    WAYS[way](connection, "small")
    connection.execute("SELECT count(customer_id), max(date), sum(amount) FROM log").fetchall()  # into the buffer
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    found = WAYS[way](connection, "log")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    checks = [float(found[name].astype(float).sum()) for name in ("frequency", "recency", "T", "monetary_value")]
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": (peak - before) / 1024, "checks": checks}))


def measure(way: str, database: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, "--way", way, "--database", database]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--returns", action="store_true", help="make one row in twenty a return (the query ignores it)")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        measure_one(arguments.way, arguments.database)
        return
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "log.duckdb")
        sign = "(CASE WHEN hash(i * 11 + 3) % 20 = 0 THEN -1 ELSE 1 END)" if arguments.returns else "1"
        with duckdb.connect(database) as connection:
            customers = max(arguments.purchases * 3 // 20, 1)
            connection.execute(MAKE_TABLE.format(purchases=arguments.purchases, customers=customers, sign=sign))
            connection.execute(f"CREATE TABLE small AS FROM log LIMIT {arguments.purchases // 100}")
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(arguments.repeats):
            for way in WAYS:
                found[way].append(measure(way, database))
    medians = {way: statistics.median(run["cpu"] for run in runs) for way, runs in found.items()}
    print(f"RFM summary of {arguments.purchases:,} purchases, median of {arguments.repeats} processes each")
    for way, runs in found.items():
        wall = statistics.median(run["wall"] for run in runs)
        memory = statistics.median(run["memory"] for run in runs)
        print(f"  {way:8s} {medians[way]:6.2f} s CPU  {wall:6.2f} s elapsed  {memory:6.0f} MB above the table")
    print(f"  ratio    {medians['predclv'] / medians['by hand']:6.2f}")
    if not arguments.returns:
        pairs = zip(found["by hand"][0]["checks"], found["predclv"][0]["checks"], strict=True)
        assert all(abs(one - other) <= 1e-9 * abs(one) for one, other in pairs), "the two disagree"


if __name__ == "__main__":
    main()
