"""What recalibration and combination do to forecasts of 13 weeks: CRPS, bias and calibration before and after.

Out of time: at each cut-off only outcomes that had ended by then are learnt from. "best" is the best single method at
that cut-off, or over all, known in hindsight; the combination does not know it.

Means over the cut-offs of one run with "pit" (purchases; the change of the CRPS, the bias's distance from 0 before and
after, and the combination's CRPS over that of the best single method):

    rates fall by 35 % a year        BG/NBD  -1.4 %  .236 .077   boosting  0.0 %  .063 .058   combination -0.7 %
    rates rise by 43 % a year        BG/NBD  -0.8 %  .139 .072   boosting -0.1 %  .037 .039   combination -0.6 %
    steady rates                     BG/NBD   0.0 %  .020 .017   boosting -0.3 %  .037 .033   combination  0.0 %
    steady rates, 2,000 customers    BG/NBD   0.0 %  .047 .049   boosting -0.2 %  .100 .102   combination  0.0 %
    CDNOW, 23,570 customers          BG/NBD  -0.2 %  .085 .083   boosting  0.1 %  .172 .162   combination -0.8 %
    CDNOW, value                     BG/NBD  -0.2 %  .112 .128   boosting  0.0 %  .136 .143   combination -0.9 %
    grocery, 1,525 customers         BG/NBD  -2.2 %  .191 .079   boosting -0.2 %  .096 .094   combination -1.9 %

At no cut-off did the CRPS rise by 1 %. CDNOW's bias turns with the season, which no earlier vintage tells: it stays.
"conformal" helps less (BG/NBD -0.2, -0.1, 0.0, 0.0, 0.0, 0.0 and -0.9 %), for it leaves totals alone.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import predclv as pc
from predclv.backtesting import backtest

GROCERY = Path(__file__).parents[2] / "shared" / "data" / "grocery_elog.csv"
METHODS = ("bg_nbd", "gradient_boosting", "marginal")
HORIZON = "13 weeks"


def drifting_log(yearly: float, *, n_customers: int = 8_000, seed: int = 3) -> pd.DataFrame:
    """Simulate a BG/NBD log whose later repeat purchases, all but `yearly` of them a year on, did not come about."""
    log = pc.datasets.simulate(
        n_customers=n_customers,
        parameters={"r": 0.5, "alpha": 4.0, "a": 0.5, "b": 3.0},
        births="26 weeks",
        observed="104 weeks",
        resolution="day",
        seed=seed,
    ).log
    # From the far end where rates rise, so that the chance to stay is at most 1.
    since = (log["date"] - log["date"].min()) if yearly <= 1 else (log["date"].max() - log["date"])
    stays = min(yearly, 1 / yearly) ** (since.dt.days / 365.25)
    is_first = ~log["customer_id"].duplicated()
    return log[is_first | (np.random.default_rng(seed).uniform(size=len(log)) < stays)]


def make_logs() -> dict[str, tuple[pd.DataFrame, str | None, tuple[int, ...]]]:
    """Logs with the column of amounts and the weeks after which to forecast."""
    later = (26, 39, 52, 65, 78, 91)
    logs: dict[str, tuple[pd.DataFrame, str | None, tuple[int, ...]]] = {
        "rates fall by 35 % a year": (drifting_log(0.65), None, later),
        "rates rise by 43 % a year": (drifting_log(1 / 0.7), None, later),
        "steady rates": (drifting_log(1.0), None, later),
        "steady rates, 2,000 customers": (drifting_log(1.0, n_customers=2_000), None, later),
        "CDNOW, 23,570 customers": (pc.datasets.load_cdnow_master(), "amount", (13, 26, 39, 52, 65)),
    }
    if GROCERY.is_file():
        grocery = pd.read_csv(GROCERY, parse_dates=["date"]).rename(columns={"cust": "customer_id"})
        logs["grocery, 1,525 customers"] = (grocery, None, (13, 26, 39, 52, 65, 78, 91))
    return logs


def score(log: pd.DataFrame, amount: str | None, weeks: tuple[int, ...], recalibrate: str, n_jobs: int) -> pd.DataFrame:
    """CRPS, bias and KS distance of the PIT: a row a cut-off, quantity and method; cut-offs with a past alone."""
    cutoffs = [(log["date"].min() + pd.Timedelta(days=7 * week - 1)).date() for week in weeks]
    result = backtest(
        log,
        amount=amount,
        methods=METHODS,
        cutoffs=cutoffs,
        horizons=[HORIZON],
        recalibrate=recalibrate,
        combine=True,
        n_bootstrap=2,
        n_jobs=n_jobs,
        progressbar=False,
    )
    rows = result.scores
    rows = rows[(rows["by"] == "all") & rows["metric"].isin(["crps", "bias", "pit_ks"]) & (rows["quantity"] != "spend")]
    rows = rows[~rows["cutoff"].isin([str(cutoffs[0]), "all"])]
    wide = rows.pivot_table(index=["cutoff", "quantity", "method"], columns="metric", values="value").reset_index()
    mean = wide.assign(cutoff="mean", bias=wide["bias"].abs()).groupby(["cutoff", "quantity", "method"], as_index=False)
    return pd.concat([wide, mean[["bias", "crps", "pit_ks"]].mean()], ignore_index=True)


def show(name: str, scores: pd.DataFrame) -> None:
    """Print before and after, and the combination beside the best single method."""
    print(f"\n{name}\n{'':12}{'':11}{'':19}{'CRPS':>10}{'after':>9}{'|bias|':>9}{'after':>7}{'KS':>7}{'after':>7}")
    for (cutoff, quantity), group in scores.groupby(["cutoff", "quantity"], sort=False):
        rows = group.set_index("method")
        for method in METHODS:
            if f"{method}_recalibrated" in rows.index:
                old, new = rows.loc[method], rows.loc[f"{method}_recalibrated"]
                print(
                    f"{cutoff:12}{quantity:11}{method:19}{old.crps:10.4f}{new.crps / old.crps - 1:+9.2%}"
                    f"{abs(old.bias):9.3f}{abs(new.bias):7.3f}{old.pit_ks:7.3f}{new.pit_ks:7.3f}"
                )
        if "combination" in rows.index:
            best = rows["crps"].reindex([m for m in METHODS if m in rows.index]).idxmin()
            gap = rows["crps"]["combination"] / rows["crps"][best] - 1
            print(f"{cutoff:12}{quantity:11}combination against the best, {best}: {gap:+.2%}")


def main(n_jobs: int = 1) -> None:
    for name, (log, amount, weeks) in make_logs().items():
        for recalibrate in ("pit", "conformal"):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = score(log, amount, weeks, recalibrate, n_jobs)
            show(f"{name}; {recalibrate}", scores)
            print(f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
