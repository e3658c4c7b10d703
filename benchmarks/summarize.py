"""RFM summary of purchases in Parquet, on disk and within a memory limit, against a hand-written query of DuckDB.

Purchases are simulated by DuckDB, a file at a time. Ours and the query are a process of their own each, with the same
limit; both write Parquet. Prints CPU seconds (all threads, start of Python included), elapsed seconds, peak resident
memory and rows, and compares the two tables: whole numbers and money (in cents) must be equal.

    python benchmarks/summarize.py [--purchases 5000000] [--large] [--memory-limit 2GB] [--folder DIR]

`--large` is 100 million purchases of 15 million customers: some 0.9 GB of Parquet, and several GB to spill into.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PER_FILE = 5_000_000

MAKE_PART = """
COPY (
    SELECT
        (hash(i) % {customers})::BIGINT AS customer_id,
        TIMESTAMP '2022-01-01' + INTERVAL (hash(i * 7 + 1) % 63072000) SECOND AS date,
        (hash(i * 3 + 5) % 10000 + 1)::DOUBLE / 100 AS amount
    FROM range({first}, {last}) AS numbers(i)
) TO '{path}' (FORMAT parquet)
"""

# What an analyst would write: no check of nulls, amounts or dates, no table of what was dropped.
BY_HAND = """
COPY (
    WITH days AS (
        SELECT customer_id, date::DATE AS day, sum(round(amount * 100)::BIGINT) AS cents
        FROM '{log}/*.parquet'
        GROUP BY customer_id, day
    )
    SELECT
        customer_id,
        count(*) - 1 AS frequency,
        (max(day) - min(day)) / 7 AS recency,
        (DATE '2023-12-31' - min(day)) / 7 AS T,
        (sum(cents) - arg_min(cents, day))::BIGINT AS repeat_cents
    FROM days
    GROUP BY customer_id
    ORDER BY customer_id
) TO '{out}' (FORMAT parquet)
"""


def make_log(folder: Path, purchases: int) -> None:
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        for number, first in enumerate(range(0, purchases, PER_FILE)):
            last = min(first + PER_FILE, purchases)
            path = folder / f"purchases-{number:03}.parquet"
            connection.execute(
                MAKE_PART.format(customers=max(purchases * 3 // 20, 1), first=first, last=last, path=path)
            )


def by_hand(log: str, out: str, memory_limit: str) -> None:
    import duckdb

    config = {"memory_limit": memory_limit, "temp_directory": f"{out}.spill", "preserve_insertion_order": "false"}
    with duckdb.connect(config=config) as connection:
        connection.execute(BY_HAND.format(log=log, out=out))


def by_predclv(log: str, out: str, memory_limit: str) -> None:
    import predclv as pc

    options = {"amount": "amount", "minor_unit": 0.01, "observation_end": "2023-12-31"}
    pc.batch.summarize(log, out, memory_limit=memory_limit, observation_start="2022-01-01", **options)


WAYS = {"by hand": by_hand, "predclv": by_predclv}


def measure(way: str, log: Path, out: Path, memory_limit: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--way", way, "--log", str(log), "--out", str(out)]
    start = time.perf_counter()
    done = subprocess.run([*command, "--memory-limit", memory_limit], check=True, capture_output=True, text=True)
    return {**json.loads(done.stdout), "elapsed": time.perf_counter() - start}


def compare(ours: Path, theirs: Path) -> tuple[int, int]:
    """Rows, and how many of them differ."""
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        query = """
            SELECT count(*), count(*) FILTER (
                a.customer_id IS DISTINCT FROM b.customer_id OR a.frequency IS DISTINCT FROM b.frequency
                OR a.recency IS DISTINCT FROM b.recency OR a.T IS DISTINCT FROM b.T
                OR round(a.monetary_value * a.frequency * 100)::BIGINT IS DISTINCT FROM b.repeat_cents
            )
            FROM read_parquet(?) AS a POSITIONAL JOIN read_parquet(?) AS b
        """
        return connection.execute(query, [str(ours), str(theirs)]).fetchone()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--purchases", type=int, default=5_000_000)
    parser.add_argument("--large", action="store_true", help="100 million purchases")
    parser.add_argument("--memory-limit", default="2GB")
    parser.add_argument("--folder", help="where to put the purchases while it runs")
    for name in ("--way", "--log", "--out"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        WAYS[arguments.way](arguments.log, arguments.out, arguments.memory_limit)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}))
        return
    purchases = 100_000_000 if arguments.large else arguments.purchases
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        log = Path(folder) / "log"
        log.mkdir()
        make_log(log, purchases)
        size = sum(file.stat().st_size for file in log.iterdir())
        print(f"RFM summary of {purchases:,} purchases in {len(os.listdir(log))} files of {size >> 20:,} MiB in all")
        outs = {way: Path(folder) / f"{way.replace(' ', '-')}.parquet" for way in WAYS}
        for way, out in outs.items():
            found = measure(way, log, out, arguments.memory_limit)
            print(
                f"  {way:8s} {found['cpu']:7.1f} s CPU  {found['elapsed']:7.1f} s elapsed  {found['peak']:6.0f} MiB at "
                f"most, of a limit of {arguments.memory_limit}",
                flush=True,
            )
        rows, odd = compare(outs["predclv"], outs["by hand"])
    print(f"  {rows:,} customers, of whom {odd:,} differ")
    assert odd == 0, "the two disagree"


if __name__ == "__main__":
    main()
