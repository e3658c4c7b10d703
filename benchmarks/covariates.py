"""What covariates cost: fits and forecasts of customers no two of whom have the same, and pymc-marketing's fit.

Customers have two numbers each that move purchases and dropout. The peer is pymc-marketing, whose BG/NBD takes
covariates too, with its own MAP estimate and what it compiles in its own process counted; there is no target.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, clock, main, peak_mib

SUBJECT = "Covariates"
COLUMNS = ["age", "income"]
EFFECTS = {"age": 0.02, "income": -0.2}
NAMES = {"bg_nbd": "BG/NBD", "mbg_nbd": "MBG/NBD", "pareto_nbd": "Pareto/NBD"}


def make_summary(model: str, n: int) -> Any:
    import numpy as np

    import predclv as pc

    rng = np.random.default_rng(0)
    covariates = {"age": rng.normal(0.0, 20.0, n), "income": rng.normal(0.0, 1.0, n)}
    return pc.datasets.simulate_rfm(
        model,
        n_customers=n,
        covariates=covariates,
        purchase_effects=EFFECTS,
        dropout_effects={name: -value for name, value in EFFECTS.items()},
        T=(26.0, 78.0),
        lattice=7,
        seed=0,
    ).rfm


def make_model(model: str) -> Any:
    import predclv as pc

    return pc.MODELS[model](purchase_covariates=COLUMNS, dropout_covariates=COLUMNS)


def fit(model: str, n: int, folder: Path) -> Cost:
    """By us."""
    make_model(model).fit(make_summary(model, 500))
    seconds, fitted = clock(lambda rfm: make_model(model).fit(rfm), partial(make_summary, model, n))
    return Cost(seconds, peak_mib(), dict(fitted.posterior_.point))


def predict(model: str, n: int, folder: Path) -> Cost:
    """All columns of a year ahead, intervals of value with parameter uncertainty among them."""
    import predclv as pc

    few = make_summary(model, 500)
    pc.CLV(make_model(model)).fit(few).predict(few, "1 year")
    rfm = make_summary(model, n)
    clv = pc.CLV(make_model(model)).fit(rfm)
    return Cost(clock(lambda _: clv.predict(rfm, "1 year"))[0], peak_mib())


def fit_peer(model: str, n: int, folder: Path) -> Cost:
    """By pymc-marketing's MAP."""
    import numpy as np
    from pymc_marketing.clv import BetaGeoModel

    rfm = make_summary(model, n)
    data = rfm.to_pandas()[["frequency", "recency", "T"]].assign(customer_id=np.arange(n))
    for name in COLUMNS:
        data[name] = rfm.carried[name]
    config = {"purchase_covariate_cols": COLUMNS, "dropout_covariate_cols": COLUMNS}

    def task(_: object) -> Any:
        peer = BetaGeoModel(data=data, model_config=config)
        peer.fit(method="map", progressbar=False)
        return peer.fit_summary()

    seconds, found = clock(task)
    # Without the parameters of each customer.
    told = found[~found.index.str.contains(r"\[\d+\]$")]
    return Cost(seconds, peak_mib(), {name: float(value) for name, value in told.items()})


def case(model: str, n: int, task: str, **settings: Any) -> Case:
    who, work = settings.pop("who", "predclv"), {"fit": fit, "predict": predict, "peer": fit_peer}[task]
    what = "CLV.predict" if task == "predict" else "fit"
    key, said = f"covariates/{task}/{model}/{n}", f"{what} of {NAMES[model]}, all covariates distinct"
    return Case(key, SUBJECT, said, partial(work, model, n), who, customers=n, **settings)


CASES = (
    case("bg_nbd", 10_000, "fit", sets=("full", "quick")),
    case("bg_nbd", 10_000, "peer", who="pymc-marketing", repeats=1),
    *(case(model, 100_000, "fit", repeats=1) for model in NAMES),
    *(case(model, 10_000, "predict", repeats=1, sets=("large",)) for model in ("bg_nbd", "pareto_nbd")),
)
DATA: dict[str, object] = {}
TARGETS = ()

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
