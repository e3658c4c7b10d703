"""What recalibration and combination do to forecasts of 13 weeks: CRPS and bias before and after.

    python benchmarks/recalibration.py            two logs, recalibrated by "pit"
    python benchmarks/recalibration.py --large    all, and by "conformal" too

Out of time: at each cut-off only outcomes that had ended by then are learnt from. The best single method is the best in
hindsight; the combination does not know it. Found are, for each method, means over the cut-offs: the change of the CRPS
and the distance of the bias from 0 before and after; "worst" is the largest change at a single cut-off.

Steady rates, at which nothing is to be gained, show the cost. CDNOW's bias turns with the season, which no earlier
vintage tells: it stays.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Backtests"
GROCERY = Path(__file__).resolve().parents[2] / "shared" / "data" / "grocery_elog.csv"
METHODS = ("bg_nbd", "gradient_boosting", "marginal")
HORIZON = "13 weeks"
LATER = (26, 39, 52, 65, 78, 91)
# What is in the log, and the weeks after which to forecast.
LOGS = {
    "falling": ("rates fall by 35 % a year, 8,000 customers", LATER),
    "rising": ("rates rise by 43 % a year, 8,000 customers", LATER),
    "steady": ("steady rates, 8,000 customers", LATER),
    "few": ("steady rates, 2,000 customers", LATER),
    "cdnow": ("CDNOW, 23,570 customers", (13, 26, 39, 52, 65)),
    "grocery": ("grocery, 1,525 customers", (13, 26, 39, 52, 65, 78, 91)),
}
DRIFT = {"falling": (0.65, 8_000), "rising": (1 / 0.7, 8_000), "steady": (1.0, 8_000), "few": (1.0, 2_000)}


def drifting_log(yearly: float, n_customers: int, seed: int = 3) -> Any:
    """Simulate a BG/NBD log whose later repeat purchases, all but `yearly` of them a year on, did not come about."""
    import numpy as np

    import predclv as pc

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


def make_log(name: str) -> tuple[Any, str | None]:
    """Return the log, and its column of amounts where there is one."""
    import pandas as pd

    import predclv as pc

    if name in DRIFT:
        return drifting_log(*DRIFT[name]), None
    if name == "cdnow":
        return pc.datasets.load_cdnow_master(), "amount"
    return pd.read_csv(GROCERY, parse_dates=["date"]).rename(columns={"cust": "customer_id"}), None


def score(name: str, how: str, folder: Path) -> Cost:
    """Run the backtest and compare."""
    import pandas as pd

    from predclv.backtesting import backtest

    log, amount = make_log(name)
    cutoffs = [(log["date"].min() + pd.Timedelta(days=7 * week - 1)).date() for week in LOGS[name][1]]
    seconds, result = clock(
        lambda _: backtest(
            log,
            amount=amount,
            methods=METHODS,
            cutoffs=cutoffs,
            horizons=[HORIZON],
            recalibrate=how,
            combine=True,
            n_bootstrap=2,
            progressbar=False,
        )
    )
    rows = result.scores
    rows = rows[(rows["by"] == "all") & rows["metric"].isin(["crps", "bias"]) & (rows["quantity"] != "spend")]
    # The first cut-off has no past to learn from.
    rows = rows[~rows["cutoff"].isin([str(cutoffs[0]), "all"])]
    wide = rows.pivot_table(index=["quantity", "cutoff"], columns=["metric", "method"], values="value")
    found: dict[str, float] = {}
    for quantity, table in wide.groupby(level="quantity"):
        found |= {f"{quantity}, {key}": value for key, value in compare(table).items()}
    return Cost(seconds, peak_mib(), found)


def compare(table: Any) -> dict[str, float]:
    """Before and after, and the combination beside the best single method, all in percent."""
    crps, bias = table["crps"], table["bias"].abs()
    found, changes = {}, []
    for method in METHODS:
        after = f"{method}_recalibrated"
        if after in crps:
            changes.append(crps[after] / crps[method] - 1)
            found[f"{method} CRPS change %"] = 100 * float(crps[after].mean() / crps[method].mean() - 1)
            found[f"{method} bias before %"] = 100 * float(bias[method].mean())
            found[f"{method} bias after %"] = 100 * float(bias[after].mean())
    found["worst CRPS change %"] = 100 * float(max(change.max() for change in changes))
    best = crps[list(METHODS)].mean().min()
    found["combination over the best %"] = 100 * float(crps["combination"].mean() / best - 1)
    return found


CASES = tuple(
    Case(
        f"recalibration/{name}/{how}",
        SUBJECT,
        f"recalibration by {how!r}, 13 weeks, {said}",
        partial(score, name, how),
        repeats=1,
        sets=("full",) if (name, how) in (("falling", "pit"), ("grocery", "pit")) else ("large",),
        limit=1_800.0,
    )
    for name, (said, _) in LOGS.items()
    for how in ("pit", "conformal")
    if name != "grocery" or GROCERY.is_file()
)
DATA: dict[str, object] = {}
WHY = (
    "Seasons and turns of the rates between cut-offs: what the past vintages were off by is not what the next one is. "
    "The report says for each method whether it helped."
)
TARGETS = tuple(
    target
    for name, (said, _) in LOGS.items()
    for quantity in (("purchases", "value") if name == "cdnow" else ("purchases",))
    for figure, named, bounds in (
        ("CRPS by recalibration, worst cut-off and method", "worst CRPS change %", {"most": 1.0}),
        ("CRPS of the combination over the best single method's", "combination over the best %", {"most": 1.0}),
        ("BG/NBD's CRPS by recalibration, mean", "bg_nbd CRPS change %", {"most": 0.0}),
    )
    if name in ("falling", "rising", "cdnow", "grocery")
    for target in (
        Target(
            SUBJECT,
            f"{said}, {quantity}: change of {figure}" if "over" not in figure else f"{said}, {quantity}: {figure}",
            f"recalibration/{name}/pit",
            name=f"{quantity}, {named}",
            unit="%",
            why=WHY,
            **bounds,
        ),
    )
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
