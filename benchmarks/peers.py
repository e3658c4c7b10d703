"""What other packages forecast, and at what cost: CDNOW's 2,357 customers, 39 weeks to learn from and 39 to look at.

A backtest for each package, in a process of its own, by its own fit and forecast, with what it forecasts itself. Found
are the bias of the total (expected over actual, less 1), the mean absolute error, and the CRPS where a package gives a
distribution; CPU seconds of fit and forecast have first uses in them (imports and compilation).
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from harness import Case, Cost, Target, main, peak_mib

SUBJECT = "Accuracy beside other packages"
METHODS = {
    "bg_nbd": ("BG/NBD", "predclv"),
    "bg_nbd_map": ("BG/NBD by MAP", "predclv"),
    "lifetimes_bg_nbd": ("BG/NBD", "lifetimes"),
    "clvkit_bg_nbd": ("BG/NBD", "clvkit"),
    "pymc_marketing_bg_nbd": ("BG/NBD by MAP", "pymc-marketing"),
    "pareto_nbd": ("Pareto/NBD", "predclv"),
    "lifetimes_pareto_nbd": ("Pareto/NBD", "lifetimes"),
}


def backtest(method: str, folder: Path) -> Cost:
    """Of one method."""
    import predclv as pc

    result = pc.backtest(
        pc.datasets.load_cdnow(),
        methods=[method],
        cutoffs=["1997-09-30"],
        horizons=["39 weeks"],
        progressbar=False,
    )
    rows = result.scores.query("quantity == 'purchases' and by == 'all' and cutoff == 'all'")
    scores = rows.set_index("metric")["value"]
    cost = result.runs.set_index("method").loc[method]
    fit, predict = float(cost["fit_cpu_seconds"]), float(cost["predict_cpu_seconds"])
    told = {name: float(scores[name]) for name in ("bias", "mae", "crps") if scores.notna().get(name, False)}
    return Cost(fit + predict, peak_mib(), {**told, "fit": fit, "forecast": predict})


CASES = tuple(
    Case(
        f"peers/{method}",
        SUBJECT,
        f"{model}: first fit and forecast of a process, CDNOW",
        partial(backtest, method),
        who,
        customers=2_357,
        repeats=1,
        sets=("full", "quick") if method in ("bg_nbd", "clvkit_bg_nbd") else ("full",),
    )
    for method, (model, who) in METHODS.items()
)
DATA: dict[str, object] = {}
TARGETS = tuple(
    Target(
        SUBJECT,
        f"{METHODS[other][0]}, CDNOW: mean absolute error, ours against that of {METHODS[other][1]}",
        f"peers/{own}",
        f"peers/{other}",
        name="mae",
        most=1e-3,
        unit="relative",
        gap=True,
    )
    for own, other in (
        ("bg_nbd", "lifetimes_bg_nbd"),
        ("bg_nbd", "clvkit_bg_nbd"),
        ("pareto_nbd", "lifetimes_pareto_nbd"),
    )
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
