"""What fits cost, in CPU seconds of one run: against lifetimes, against a budget, and what compiling adds.

    python benchmarks/fit.py                     every row
    python benchmarks/fit.py --only pareto_nbd --customers 10_000
    python benchmarks/fit.py --list

Against a peer every repeat fits a summary made anew outside the clock, so that nothing worked out before is used again:
merging equal histories is part of the fit. Against a budget the clock runs from the float columns on. A row is a line
in ROWS; the exit code is the number of rows that missed their target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

COLD = "--cold"
MILLION = 1_000_000
# CPU seconds that a million customers may take, from float columns on.
BUDGET = 3.0


@dataclass(frozen=True)
class Row:
    """A model's fit to simulated customers of its own kind, or to CDNOW where there are none.

    Attributes
    ----------
    key : str
        Of the model, in `MODELS`.
    customers : int
        0 is CDNOW.
    target : float
        How many times less CPU than the peer is wanted; without a peer, at most how many seconds.
    peer : str
        Class of lifetimes; empty where there is none, or none is asked.
    weeks, lattice : float, int
        Customers are aged up to so many weeks, in so many time steps a week.
    repeats, peer_repeats : int
    settings : mapping
        Of the model.
    """

    key: str
    customers: int
    target: float
    peer: str = ""
    weeks: float = 730 / 7
    lattice: int = 7
    repeats: int = 7
    peer_repeats: int = 1
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        model = ", ".join([self.key, *(f"{name}={value}" for name, value in self.settings)])
        if not self.customers:
            return f"{model}, CDNOW, 2,357 customers"
        return f"{model}, {self.customers:,} customers, up to {self.weeks:.0f} weeks in steps of 1/{self.lattice}"


ROWS = (
    Row("bg_nbd", 0, 30, "BetaGeoFitter", repeats=21, peer_repeats=11),
    Row("bg_nbd", MILLION, 100, "BetaGeoFitter", weeks=52, lattice=1, peer_repeats=3),
    Row("bg_nbd", MILLION, 100, "BetaGeoFitter", peer_repeats=3),
    Row("mbg_nbd", 100_000, 100, "ModifiedBetaGeoFitter", weeks=52, peer_repeats=3),
    Row("mbg_nbd", 100_000, 100, "ModifiedBetaGeoFitter", peer_repeats=3),
    Row("pareto_nbd", 100_000, 50, "ParetoNBDFitter"),
    Row("bg_nbd", MILLION, BUDGET, repeats=3),
    Row("mbg_nbd", MILLION, BUDGET, repeats=3),
    Row("pareto_nbd", MILLION, BUDGET, repeats=3),
    Row("nbd", MILLION, BUDGET, repeats=3),
    Row("bg_cnbd", MILLION, BUDGET, repeats=3, settings=(("k", 2),)),
    Row("mbg_cnbd", MILLION, BUDGET, repeats=3, settings=(("k", 2),)),
    # k chosen: 1 to 4 are tried.
    Row("bg_cnbd", MILLION, BUDGET, repeats=3),
    Row("mbg_cnbd", MILLION, BUDGET, repeats=3),
)


def histories(row: Row) -> pd.DataFrame:
    """The columns of an RFM table, as floats."""
    import predclv as pc

    if not row.customers:
        regularity = pc.MODELS[row.key](**dict(row.settings)).needs_log_itt
        rfm = pc.RFMSummary.from_transactions(
            pc.datasets.load_cdnow(), observation_end="1997-09-30", regularity=regularity
        )
    else:
        rfm = pc.datasets.simulate_rfm(
            row.key, n_customers=row.customers, T=(0.0, row.weeks), lattice=row.lattice, seed=1
        ).rfm
    known = ["frequency", "recency", "T", *(["log_itt"] if rfm.log_itt is not None else [])]
    return rfm.to_pandas()[known].astype(float)


def fit_seconds(row: Row, table: pd.DataFrame) -> tuple[float, float, Any]:
    """Seconds of the fit, and with making the summary; the model."""
    import predclv as pc

    begin = time.process_time()
    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    model = pc.MODELS[row.key](**dict(row.settings))
    start = time.process_time()
    model.fit(rfm)
    end = time.process_time()
    return end - start, end - begin, model


def peer_seconds(row: Row, table: pd.DataFrame) -> tuple[float, dict[str, float]]:
    import lifetimes

    model = getattr(lifetimes, row.peer)()
    # Its Pareto/NBD draws its start from the global generator.
    start = {"initial_params": [1.0] * 4} if row.peer == "ParetoNBDFitter" else {}
    begin = time.process_time()
    with warnings.catch_warnings():
        # Its search leaves the domain on the way, and it meets newer pandas and scipy.
        warnings.simplefilter("ignore")
        model.fit(table["frequency"], table["recency"], table["T"], **start)
    return time.process_time() - begin, {name: float(value) for name, value in model.params_.items()}


def run(row: Row) -> bool:
    """Print a row; whether it met its target."""
    table = histories(row)
    fit_seconds(row, table)  # compiles, or reads what was compiled
    runs = [fit_seconds(row, table) for _ in range(row.repeats)]
    place = 0 if row.peer else 1
    seconds = [each[place] for each in runs]
    own, estimates = statistics.median(seconds), runs[0][2].posterior_.point
    print(row)
    print(f"  predclv    {own:9.4f} s CPU (median of {row.repeats}, {min(seconds):.4f} to {max(seconds):.4f})")
    if row.peer:
        theirs = [peer_seconds(row, table) for _ in range(row.peer_repeats)]
        peer = statistics.median(spent for spent, _ in theirs)
        met = peer >= row.target * own
        print(f"  lifetimes  {peer:9.4f} s CPU (median of {row.peer_repeats})")
        print(f"  {peer / own:.0f} times less; the target is {row.target:.0f}: {'met' if met else 'MISSED'}")
        print("  " + ", ".join(f"{name} {value:.6f} ({theirs[0][1][name]:.6f})" for name, value in estimates.items()))
    else:
        met = own <= row.target
        print(f"  from float columns; the target is {row.target:.1f} s: {'met' if met else 'MISSED'}")
        print("  " + ", ".join(f"{name} {value:.6f}" for name, value in estimates.items()))
    return met


def fresh_seconds(cache: str, key: str) -> tuple[float, float]:
    """First and second fit of CDNOW in a new process that keeps compiled code in `cache`."""
    done = subprocess.run(
        [sys.executable, __file__, COLD, key],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(float, done.stdout.split())
    return first, second


def run_cold(key: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty", "filled"):
            first, second = fresh_seconds(cache, key)
            print(
                f"{key}: first fit of a process, cache of compiled code {state}: {first:.3f} s CPU, "
                f"the second {second:.4f} s"
            )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="CPU seconds of fits.")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="models, by key")
    parser.add_argument("--customers", type=lambda text: int(text.replace("_", "")), help="instead of each row's own")
    parser.add_argument("--repeats", type=int, help="instead of each row's own")
    parser.add_argument("--no-peers", action="store_true", help="leave rows with a peer out")
    parser.add_argument("--no-cold", action="store_true", help="leave out what compiling adds")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    asked = parser.parse_args(arguments)
    chosen = [
        row for row in ROWS if (asked.only is None or row.key in asked.only) and not (asked.no_peers and row.peer)
    ]
    if asked.customers is not None:
        chosen = [replace(row, customers=asked.customers if row.customers else 0) for row in chosen]
    if asked.repeats is not None:
        chosen = [replace(row, repeats=asked.repeats) for row in chosen]
    if asked.list:
        print(*chosen, sep="\n")
        return 0
    missed = sum([not run(row) for row in chosen])
    if not asked.no_cold:
        for key in dict.fromkeys(row.key for row in chosen):
            run_cold(key)
    return missed


if __name__ == "__main__":
    if sys.argv[1:2] == [COLD]:
        case = Row(sys.argv[2], 0, 0)
        columns = histories(case)
        print(*(fit_seconds(case, columns)[0] for _ in range(2)))
        sys.exit()
    sys.exit(main(sys.argv[1:]))
