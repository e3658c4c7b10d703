"""What a BG/NBD fit costs against lifetimes, in CPU seconds of one run: medians, ratio, and what compiling adds.

Every repeat fits a summary made anew outside the clock, so that nothing worked out before is used again: merging equal
histories is part of the fit. The targets are 30 times less at CDNOW's 2,357 customers and 100 times at a million.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

COLD = "cold"


def simulate(weeks: float, lattice: int) -> pd.DataFrame:
    """A million BG/NBD customers of CDNOW's kind, aged up to so many weeks; `lattice` time steps to a week."""
    import predclv as pc

    return columns(pc.datasets.simulate_rfm(n_customers=1_000_000, T=(0.0, weeks), lattice=lattice, seed=1).rfm)


def columns(rfm: Any) -> pd.DataFrame:
    return rfm.to_pandas()[["frequency", "recency", "T"]].astype(float)


def cdnow() -> pd.DataFrame:
    import predclv as pc

    rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), observation_end="1997-09-30")
    return columns(rfm)


CASES: dict[str, tuple[Callable[[], pd.DataFrame], int, int, int]] = {
    # Histories; repeats here and of lifetimes; how many times less is wanted.
    "CDNOW, 2,357 customers": (cdnow, 21, 11, 30),
    "1,000,000 customers, 1 year in weeks": (lambda: simulate(52, 1), 7, 3, 100),
    "1,000,000 customers, 2 years in days": (lambda: simulate(730 / 7, 7), 7, 3, 100),
}


def fit_seconds(table: pd.DataFrame) -> tuple[float, Any]:
    import predclv as pc

    model, rfm = pc.BGNBD(), pc.RFMSummary.from_frame(table, time_unit="week")
    start = time.process_time()
    model.fit(rfm)
    return time.process_time() - start, model


def lifetimes_seconds(table: pd.DataFrame) -> tuple[float, Any]:
    from lifetimes import BetaGeoFitter

    model = BetaGeoFitter()
    start = time.process_time()
    with warnings.catch_warnings():
        # Its search leaves the domain on the way, and it meets newer pandas.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(table["frequency"], table["recency"], table["T"])
    return time.process_time() - start, model


def fresh_seconds(cache: str) -> tuple[float, float]:
    """First and second fit of CDNOW in a new process that keeps compiled code in `cache`."""
    done = subprocess.run(
        [sys.executable, __file__, COLD],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(float, done.stdout.split())
    return first, second


def main() -> int:
    missed = 0
    for name, (make, repeats, peer_repeats, target) in CASES.items():
        table = make()
        fit_seconds(table)  # compiles, or reads what was compiled
        ours, theirs = (
            [seconds(table) for _ in range(n)]
            for seconds, n in ((fit_seconds, repeats), (lifetimes_seconds, peer_repeats))
        )
        (own, peer), (model, reference) = zip(
            *((statistics.median(s for s, _ in runs), runs[0][1]) for runs in (ours, theirs)), strict=True
        )
        print(f"{name}\n  predclv    {own:9.4f} s CPU (median of {repeats}, {min(ours)[0]:.4f} to {max(ours)[0]:.4f})")
        print(f"  lifetimes  {peer:9.4f} s CPU (median of {peer_repeats})")
        met = peer >= target * own
        missed += not met
        print(f"  {peer / own:.0f} times less; the target is {target}: {'met' if met else 'MISSED'}")
        estimates = {p: (v, float(reference.params_[p])) for p, v in model.posterior_.point.items()}
        print("  " + ", ".join(f"{p} {v:.6f} ({w:.6f})" for p, (v, w) in estimates.items()))
    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty", "filled"):
            first, second = fresh_seconds(cache)
            print(
                f"first fit of a process, cache of compiled code {state}: {first:.3f} s CPU, the second {second:.4f} s"
            )
    return missed


if __name__ == "__main__":
    if sys.argv[1:] == [COLD]:
        histories = cdnow()
        print(*(fit_seconds(histories)[0] for _ in range(2)))
        sys.exit()
    sys.exit(main())
