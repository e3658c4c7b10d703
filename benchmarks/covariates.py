"""What covariates cost, in CPU seconds: fits and forecasts of customers no two of whom have the same, and a peer's fit.

    python benchmarks/covariates.py
    python benchmarks/covariates.py --only bg_nbd --customers 10_000 --no-peers

A row is a line in ROWS. Every repeat begins with a summary made anew outside the clock. The peer is pymc-marketing,
whose BG/NBD takes covariates too, with its own MAP estimate and what it compiles in its own process counted; there is
no target.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ["age", "income"]
EFFECTS = {"age": 0.02, "income": -0.2}


@dataclass(frozen=True)
class Row:
    """A task on simulated customers with two numbers each, that move purchases and dropout.

    Attributes
    ----------
    task : str
        In TASKS.
    key : str
        Of the model, in `MODELS`.
    customers : int
    repeats : int
    peer : bool
        Whether pymc-marketing fits them too.
    """

    task: str
    key: str
    customers: int
    repeats: int = 3
    peer: bool = False

    def __str__(self) -> str:
        return f"{self.task}, {self.key}, {self.customers:,} customers, all covariates distinct"


ROWS = (
    Row("fit", "bg_nbd", 10_000, peer=True),
    Row("fit", "bg_nbd", 100_000, repeats=1),
    Row("fit", "mbg_nbd", 100_000, repeats=1),
    Row("fit", "pareto_nbd", 100_000, repeats=1),
    Row("CLV.predict", "bg_nbd", 10_000, repeats=1),
    Row("CLV.predict", "pareto_nbd", 10_000, repeats=1),
)


def make_summary(row: Row) -> Any:
    import predclv as pc

    rng = np.random.default_rng(0)
    covariates = {"age": rng.normal(0.0, 20.0, row.customers), "income": rng.normal(0.0, 1.0, row.customers)}
    return pc.datasets.simulate_rfm(
        row.key,
        n_customers=row.customers,
        covariates=covariates,
        purchase_effects=EFFECTS,
        dropout_effects={name: -value for name, value in EFFECTS.items()},
        T=(26.0, 78.0),
        lattice=7,
        seed=0,
    ).rfm


def make_model(key: str) -> Any:
    import predclv as pc

    return pc.MODELS[key](purchase_covariates=COLUMNS, dropout_covariates=COLUMNS)


def fit(row: Row, rfm: Any) -> float:
    start = time.process_time()
    make_model(row.key).fit(rfm)
    return time.process_time() - start


def predict(row: Row, rfm: Any) -> float:
    """All columns of a year ahead, intervals of value with parameter uncertainty among them."""
    import predclv as pc

    clv = pc.CLV(make_model(row.key)).fit(rfm)
    start = time.process_time()
    clv.predict(rfm, "1 year")
    return time.process_time() - start


TASKS: dict[str, Callable[[Row, Any], float]] = {"fit": fit, "CLV.predict": predict}


def peer_seconds(rfm: Any) -> tuple[float, pd.Series]:
    """CPU seconds of pymc-marketing's MAP, and its coefficients."""
    from pymc_marketing.clv import BetaGeoModel

    table = rfm.to_pandas()
    data = table[["frequency", "recency", "T"]].assign(customer_id=np.arange(len(table)))
    for name in COLUMNS:
        data[name] = rfm.carried[name]
    config = {"purchase_covariate_cols": COLUMNS, "dropout_covariate_cols": COLUMNS}
    start = time.process_time()
    model = BetaGeoModel(data=data, model_config=config)
    model.fit(method="map", progressbar=False)
    spent = time.process_time() - start
    found = model.fit_summary()
    # Without the parameters of each customer.
    return spent, found[~found.index.str.contains(r"\[\d+\]$")]


def run(row: Row, with_peers: bool) -> None:
    """Print a row."""
    TASKS[row.task](row, make_summary(replace(row, customers=500)))  # compiles, or reads what was compiled
    seconds = [TASKS[row.task](row, make_summary(row)) for _ in range(row.repeats)]
    print(f"{row}: {statistics.median(seconds):.2f} s CPU (median of {row.repeats})", flush=True)
    if not (row.peer and with_peers):
        return
    if importlib.util.find_spec("pymc_marketing") is None:
        print("  pymc-marketing is not installed: no comparison (pip install 'predclv[peers]')")
        return
    peer, found = peer_seconds(make_summary(row))
    print(f"  pymc-marketing {peer:.2f} s CPU, {peer / statistics.median(seconds):.0f} times as much")
    print("  " + found.round(3).to_string().replace("\n", "\n  "))
    ours = make_model(row.key).fit(make_summary(row)).summary[["parameter", "estimate", "std_error"]]
    print("  ours:\n  " + ours.round(3).to_string(index=False).replace("\n", "\n  "))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="CPU seconds of models with covariates.")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="models, by key")
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--customers", type=lambda text: int(text.replace("_", "")), help="instead of each row's own")
    parser.add_argument("--no-peers", action="store_true")
    asked = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of horizons and of chance, and the peer's of newer packages
        for row in ROWS:
            if (asked.only is None or row.key in asked.only) and asked.task in (None, row.task):
                run(row if asked.customers is None else replace(row, customers=asked.customers), not asked.no_peers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
