"""What a fit to a table beyond memory costs, from Parquet to parameters, and what cells of times do to estimates.

    python benchmarks/fit_large.py            3 million customers; cells on CDNOW
    python benchmarks/fit_large.py --large    100 million customers: a gigabyte of Parquet where temporary files go;
                                              cells on a simulated million of three models

Customers of BG/NBD and Gamma-Gamma, of ages up to three years in days, with money in cents, are written in pieces.
`collapse_customers` groups them within 1 GB, and CLV is fitted to the rows that come of it: CPU seconds and peak memory
are of the whole process, from its start. Where cells had to be made, how far estimates are from a fit to all distinct
rows, which takes more memory, is told in standard errors: the "whole" case is that fit. Then the cells: how many rows
are left at each `time_step`, and how far the parameter that moves most moves.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Fits beyond memory"
MILLION = 1_000_000
PIECE = 2 * MILLION
DAYS = 3 * 365
# Those of CDNOW, about; times in weeks.
COUNTS = [0.243, 4.414, 0.793, 2.426]
SPEND = [6.25, 3.74, 15.44]
STEPS = (1, 2, 4, 7, 14, 28)
# Model, settings, customers (0: CDNOW), set.
CELLS = (
    ("bg_nbd", {}, 0, "full"),
    ("pareto_nbd", {}, 0, "full"),
    ("bg_nbd", {}, MILLION, "large"),
    ("pareto_nbd", {}, MILLION, "large"),
    ("mbg_cnbd", {"k": 2}, MILLION, "large"),
)


def make_customers(n: int, path: Path) -> None:
    """Write customers piece by piece."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from predclv.kernels.bg_family.replicates import replicate_histories
    from predclv.kernels.gamma_gamma.replicates import replicate_mean_spend

    writer = None
    for start in range(0, n, PIECE):
        generator = np.random.default_rng([11, start])
        size = min(PIECE, n - start)
        age = generator.integers(1, DAYS + 1, size)
        x, last = replicate_histories(generator, age / 7.0, np.array(COUNTS), 1, False)
        # Purchases of a day count as of its end.
        day = np.where(x > 0, np.minimum(np.maximum(np.ceil(last * 7.0), 1.0), age), 0.0)
        times = np.maximum(x, 1.0)
        spend = replicate_mean_spend(generator, times, np.array(SPEND))
        money = np.maximum(np.round(100.0 * times * spend), 1.0) / 100.0
        table = pa.table(
            {
                "customer_id": np.arange(start, start + size),
                "frequency": x.astype(np.int32),
                "recency": day / 7.0,
                "T": age / 7.0,
                "monetary_value": np.where(x > 0, money / times, 0.0),
            }
        ).replace_schema_metadata({"predclv": json.dumps({"time_unit": "week"})})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def fit(name: str, memory_limit: str, asked: dict[str, Any], folder: Path) -> Cost:
    """Collapse and fit; the small table goes before."""
    import predclv as pc

    pc.CLV().fit(pc.batch.collapse_customers(folder / "small.parquet", memory_limit=memory_limit))
    collapsing, rfm = clock(lambda _: pc.batch.collapse_customers(folder / name, memory_limit=memory_limit, **asked))
    fitting, clv = clock(lambda _: pc.CLV().fit(rfm))
    table = clv.summary
    found: dict[str, float] = {"collapse": collapsing, "fit": fitting, "rows": len(rfm)}
    for label, estimate, error in zip(table["parameter"], table["estimate"], table["std_error"], strict=True):
        found |= {str(label): float(estimate), f"{label} error": float(error)}
    return Cost(collapsing + fitting, peak_mib(), found)


def move(model: str, settings: dict[str, Any], n: int, folder: Path) -> Cost:
    """How many rows each step leaves, and the largest move of an estimate in standard errors."""
    import numpy as np

    import predclv as pc

    if n:
        table = pc.datasets.simulate_rfm(model, n_customers=n, T=(0.0, 104.0), lattice=7, seed=3).rfm.to_pandas()
    else:
        log = pc.datasets.load_cdnow()
        table = pc.RFMSummary.from_transactions(log, observation_end="1997-09-30").to_pandas()

    def collapse(**step: Any) -> Any:
        return pc.batch.collapse_customers(table, time_unit="week", spend=False, max_rows=10**9, **step)

    def task(_: object) -> dict[str, float]:
        rfm = collapse()
        whole = pc.MODELS[model](**settings).fit(rfm)
        error = whole.summary["std_error"].to_numpy()
        found: dict[str, float] = {"distinct": len(rfm)}
        for days in STEPS:
            rfm = collapse(time_step=f"{days} days")
            at = pc.MODELS[model](**settings).fit(rfm).posterior_.point_array
            moved = float(np.abs((at - whole.posterior_.point_array) / error).max())
            found |= {f"rows, {days} days": len(rfm), f"moved, {days} days": moved}
        return found

    seconds, found = clock(task)
    return Cost(seconds, peak_mib(), found)


FITS = (("3000000", 3 * MILLION, "full"), ("100000000", 100 * MILLION, "large"))
CASES = (
    *(
        Case(
            f"collapse/{name}/{how}",
            SUBJECT,
            f"collapse in DuckDB and fit of CLV, {'limit of 1 GB' if how == 'limited' else 'all distinct rows'}",
            partial(fit, f"{name}.parquet", limit, asked),
            customers=n,
            data=("small.parquet", f"{name}.parquet"),
            repeats=1,
            sets=(chosen,),
            limit=3_600.0,
            memory=12.0,
        )
        for name, n, chosen in FITS
        for how, limit, asked in (("limited", "1GB", {}), ("whole", "8GB", {"max_rows": 10**9}))
    ),
    *(
        Case(
            f"cells/{model}/{n or 'cdnow'}",
            SUBJECT,
            f"seven fits of {model} on cells of time, {'two years in days' if n else 'CDNOW'}",
            partial(move, model, settings, n),
            customers=n or 2_357,
            repeats=1,
            sets=(chosen,),
        )
        for model, settings, n, chosen in CELLS
    ),
)
DATA = {
    "small.parquet": partial(make_customers, 20_000),
    **{f"{name}.parquet": partial(make_customers, n) for name, n, _ in FITS},
}
TARGETS = tuple(
    Target(
        SUBJECT,
        f"{n // MILLION} million customers, from Parquet to parameters within 1 GB: memory",
        f"collapse/{name}/limited",
        name="peak",
        most=1e9 / 2**20,
        unit="MiB",
    )
    for name, n, _ in FITS
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
