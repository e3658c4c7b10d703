"""RFM summary of purchases in Parquet, on disk and within a memory limit, against a hand-written query of DuckDB.

    python benchmarks/summarize.py            5 million purchases
    python benchmarks/summarize.py --large    100 million of 15 million customers: 0.9 GB of Parquet, and several GB of
                                              temporary files to spill into

Purchases are simulated by DuckDB, a file at a time. Ours and the query have the same limit of 2 GB; both write Parquet.
CPU seconds are of the whole process, start of Python included. The two tables must be equal, money in cents.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from harness import Case, Cost, Target, main, run_program

SUBJECT = "Summaries of logs"
LIMIT = "2GB"
PER_FILE = 5_000_000
SIZES = {5_000_000: "full", 100_000_000: "large"}

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

APART = """
SELECT count(*), count(*) FILTER (
    a.customer_id IS DISTINCT FROM b.customer_id OR a.frequency IS DISTINCT FROM b.frequency
    OR a.recency IS DISTINCT FROM b.recency OR a.T IS DISTINCT FROM b.T
    OR round(a.monetary_value * a.frequency * 100)::BIGINT IS DISTINCT FROM b.repeat_cents
)
FROM read_parquet(?) AS a POSITIONAL JOIN read_parquet(?) AS b
"""


def make_log(purchases: int, folder: Path) -> None:
    import duckdb

    folder.mkdir()
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        for number, first in enumerate(range(0, purchases, PER_FILE)):
            last, path = min(first + PER_FILE, purchases), folder / f"purchases-{number:03}.parquet"
            customers = max(purchases * 3 // 20, 1)
            connection.execute(MAKE_PART.format(customers=customers, first=first, last=last, path=path))


def by_hand(log: str, out: str) -> None:
    import duckdb

    config = {"memory_limit": LIMIT, "temp_directory": f"{out}.spill", "preserve_insertion_order": "false"}
    with duckdb.connect(config=config) as connection:
        connection.execute(BY_HAND.format(log=log, out=out))


def by_predclv(log: str, out: str) -> None:
    import predclv as pc

    options = {"amount": "amount", "minor_unit": 0.01, "observation_end": "2023-12-31"}
    pc.batch.summarize(log, out, memory_limit=LIMIT, observation_start="2022-01-01", **options)


WAYS = {"query by hand": by_hand, "predclv": by_predclv}


def summarise(way: str, purchases: int, folder: Path) -> Cost:
    """Write the table; ours is then compared with the query's, which comes first."""
    tables = {name: folder / f"{name.replace(' ', '-')}-{purchases}.parquet" for name in WAYS}
    tables[way].unlink(missing_ok=True)
    cost = run_program([sys.executable, "-W", "ignore", __file__, "--way", way, folder / str(purchases), tables[way]])
    found = {"elapsed": cost.found["elapsed"]}
    if way == "predclv" and tables["query by hand"].is_file():
        import duckdb

        with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
            counts = connection.execute(APART, [str(tables[name]) for name in ("predclv", "query by hand")]).fetchone()
        found |= {"rows": counts[0], "rows apart": counts[1]}
    return Cost(cost.cpu, cost.peak, found)


CASES = tuple(
    Case(
        f"summarize/{purchases}/{way.replace(' ', '-')}",
        SUBJECT,
        f"RFM summary of {purchases:,} purchases, Parquet to Parquet, limit of {LIMIT}",
        partial(summarise, way, purchases),
        way,
        customers=purchases * 3 // 20,
        data=(str(purchases),),
        repeats=3 if chosen == "full" else 1,
        sets=(chosen,),
        limit=3_600.0,
    )
    for purchases, chosen in SIZES.items()
    for way in WAYS
)
DATA = {str(purchases): partial(make_log, purchases) for purchases in SIZES}
TARGETS = (
    *(
        Target(
            SUBJECT,
            f"{purchases // 1_000_000} million purchases, Parquet to Parquet: rows unlike those of a query",
            f"summarize/{purchases}/predclv",
            name="rows apart",
            most=0,
        )
        for purchases in SIZES
    ),
    Target(
        SUBJECT,
        "100 million purchases, Parquet to Parquet, limit of 2 GB: memory",
        "summarize/100000000/predclv",
        name="peak",
        most=2e9 / 2**20,
        unit="MiB",
    ),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        WAYS[sys.argv[2]](*sys.argv[3:])
        sys.exit()
    sys.exit(main(sys.modules[__name__]))
