"""What `predclv score` costs, Parquet to Parquet: CPU seconds and peak memory of the whole program, from its start.

    python benchmarks/score.py                  1 million customers, times counted in days over two years
    python benchmarks/score.py --large          10 million as well
    python benchmarks/score.py --pymc-marketing  expected purchases alone beside it, 20,000 customers at 2,000 draws
    python benchmarks/score.py --largest        likewise, 100,000 customers at 4,000 draws; it takes 19 GB for that

The targets: all columns, intervals of value and parameter uncertainty included, of a million customers within 60
seconds of CPU and 1 GiB; 10 million in ten times that and within 1 GiB; 10 million of the point columns within 30
seconds. Compiled code is in numba's cache before the clock starts: a small job goes before.

On two cores that were busy otherwise, under the default limit of 1 GB (954 MiB):

    1 million, all columns        41.3 s,  816 MiB
    10 million, all columns      311.7 s,  895 MiB
    10 million, point columns     13.4 s,  556 MiB

    expected purchases, 20,000 customers at 2,000 draws: pymc-marketing 16.4 s and 2,270 MiB, predclv 1.2 s and 445 MiB,
    the same sum. For 100,000 at 4,000 it once took 145 s and 18.7 GB.
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
POINTS = "p_alive,p_purchase,expected_purchases,expected_spend,expected_clv"
MOST_MIB = 1024.0
# Rows, columns, most CPU seconds.
CASES = [(MILLION, "all", 60.0), (MILLION, POINTS, 30.0)]
LARGE = [(10 * MILLION, POINTS, 30.0), (10 * MILLION, "all", 600.0)]
# Customers and draws beside pymc-marketing: what fits into 4 GB, and about as much as it survives in 24.
PEER, LARGEST_PEER = (20_000, 2_000), (100_000, 4_000)
PEER_HORIZON = 52.0


def make_rows(path: Path, n: int) -> None:
    """Write customers, half a million at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import predclv as pc

    writer = None
    for start in range(0, n, MILLION // 2):
        rfm = pc.datasets.simulate_rfm(
            n_customers=min(MILLION // 2, n - start), T=(0.0, 730 / 7), lattice=7, seed=start
        ).rfm
        columns = {name: getattr(rfm, name) for name in ("frequency", "recency", "T", "monetary_value")}
        table = pa.table({"customer_id": np.arange(start, start + len(rfm)), **columns})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def make_model(folder: Path) -> None:
    import predclv as pc

    warnings.simplefilter("ignore", pc.errors.PredCLVWarning)  # known of these data
    rfm = pc.datasets.simulate_rfm(n_customers=20_000, T=(0.0, 730 / 7), lattice=7, seed=-1 % 2**32).rfm
    pc.CLV().fit(rfm).save(folder)


def score(folder: Path, n: int, columns: str, out: str) -> dict[str, float]:
    """Run the program; what it cost."""
    program = Path(sys.executable).with_name("predclv")
    command = [program, "score", folder / f"{n}.parquet", "--model", folder / "model", "--out", folder / out, "--quiet"]
    chosen = [] if columns == "all" else ["--columns", columns]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*map(str, command), *chosen], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak": after.ru_maxrss / 1024,
    }


def peer_task(folder: Path, n: int, n_draws: int) -> tuple[Any, np.ndarray, Any]:
    """The customers, the draws (those that there are, over and over) and the model behind them."""
    import pandas as pd

    import predclv as pc

    table = pd.read_parquet(folder / f"{MILLION}.parquet").head(n)[["customer_id", "frequency", "recency", "T"]]
    model = pc.load(folder / "model").transactions_
    known = model.posterior_.draws_array()
    return table, np.ascontiguousarray(np.resize(known, (n_draws, known.shape[1]))), model


def cost(start: float, found: np.ndarray) -> dict[str, float]:
    """CPU since the start, the process's peak of memory, and the sum of what was found."""
    seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak": peak, "sum": float(np.sum(found))}


