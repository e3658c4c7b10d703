"""What a fit to a table beyond memory costs, from Parquet to parameters, and what cells of times do to estimates.

    python benchmarks/fit_large.py            3 million customers; cells on CDNOW and on a simulated million
    python benchmarks/fit_large.py --large    100 million customers: a gigabyte of Parquet where temporary files go
    python benchmarks/fit_large.py --cells    the cells alone

Customers of BG/NBD and Gamma-Gamma, of ages up to three years in days, with money in cents, are written in pieces.
`collapse_customers` groups them within 1 GB, and CLV is fitted to the rows that come of it, in a process of its own:
CPU seconds and peak memory are of the whole process, from its start. Where cells had to be made, how far estimates are
from a fit to all distinct rows, which takes more memory, is told in standard errors. Then the cells: how many rows are
left at each `time_step`, and how far the estimates move. Compiled code is in numba's cache before the clock starts.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

MILLION = 1_000_000
PIECE = 2 * MILLION
DAYS = 3 * 365
# Those of CDNOW, about; times in weeks.
COUNTS = np.array([0.243, 4.414, 0.793, 2.426])
SPEND = np.array([6.25, 3.74, 15.44])
MOST_MIB = 1e9 / 2**20


def make_customers(path: Path, n: int) -> None:
    """Write customers piece by piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from predclv.kernels.bg_family_replicates import replicate_histories
    from predclv.kernels.gamma_gamma_replicates import replicate_mean_spend

    writer = None
    for start in range(0, n, PIECE):
        generator = np.random.default_rng([11, start])
        size = min(PIECE, n - start)
        age = generator.integers(1, DAYS + 1, size)
        x, last = replicate_histories(generator, age / 7.0, COUNTS, 1, False)
        # Purchases of a day count as of its end.
        day = np.where(x > 0, np.minimum(np.maximum(np.ceil(last * 7.0), 1.0), age), 0.0)
        times = np.maximum(x, 1.0)
        money = np.maximum(np.round(100.0 * times * replicate_mean_spend(generator, times, SPEND)), 1.0) / 100.0
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


def fit(path: str, memory_limit: str, max_rows: str) -> dict[str, Any]:
    """Collapse and fit, in this process."""
    import predclv as pc

    asked = {"max_rows": int(max_rows)} if int(max_rows) else {}
    start = time.process_time()
    rfm = pc.batch.collapse_customers(path, memory_limit=memory_limit, **asked)
    collapsed = time.process_time()
    clv = pc.CLV().fit(rfm)
    end = time.process_time()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "collapse": collapsed - start,
        "fit": end - collapsed,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
        "estimate": clv.summary["estimate"].tolist(),
        "std_error": clv.summary["std_error"].tolist(),
        "quality": rfm.quality[["what", "count", "note"]].to_dict("records"),
    }


def fit_apart(path: Path, memory_limit: str, max_rows: int = 0) -> dict[str, Any]:
    """Fit in a process of its own."""
    command = [sys.executable, __file__, "--fit", str(path), memory_limit, str(max_rows)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def show_costs(found: dict[str, Any]) -> None:
    print(
        f"  collapse {found['collapse']:.1f} CPU s, fit {found['fit']:.1f}, all {found['cpu']:.1f}; "
        f"peak {found['peak']:,.0f} MiB"
    )


def show_fit(path: Path, n: int) -> bool:
    found = fit_apart(path, "1GB")
    print(f"{n:,} customers, {path.stat().st_size / 1e6:,.0f} MB of Parquet, within 1 GB")
    for line in found["quality"]:
        print(f"  {line['what']}: {line['count']:,} {line['note']}")
    show_costs(found)
    if any(line["what"].startswith("cells") for line in found["quality"]):
        exact = fit_apart(path, "8GB", 10**9)
        print("  on all distinct rows, within 8 GB:")
        show_costs(exact)
        moved = (np.array(found["estimate"]) - np.array(exact["estimate"])) / np.array(exact["std_error"])
        print("  moved, in standard errors:", " ".join(f"{m:+.3f}" for m in moved))
    missed = found["peak"] > MOST_MIB
    if missed:
        print(f"  MISSED: peak above {MOST_MIB:,.0f} MiB")
    return not missed


def show_cells(name: str, table: Any, model: Any, unit: str) -> None:
    """Fit to the rows that each step leaves, and print how far the estimates move."""
    import predclv as pc

    distinct = pc.batch.collapse_customers(table, time_unit=unit, spend=False, max_rows=10**9)
    whole = model.fit(distinct)
    error = whole.summary["std_error"].to_numpy()
    at = whole.posterior_.point_array
    print(
        f"{name}: {len(distinct):,} distinct histories, moved in standard errors of {', '.join(whole.posterior_.point)}"
    )
    for days in (1, 2, 4, 7, 14, 28):
        rfm = pc.batch.collapse_customers(table, time_unit=unit, spend=False, time_step=f"{days} days", max_rows=10**9)
        moved = (model.fit(rfm).posterior_.point_array - at) / error
        print(f"  time_step {days:>2} days: {len(rfm):>8,} rows, moved", " ".join(f"{m:+.3f}" for m in moved))


def show_all_cells() -> None:
    import predclv as pc

    warnings.simplefilter("ignore", pc.errors.PredCLVWarning)
    log = pc.datasets.load_cdnow()
    cdnow = pc.RFMSummary.from_transactions(log, observation_end="1997-09-30")
    show_cells("CDNOW, bg_nbd", cdnow.to_pandas(), pc.BGNBD(), "week")
    show_cells("CDNOW, pareto_nbd", cdnow.to_pandas(), pc.ParetoNBD(), "week")
    for key, settings in (("bg_nbd", {}), ("pareto_nbd", {}), ("mbg_cnbd", {"k": 2})):
        rfm = pc.datasets.simulate_rfm(key, n_customers=MILLION, T=(0.0, 104.0), lattice=7, seed=3).rfm
        show_cells(f"1 million customers, {key}", rfm.to_pandas(), pc.MODELS[key](**settings), "week")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--fit"]:
        import predclv as pc

        warnings.simplefilter("ignore", pc.errors.PredCLVWarning)
        print(json.dumps(fit(*arguments[1:])))
        return 0
    missed = False
    if "--cells" not in arguments:
        with tempfile.TemporaryDirectory(prefix="fit-large-") as folder:
            small = Path(folder) / "small.parquet"
            make_customers(small, 20_000)
            fit_apart(small, "1GB")
            for n in (3 * MILLION, *([100 * MILLION] if "--large" in arguments else [])):
                path = Path(folder) / f"{n}.parquet"
                make_customers(path, n)
                missed |= not show_fit(path, n)
                path.unlink()
    if "--large" not in arguments:
        show_all_cells()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
