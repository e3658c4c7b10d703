"""What other packages forecast, and at what cost: CDNOW's 2,357 customers, 39 weeks to learn from and 39 to look at.

One backtest on one log; each package by its own fit and forecast, with what it forecasts itself. Printed are the total
expected over actual, the CRPS where a package gives a distribution, the mean absolute error, and CPU seconds of fit and
forecast, first use included (imports and compilation). docs/comparison.md holds a run with its date.
"""

from __future__ import annotations

import sys
import warnings
from importlib import metadata

import pandas as pd

import predclv as pc

METHODS = [
    "bg_nbd",
    "bg_nbd_map",
    "lifetimes_bg_nbd",
    "clvkit_bg_nbd",
    "pymc_marketing_bg_nbd",
    "pareto_nbd",
    "lifetimes_pareto_nbd",
]


def main() -> int:
    """Run the backtest and print a line a method."""
    warnings.simplefilter("ignore")
    packages = ("predclv", "lifetimes", "clvkit", "pymc-marketing")
    print(", ".join(f"{name} {metadata.version(name)}" for name in packages))
    result = pc.backtest(
        pc.datasets.load_cdnow(),
        methods=METHODS,
        cutoffs=["1997-09-30"],
        horizons=["39 weeks"],
        progressbar=False,
    )
    rows = result.scores.query("quantity == 'purchases' and by == 'all' and cutoff == 'all'")
    table = rows.pivot_table(index="method", columns="metric", values="value")[["bias", "mae", "crps"]]
    cost = result.runs.set_index("method")
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(table.join(cost[[name for name in cost.columns if "cpu" in name or "second" in name]]).reindex(METHODS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
