"""What a million contracts cost, in CPU seconds: a fit, with what it merges, and the table of values.

The target is 3 seconds for a fit, as for models of purchases; a forecast has none.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Contracts"
NAMES = {"sbg": "sBG", "bdw": "BdW"}
RENEWALS = (24, 120)
MILLION = 1_000_000


def run(model: str, renewals: int, task: str, folder: Path) -> Cost:
    """Fit, or forecast 12 renewals ahead after a fit."""
    import predclv as pc

    def simulate(n: int) -> object:
        return pc.datasets.simulate_contracts(model, n_customers=n, observed=(0, renewals), seed=1).subs

    few, many = simulate(1_000), simulate(MILLION)
    pc.CLV(pc.MODELS[model]()).fit(few).predict(few, 12)  # reads compiled code
    fitted, clv = clock(pc.CLV(pc.MODELS[model]()).fit, lambda: many)
    if task == "fit":
        return Cost(fitted, peak_mib(), dict(clv.transactions_.posterior_.point))
    return Cost(clock(lambda _: clv.predict(many, 12))[0], peak_mib())


CASES = tuple(
    Case(
        f"contracts/{model}/{renewals}/{task}",
        SUBJECT,
        f"{what} of {NAMES[model]}, up to {renewals} renewals",
        partial(run, model, renewals, task),
        customers=MILLION,
        repeats=1,
        sets=("full", "quick") if (model, renewals, task) == ("bdw", 24, "fit") else ("full",),
    )
    for model in NAMES
    for renewals in RENEWALS
    for task, what in (("fit", "fit"), ("predict", "CLV.predict"))
)
DATA: dict[str, object] = {}
TARGETS = tuple(
    Target(SUBJECT, f"{case.what}, a million contracts: CPU", case.key, most=3.0, unit="s")
    for case in CASES
    if case.key.endswith("/fit")
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
