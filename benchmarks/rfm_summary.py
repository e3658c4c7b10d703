"""RFM summary of ten million purchases through DuckDB, against a hand-written SQL query.

Both start from the same DuckDB table and end with numpy columns by customer. CPU is process time with all threads,
after one warm-up on a hundredth of the table; the target is at most 1.5 times that of the query. "Returns" makes one
row in twenty a return, which ours nets and the query ignores.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Summaries of logs"
BY_HAND_NAME = "query by hand"
# Purchases, and whether some are returns.
SIZES = ((10_000_000, False), (10_000_000, True), (1_000_000, False))

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


def make_table(purchases: int, returns: bool, path: Path) -> None:
    import duckdb

    sign = "(CASE WHEN hash(i * 11 + 3) % 20 = 0 THEN -1 ELSE 1 END)" if returns else "1"
    with duckdb.connect(path) as connection:
        customers = max(purchases * 3 // 20, 1)
        connection.execute(MAKE_TABLE.format(purchases=purchases, customers=customers, sign=sign))
        connection.execute(f"CREATE TABLE small AS FROM log LIMIT {purchases // 100}")


def by_hand(connection: Any, table: str) -> dict[str, Any]:
    return connection.sql(BY_HAND.replace("FROM log", f"FROM {table}")).fetchnumpy()


def by_predclv(connection: Any, table: str) -> dict[str, Any]:
    from predclv import RFMSummary

    rfm = RFMSummary.from_transactions(connection.table(table), amount="amount", observation_end="2023-12-31")
    return {name: getattr(rfm, name) for name in ("frequency", "recency", "T", "monetary_value")}


WAYS = {BY_HAND_NAME: by_hand, "predclv": by_predclv}


def summarise(way: str, data: str, folder: Path) -> Cost:
    import duckdb

    connection = duckdb.connect(folder / data, read_only=True)
    WAYS[way](connection, "small")
    connection.execute("SELECT count(customer_id), max(date), sum(amount) FROM log").fetchall()  # into the buffer
    before = peak_mib()
    seconds, found = clock(lambda _: WAYS[way](connection, "log"))
    sums = {name: float(found[name].astype(float).sum()) for name in ("frequency", "recency", "T", "monetary_value")}
    return Cost(seconds, peak_mib(), {"MiB above the table": peak_mib() - before, **sums})


def name_of(purchases: int, returns: bool) -> str:
    return f"{purchases}{'-returns' if returns else ''}"


CASES = tuple(
    Case(
        f"rfm/{name_of(*size)}/{way.replace(' ', '-')}",
        SUBJECT,
        f"RFM summary of {size[0]:,} purchases in a DuckDB table{', with returns' if size[1] else ''}",
        partial(summarise, way, name_of(*size)),
        way,
        customers=size[0] * 3 // 20,
        data=(name_of(*size),),
        repeats=1 if size[1] else 3,
        sets=("quick",) if size[0] == 1_000_000 else ("full",),
    )
    for size in SIZES
    for way in WAYS
)
DATA = {name_of(*size): partial(make_table, *size) for size in SIZES}
TARGETS = (
    *(
        Target(
            SUBJECT,
            f"RFM summary of 10 million purchases{', with returns' if returns else ''}: CPU over that of a query",
            f"rfm/{name_of(10_000_000, returns)}/predclv",
            f"rfm/{name_of(10_000_000, returns)}/query-by-hand",
            most=1.5,
            unit="times",
            why="Checks of every row, and returns netted day by day, which the query does not do." if returns else "",
        )
        for returns in (False, True)
    ),
    *(
        Target(
            SUBJECT,
            f"the same, sum of {name}: apart from the query's",
            "rfm/10000000/predclv",
            "rfm/10000000/query-by-hand",
            name=name,
            most=1e-9,
            unit="relative",
            gap=True,
        )
        for name in ("frequency", "monetary_value")
    ),
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
