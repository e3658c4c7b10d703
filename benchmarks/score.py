"""What `predclv score` costs, Parquet to Parquet: CPU seconds and peak memory of the whole program, from its start.

    python benchmarks/score.py                   1 million customers, times counted in days over two years
    python benchmarks/score.py --large           10 million as well, and 100,000 customers at 4,000 draws beside
                                                 pymc-marketing, which takes 19 GB for that

The targets: all columns, intervals of value and parameter uncertainty included, of a million customers within 60
seconds of CPU and 1 GiB; 10 million in ten times that and within 1 GiB; 10 million of the point columns within 30
seconds. Compiled code is in numba's cache before the clock starts: a small job goes before. Beside pymc-marketing
stands its part that we have too: expected purchases at given draws.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib, run_program

SUBJECT = "Batch"
MILLION = 1_000_000
POINTS = "p_alive,p_purchase,expected_purchases,expected_spend,expected_clv"
MOST_MIB = 1024.0
# Customers, columns, most CPU seconds, set.
JOBS = (
    (MILLION, "all", 60.0, "full"),
    (MILLION, "points", None, "full"),
    (10 * MILLION, "points", 30.0, "large"),
    (10 * MILLION, "all", 600.0, "large"),
)
# Customers and draws beside pymc-marketing; the second is about as much as it survives in 24 GB.
PEER = ((20_000, 2_000, "full"), (100_000, 4_000, "large"))
PEER_HORIZON = 52.0


def make_rows(n: int, path: Path) -> None:
    """Write customers, half a million at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import predclv as pc

    writer = None
    for start in range(0, n, MILLION // 2):
        size = min(MILLION // 2, n - start)
        rfm = pc.datasets.simulate_rfm(n_customers=size, T=(0.0, 730 / 7), lattice=7, seed=start).rfm
        columns = {name: getattr(rfm, name) for name in ("frequency", "recency", "T", "monetary_value")}
        table = pa.table({"customer_id": np.arange(start, start + len(rfm)), **columns})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def make_model(path: Path) -> None:
    import predclv as pc

    rfm = pc.datasets.simulate_rfm(n_customers=20_000, T=(0.0, 730 / 7), lattice=7, seed=-1 % 2**32).rfm
    pc.CLV().fit(rfm).save(path)


def score(n: int, columns: str, folder: Path) -> Cost:
    """Run the program, after a small job that reads compiled code."""
    program, out = Path(sys.executable).with_name("predclv"), folder / "out"
    cost = Cost(0.0, 0.0)
    for rows in (1_000, n):
        shutil.rmtree(out, ignore_errors=True)
        command = [program, "score", folder / f"{rows}.parquet", "--model", folder / "model", "--out", out, "--quiet"]
        cost = run_program([*command, *([] if columns == "all" else ["--columns", POINTS])])
    return Cost(cost.cpu, cost.peak, {"elapsed": cost.found["elapsed"]})


def shared_task(n: int, n_draws: int, folder: Path) -> tuple[Any, Any, Any]:
    """The customers, the draws (those that there are, over and over) and the model behind them."""
    import numpy as np
    import pandas as pd

    import predclv as pc

    table = pd.read_parquet(folder / f"{MILLION}.parquet").head(n)[["customer_id", "frequency", "recency", "T"]]
    model = pc.load(folder / "model").transactions_
    known = model.posterior_.draws_array()
    return table, np.ascontiguousarray(np.resize(known, (n_draws, known.shape[1]))), model


def expect_peer(n: int, n_draws: int, folder: Path) -> Cost:
    """Expected purchases by pymc-marketing, whose results hold every draw of every customer."""
    import arviz as az
    import numpy as np
    import xarray as xr
    from pymc_marketing.clv import BetaGeoModel

    table, draws, ours = shared_task(n, n_draws, folder)
    model = BetaGeoModel(data=table)
    model.build_model()
    values = {name: (("chain", "draw"), draws[np.newaxis, :, i]) for i, name in enumerate(ours.posterior_.names)}
    model.idata = az.InferenceData(posterior=xr.Dataset(values), fit_data=model.data.to_xarray())
    seconds, found = clock(
        lambda _: model.expected_purchases(data=model.data, future_t=PEER_HORIZON).mean(("chain", "draw"))
    )
    return Cost(seconds, peak_mib(), {"sum": float(found.sum())})


def expect(n: int, n_draws: int, folder: Path) -> Cost:
    """The same by us: the mean over the same draws of the same customers."""
    import numpy as np

    from predclv.kernels.collapse import collapse

    table, draws, model = shared_task(n, n_draws, folder)
    columns = [table[name].to_numpy(np.float64) for name in ("frequency", "recency", "T")]

    def task(taken: list[Any]) -> Any:
        rows = collapse(*taken)
        return model.bindings.mean_expected_purchases(rows.x, rows.t_x, rows.T, PEER_HORIZON, draws)[rows.inverse]

    task([column[:10] for column in columns])
    seconds, found = clock(task, lambda: columns)
    return Cost(seconds, peak_mib(), {"sum": float(found.sum())})


def job_cases() -> list[Case]:
    return [
        Case(
            f"score/{n}/{columns}",
            SUBJECT,
            f"predclv score, {'all' if columns == 'all' else 'point'} columns, Parquet to Parquet",
            partial(score, n, columns),
            customers=n,
            data=("model", "1000.parquet", f"{n}.parquet"),
            repeats=1 if columns == "all" or chosen == "large" else 3,
            sets=(chosen,),
            limit=3_600.0,
        )
        for n, columns, _, chosen in JOBS
    ]


def peer_cases() -> list[Case]:
    return [
        Case(
            f"score/expected/{n}-{draws}/{who}",
            SUBJECT,
            "expected purchases at given draws",
            partial(work, n, draws),
            who,
            customers=n,
            draws=draws,
            data=("model", f"{MILLION}.parquet"),
            repeats=3 if chosen == "full" and who == "predclv" else 1,
            sets=(chosen,),
            limit=900.0,
            memory=22.0,
        )
        for n, draws, chosen in PEER
        for who, work in (("predclv", expect), ("pymc-marketing", expect_peer))
    ]


CASES = (*job_cases(), *peer_cases())
DATA = {"model": make_model, **{f"{n}.parquet": partial(make_rows, n) for n in (1_000, MILLION, 10 * MILLION)}}
TARGETS = (
    *(
        target
        for n, columns, most, _ in JOBS
        if most
        for said in [
            f"predclv score, {n // MILLION} million customers, {'all' if columns == 'all' else 'point'} columns"
        ]
        for target in (
            Target(SUBJECT, f"{said}: CPU", f"score/{n}/{columns}", most=most, unit="s"),
            Target(SUBJECT, f"{said}: memory", f"score/{n}/{columns}", name="peak", most=MOST_MIB, unit="MiB"),
        )
    ),
    *(
        Target(
            SUBJECT,
            f"expected purchases of {n:,} customers at {draws:,} draws: sum, against pymc-marketing's",
            f"score/expected/{n}-{draws}/predclv",
            f"score/expected/{n}-{draws}/pymc-marketing",
            name="sum",
            most=1e-6,
            unit="relative",
            gap=True,
        )
        for n, draws, _ in PEER
    ),
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
