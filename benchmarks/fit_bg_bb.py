"""What a BG/BB fit costs against lifetimes, in CPU seconds of one run: medians, and ratio; and of a million customers.

Every repeat fits a summary made anew outside the clock, so that nothing worked out before is used again. The targets
are no more than lifetimes on the donations (22 weighted rows), and 3 CPU-seconds for a million customers, be they a row
each or weighted.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from typing import Any

import pandas as pd

import predclv as pc

MOST_SECONDS = 3.0
#: Opportunities of a million customers, and how many they have had.
CASES = {"yearly": ("year", (0.0, 12.0)), "weekly": ("week", (0.0, 104.0)), "daily": ("day", (0.0, 365.0))}


def fit_seconds(table: pd.DataFrame, opportunities: str) -> float:
    rfm = pc.RFMSummary.from_frame(table, opportunities=opportunities)
    model = pc.BGBB()
    start = time.process_time()
    model.fit(rfm)
    return time.process_time() - start


def lifetimes_seconds(table: pd.DataFrame) -> float:
    from lifetimes import BetaGeoBetaBinomFitter

    model = BetaGeoBetaBinomFitter()
    start = time.process_time()
    with warnings.catch_warnings():
        # Its search leaves the domain on the way, and it meets newer pandas.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(table["frequency"], table["recency"], table["T"], table["weight"])
    return time.process_time() - start


def simulate(opportunities: str, T: tuple[float, float]) -> Any:
    simulated = pc.datasets.simulate_rfm("bg_bb", n_customers=1_000_000, time_unit=opportunities, T=T, seed=1)
    return simulated.rfm.to_pandas()[["frequency", "recency", "T"]].astype(float)


def main() -> int:
    donors = pc.datasets.load_donations().rename(columns={"periods": "T", "weights": "weight"})
    fit_seconds(donors, "year")  # compiles, or reads what was compiled
    ours = statistics.median(fit_seconds(donors, "year") for _ in range(21))
    theirs = statistics.median(lifetimes_seconds(donors) for _ in range(5))
    missed = ours > theirs
    print(f"donations, 11,104 customers: {ours:.4f} s, lifetimes {theirs:.4f} s: {theirs / ours:.0f} times less")
    for name, (opportunities, T) in CASES.items():
        table = simulate(opportunities, T)
        rows = table.groupby(list(table.columns), as_index=False).size().rename(columns={"size": "weight"})
        for what, given in (("a row each", table), (f"{len(rows):,} weighted rows", rows)):
            seconds = statistics.median(fit_seconds(given, opportunities) for _ in range(3))
            missed |= seconds > MOST_SECONDS
            print(f"1,000,000 customers, {name}, {what}: {seconds:.3f} s")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
