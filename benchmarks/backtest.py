"""What a backtest costs: CDNOW's 23,570 customers, ten methods, three cut-offs, two horizons, with a report.

The target is 15 minutes on two cores. Scores say whether the combination is within 1 % of the best single method.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Backtests"
METHODS = [
    "bg_nbd",
    "bg_nbd_map",
    "naive",
    "zero",
    "marginal",
    "gradient_boosting",
    "random_forest",
    "linear",
    "lifetimes_bg_nbd",
    "pymc_marketing_bg_nbd",
]


def backtest(folder: Path) -> Cost:
    """On two processes; those that are not installed are skipped with a note."""
    from joblib.externals.loky import get_reusable_executor

    import predclv as pc

    log, start = pc.datasets.load_cdnow_master(), time.monotonic()

    def task(_: object) -> Any:
        result = pc.backtest(
            log,
            amount="amount",
            methods=METHODS,
            n_cutoffs=3,
            step="13 weeks",
            horizons=["4 weeks", "13 weeks"],
            recalibrate="pit",
            combine=True,
            n_jobs=2,
        )
        result.report(Path(tempfile.mkdtemp(dir=folder)) / "backtest.html")
        get_reusable_executor().shutdown()  # processes count once they have ended
        return result

    seconds, result = clock(task)
    found = {"minutes": (time.monotonic() - start) / 60}
    for quantity in ("purchases", "value"):
        table = result.table("crps", quantity)
        singles = [name for name in table.index if name != "combination" and not name.endswith("_recalibrated")]
        for horizon in table:
            ratio = table.loc["combination", horizon] / table.loc[singles, horizon].min()
            found[f"{quantity}, {horizon}"] = float(ratio)
    return Cost(seconds, peak_mib(), found)


CASES = (
    Case(
        "backtest/master",
        SUBJECT,
        "ten methods, three cut-offs, two horizons, with the report, CDNOW",
        backtest,
        customers=23_570,
        repeats=1,
        sets=("large",),
        limit=3_600.0,
    ),
)
DATA: dict[str, object] = {}
TARGETS = (
    Target(
        SUBJECT,
        "23,570 customers, ten methods, three cut-offs, two horizons, report: time on two cores",
        "backtest/master",
        name="minutes",
        most=15,
        unit="minutes",
    ),
    *(
        Target(
            SUBJECT,
            f"CDNOW, {quantity}, {horizon}: CRPS of the combination over the best single method's",
            "backtest/master",
            name=f"{quantity}, {horizon}",
            most=1.01,
        )
        for quantity in ("purchases", "value")
        for horizon in ("4 weeks", "13 weeks")
    ),
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
