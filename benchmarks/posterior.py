"""What a posterior costs, in CPU seconds of one run: CDNOW and a million customers through the public API.

Where pymc-marketing is installed, its `fit(method="mcmc")` on CDNOW is run once, compilation counted, and the ratio
printed; the target is 100. The target for a million customers is 5 CPU-seconds. Ours is the median over repeats, each
with a summary made anew: merging equal histories is part of the fit. The first fit of a process, which reads the
compiled code or compiles it, is printed too.
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
    for model in (pc.BGNBD, pc.GammaGamma):
        first, _ = posterior_seconds(model(method="map"), table)
        runs = [posterior_seconds(model(method="map"), table) for _ in range(21)]
        seconds, diagnostics = statistics.median(s for s, _ in runs), runs[0][1]
        print(
            f"CDNOW, {model.__name__}: {seconds:.3f} s CPU (first of the process {first:.2f}), "
            f"k-hat {diagnostics['k_hat']:.2f}, effective sample size {diagnostics['effective_sample_size']:,.0f}"
        )
        if model is pc.BGNBD:
            own = seconds
    if importlib.util.find_spec("pymc_marketing"):
        peer, _ = peer_seconds(table)
        met = peer >= 100 * own
        missed += not met
        print(f"CDNOW, pymc-marketing: {peer:.1f} s CPU, {peer / own:.0f} times ours: {'met' if met else 'MISSED'}")
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
    return missed


if __name__ == "__main__":
    sys.exit(main())