def peer(folder: Path, n: int, n_draws: int) -> dict[str, float]:
    """Expected purchases by pymc-marketing, whose results hold every draw of every customer."""
    import arviz as az
    import xarray as xr
    from pymc_marketing.clv import BetaGeoModel

    table, draws, ours = peer_task(folder, n, n_draws)
    model = BetaGeoModel(data=table)
    model.build_model()
    values = {name: (("chain", "draw"), draws[np.newaxis, :, i]) for i, name in enumerate(ours.posterior_.names)}
    model.idata = az.InferenceData(posterior=xr.Dataset(values), fit_data=model.data.to_xarray())
    start = time.process_time()
    found = model.expected_purchases(data=model.data, future_t=PEER_HORIZON).mean(("chain", "draw"))
    return cost(start, found.to_numpy())


def own_twin(folder: Path, n: int, n_draws: int) -> dict[str, float]:
    """The same by us: the mean over the same draws of the same customers."""
    from predclv.kernels.collapse import collapse

    table, draws, model = peer_task(folder, n, n_draws)
    columns = [table[name].to_numpy(np.float64) for name in ("frequency", "recency", "T")]
    few = collapse(*(column[:10] for column in columns))
    model.bindings.mean_expected_purchases(few.x, few.t_x, few.T, PEER_HORIZON, draws[:10])  # compiles
    start = time.process_time()
    rows = collapse(*columns)
    found = model.bindings.mean_expected_purchases(rows.x, rows.t_x, rows.T, PEER_HORIZON, draws)[rows.inverse]
    return cost(start, found)


def compare(folder: Path, n: int, n_draws: int) -> None:
    """Run both, each in a process of its own, and print what they cost."""
    theirs, ours = (json.loads(in_a_process(task, folder, str(n), str(n_draws))) for task in ("peer", "own"))
    print(f"expected purchases, {n:,} customers, {n_draws:,} draws:")
    for name, found in (("pymc-marketing", theirs), ("predclv", ours)):
        print(f"  {name}: {found['seconds']:.2f} s CPU, {found['peak']:.0f} MiB at most, sum {found['sum']:.6f}")
    ratios = theirs["seconds"] / ours["seconds"], theirs["peak"] / ours["peak"]
    print(f"  {ratios[0]:.0f} times the CPU and {ratios[1]:.1f} times the memory for the same sum", flush=True)
    # Both average the same closed form over the same draws.
    assert abs(theirs["sum"] / ours["sum"] - 1) < 1e-6


def in_a_process(task: str, folder: Path, *arguments: str) -> str:
    """Run a part of this script by itself, so that its memory is on nobody else's account."""
    command = [sys.executable, __file__, task, str(folder), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(options: list[str]) -> int:
    missed = 0
    cases = [*CASES, *(LARGE if "--large" in options else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_a_process("model", folder)
        for n in sorted({1_000, MILLION, *(case[0] for case in cases)}):
            in_a_process("rows", folder, str(n))
        score(folder, 1_000, "all", "warm")
        for number, (n, columns, most) in enumerate(cases):
            spent = json.loads(in_a_process("score", folder, str(n), columns, f"out-{number}"))
            met = spent["seconds"] <= most and spent["peak"] <= MOST_MIB
            missed += not met
            what = "all columns" if columns == "all" else "point columns"
            print(
                f"{n:,} customers, {what}: {spent['seconds']:.1f} s CPU, {spent['peak']:.0f} MiB at most; wanted "
                f"{most:g} s and {MOST_MIB:g} MiB: {'met' if met else 'MISSED'}",
                flush=True,
            )
        if "--pymc-marketing" in options:
            compare(folder, *PEER)
        if "--largest" in options:
            compare(folder, *LARGEST_PEER)
    return missed


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rows", folder, n]:
            make_rows(Path(folder) / f"{n}.parquet", int(n))
        case ["model", folder]:
            make_model(Path(folder) / "model")
        case ["score", folder, n, columns, out]:
            print(json.dumps(score(Path(folder), int(n), columns, out)))
        case ["peer", folder, n, n_draws]:
            print(json.dumps(peer(Path(folder), int(n), int(n_draws))))
        case ["own", folder, n, n_draws]:
            print(json.dumps(own_twin(Path(folder), int(n), int(n_draws))))
        case options:
            sys.exit(main(options))
