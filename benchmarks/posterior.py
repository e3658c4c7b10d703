"""What a posterior costs: importance sampling (`method="map"`) and NUTS (`method="mcmc"`), and pymc-marketing's NUTS.

On CDNOW the targets are 100 times less than pymc-marketing's `fit(method="mcmc")`, compilation counted, for importance
sampling, and 4 times for NUTS with no smaller effective sample size; a million customers are to take 5 and 120 seconds
of CPU. Importance sampling begins with a summary made anew: merging equal histories is part of the fit. For NUTS the
first fit of a process counts, reading compiled code included, as it does for the peer; "again" is the second.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Posteriors"
MODELS = {"BGNBD": "BG/NBD", "GammaGamma": "Gamma-Gamma", "ParetoNBD": "Pareto/NBD"}
MILLION = {"weeks": (52.0, 1, "a year in weeks"), "days": (104.0, 7, "two years in days")}
COLUMNS = ["frequency", "recency", "T", "monetary_value"]


def make_cdnow(path: Path) -> None:
    import predclv as pc

    rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), amount="amount", observation_end="1997-09-30")
    rfm.to_pandas()[COLUMNS].astype(float).to_parquet(path)


def make_million(weeks: float, lattice: int, path: Path) -> None:
    import predclv as pc

    rfm = pc.datasets.simulate_rfm(n_customers=1_000_000, T=(0.0, weeks), lattice=lattice, seed=1).rfm
    rfm.to_pandas()[COLUMNS].astype(float).to_parquet(path)


def summary(folder: Path, data: str) -> Any:
    import pandas as pd

    import predclv as pc

    return pc.RFMSummary.from_frame(pd.read_parquet(folder / data), time_unit="week")


def importance(model: str, data: str, repeats: int, folder: Path) -> Cost:
    """Mode and draws."""
    import predclv as pc

    def task(rfm: Any) -> Any:
        posterior = getattr(pc, model)(method="map").fit(rfm).posterior_
        posterior.draws_array()
        return posterior

    task(summary(folder, "cdnow"))
    seconds, posterior = clock(task, partial(summary, folder, data), repeats)
    told = posterior.diagnostics
    return Cost(seconds, peak_mib(), {"k-hat": told["k_hat"], "effective size": told["effective_sample_size"]})


def nuts(model: str, data: str, folder: Path) -> Cost:
    """The first fit of a process by NUTS, and the second of CDNOW."""
    import arviz as az

    import predclv as pc

    def task(rfm: Any) -> Any:
        return getattr(pc, model)(method="mcmc", progressbar=False).fit(rfm)

    first, fitted = clock(task, partial(summary, folder, data))
    again = {"again": clock(task, partial(summary, folder, data))[0]} if data == "cdnow" else {}
    chains = fitted.posterior_.chains.values
    size = min(float(az.ess(chains[:, :, i])) for i in range(chains.shape[2]))
    told = fitted.posterior_.diagnostics
    found = {"effective size": size, "R-hat": told["worst_r_hat"], "divergences": told["n_divergences"], **again}
    return Cost(first, peak_mib(), found)


def nuts_peer(folder: Path) -> Cost:
    """BG/NBD by pymc-marketing, under its own priors and settings."""
    import arviz as az
    import pandas as pd
    from pymc_marketing.clv import BetaGeoModel

    table = pd.read_parquet(folder / "cdnow")
    data = table[["frequency", "recency", "T"]].assign(customer_id=range(len(table)))

    def task(_: object) -> Any:
        model = BetaGeoModel(data=data)
        model.fit(method="mcmc", random_seed=1, progressbar=False)
        return model.idata

    seconds, trace = clock(task)
    names = {"r", "alpha", "a", "b"} & set(trace.posterior)
    size = min(float(az.ess(trace.posterior[name].to_numpy())) for name in names)
    return Cost(seconds, peak_mib(), {"effective size": size})


def million_cases() -> list[Case]:
    cases = []
    for data, (_, _, said) in MILLION.items():
        for model in ("BGNBD", "GammaGamma"):
            size: dict[str, Any] = {"customers": 1_000_000, "data": ("cdnow", data)}
            what = f"importance sampling of {MODELS[model]}, {said}"
            work = partial(importance, model, data, 1)
            cases.append(Case(f"posterior/map/{model}/{data}", SUBJECT, what, work, **size))
            what = f"NUTS of {MODELS[model]}, {said}"
            cases.append(
                Case(f"posterior/mcmc/{model}/{data}", SUBJECT, what, partial(nuts, model, data), repeats=1, **size)
            )
    return cases


def cdnow_cases() -> list[Case]:
    size: dict[str, Any] = {"customers": 2_357, "data": ("cdnow",)}
    cases = []
    for model, name in MODELS.items():
        quick = ("full", "quick") if model == "BGNBD" else ("full",)
        what, work = f"importance sampling of {name}, CDNOW", partial(importance, model, "cdnow", 7)
        cases.append(Case(f"posterior/map/{model}/cdnow", SUBJECT, what, work, sets=quick, **size))
        work = partial(nuts, model, "cdnow")
        few = 3 if model == "BGNBD" else 1
        key, what = f"posterior/mcmc/{model}/cdnow", f"NUTS of {name}, CDNOW"
        cases.append(Case(key, SUBJECT, what, work, repeats=few, sets=quick, **size))
    peer = Case("posterior/mcmc/peer", SUBJECT, "NUTS of BG/NBD, CDNOW", nuts_peer, "pymc-marketing", **size)
    return [*cases, peer]


CASES = (*cdnow_cases(), *million_cases())
DATA = {
    "cdnow": make_cdnow,
    **{name: partial(make_million, weeks, lattice) for name, (weeks, lattice, _) in MILLION.items()},
}
WHY = "Both move with the machine and its load, the peer's by a factor of two."
TARGETS = (
    Target(
        SUBJECT,
        "BG/NBD on CDNOW: CPU of pymc-marketing's NUTS over our importance sampling",
        "posterior/mcmc/peer",
        "posterior/map/BGNBD/cdnow",
        least=100,
        unit="times",
        why=WHY,
    ),
    Target(
        SUBJECT,
        "BG/NBD on CDNOW: CPU of pymc-marketing's NUTS over ours",
        "posterior/mcmc/peer",
        "posterior/mcmc/BGNBD/cdnow",
        least=4,
        unit="times",
        why=WHY,
    ),
    Target(
        SUBJECT,
        "the same: our effective sample size over the peer's",
        "posterior/mcmc/BGNBD/cdnow",
        "posterior/mcmc/peer",
        name="effective size",
        least=1,
        unit="times",
    ),
    *(
        Target(SUBJECT, f"{case.what}, a million customers: CPU", case.key, most=most, unit="s")
        for case in CASES
        for method, most in (("map", 5.0), ("mcmc", 120.0))
        if case.customers == 1_000_000 and f"/{method}/" in case.key
    ),
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
