"""What a posterior costs, in CPU seconds of one run: CDNOW and a million customers through the public API.

Where pymc-marketing is installed, its `fit(method="mcmc")` on CDNOW is run once, compilation counted, and the ratios
printed: the targets are 100 for importance sampling (`method="map"`), and 4 for NUTS (`method="mcmc"`) with no smaller
effective sample size. The targets for a million customers are 5 and 120 CPU-seconds. Importance sampling is the median
over repeats, each with a summary made anew: merging equal histories is part of the fit. The first fit of a process,
which reads the compiled code or compiles it, is printed too, and is what counts for NUTS, as it is for the peer.
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import sys
import warnings
from typing import Any

import pandas as pd

MILLION = {"1 year in weeks": (52.0, 1), "2 years in days": (104.0, 7)}


def cpu_seconds() -> float:
    """Of this process and of those it has waited for: samplers start processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def columns(rfm: Any) -> pd.DataFrame:
    return rfm.to_pandas()[["frequency", "recency", "T", "monetary_value"]].astype(float)


def posterior_seconds(model: Any, table: pd.DataFrame) -> tuple[float, dict[str, Any]]:
    import predclv as pc

    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    start = cpu_seconds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.errors.DependenceWarning)
        posterior = model.fit(rfm).posterior_
    posterior.draws_array()
    return cpu_seconds() - start, posterior.diagnostics


def effective_size(model: Any) -> tuple[float, float]:
    """Least bulk effective sample size of the chains, in the model's own parameters, and the largest R-hat."""
    import arviz as az

    chains = model.posterior_.chains.values
    least = min(float(az.ess(chains[:, :, i])) for i in range(chains.shape[2]))
    return least, model.posterior_.diagnostics["worst_r_hat"]


def nuts_seconds(model: Any, table: pd.DataFrame) -> tuple[float, Any]:
    import predclv as pc

    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    start = cpu_seconds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.errors.DependenceWarning)
        model.fit(rfm)
    return cpu_seconds() - start, model


def peer_seconds(table: pd.DataFrame) -> tuple[float, Any]:
    """pymc-marketing's BG/NBD under its own priors and sampler settings, compilation counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymc_marketing.clv import BetaGeoModel

        data = table[["frequency", "recency", "T"]].assign(customer_id=range(len(table)))
        start = cpu_seconds()
        model = BetaGeoModel(data=data)
        model.fit(method="mcmc", random_seed=1, progressbar=False)
    return cpu_seconds() - start, model.idata


def main() -> int:
    import predclv as pc

    rfm = pc.RFMSummary.from_transactions(
        pc.datasets.load_cdnow(), amount="amount", observation_end="1997-09-30", time_unit="week"
    )
    table, missed = columns(rfm), 0
    for model in (pc.BGNBD, pc.GammaGamma, pc.ParetoNBD):
        first, _ = posterior_seconds(model(method="map"), table)
        runs = [posterior_seconds(model(method="map"), table) for _ in range(21)]
        seconds, diagnostics = statistics.median(s for s, _ in runs), runs[0][1]
        print(
            f"CDNOW, {model.__name__}: {seconds:.3f} s CPU (first of the process {first:.2f}), "
            f"k-hat {diagnostics['k_hat']:.2f}, effective sample size {diagnostics['effective_sample_size']:,.0f}"
        )
        if model is pc.BGNBD:
            own = seconds
    sampled = {}
    for model in (pc.BGNBD, pc.GammaGamma, pc.ParetoNBD):
        for which in ("first of the process", "again"):
            seconds, fitted = nuts_seconds(model(method="mcmc", progressbar=False), table)
            sampled.setdefault(model.__name__, (seconds, *effective_size(fitted)))
            size, r_hat = effective_size(fitted)
            print(
                f"CDNOW, {model.__name__} by NUTS, {which}: {seconds:.2f} s CPU, effective sample size {size:,.0f}, "
                f"R-hat {r_hat:.3f}"
            )
    if importlib.util.find_spec("pymc_marketing"):
        import arviz as az

        peer, trace = peer_seconds(table)
        names = {"r", "alpha", "a", "b"} & set(trace.posterior)
        theirs = min(float(az.ess(trace.posterior[name].to_numpy())) for name in names)
        met = peer >= 100 * own
        missed += not met
        print(
            f"CDNOW, pymc-marketing: {peer:.1f} s CPU, effective sample size {theirs:,.0f}: {peer / own:.0f} times "
            f"importance sampling: {'met' if met else 'MISSED'}"
        )
        seconds, size, _ = sampled["BGNBD"]
        met = peer >= 4 * seconds and size >= theirs
        missed += not met
        print(f"  {peer / seconds:.1f} times NUTS, whose effective size is {size:,.0f}: {'met' if met else 'MISSED'}")
    else:
        print("pymc-marketing is not installed: no comparison (pip install 'predclv[peers]')")
    for name, (weeks, lattice) in MILLION.items():
        table = columns(pc.datasets.simulate_rfm(n_customers=1_000_000, T=(0.0, weeks), lattice=lattice, seed=1).rfm)
        for model in (pc.BGNBD, pc.GammaGamma):
            runs = [posterior_seconds(model(method="map"), table) for _ in range(3)]
            seconds, diagnostics = statistics.median(s for s, _ in runs), runs[0][1]
            met = seconds <= 5
            missed += not met
            print(
                f"1,000,000 customers, {name}, {model.__name__}: {seconds:.2f} s CPU: {'met' if met else 'MISSED'}; "
                f"{diagnostics['n_points']:,} points, effective {diagnostics['effective_sample_size']:,.0f}, "
                f"gate {diagnostics['gate']}"
            )
            seconds, fitted = nuts_seconds(model(method="mcmc", progressbar=False), table)
            size, r_hat = effective_size(fitted)
            met = seconds <= 120
            missed += not met
            print(
                f"  by NUTS: {seconds:.1f} s CPU: {'met' if met else 'MISSED'}; effective sample size {size:,.0f}, "
                f"R-hat {r_hat:.3f}, {fitted.posterior_.diagnostics['n_divergences']} divergences"
            )
    return missed


if __name__ == "__main__":
    sys.exit(main())
