"""The interval of a portfolio's total, with fitted parameters, on simulated customers whose future is known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

import predclv as pc
from predclv.datasets.populations import CDNOW_SPEND
from predclv.errors import ConvergenceWarning, DependenceWarning, HorizonWarning
from predclv.kernels.gamma_gamma import expected_spend
from scoring import YEAR, simulate

LEVEL = 0.9
THETA = np.array([[0.243, 4.414, 0.793, 2.426]])  # what simulate_rfm takes by default


@dataclass(frozen=True)
class Totals:
    """One population: what came, what was to be expected given the histories, and the forecast's row."""

    value: float
    purchases: float
    expected: float
    forecast: dict


def forecast_totals(n_customers: int, seed: int, n_draws: int | None = None) -> Totals:
    simulated = simulate(n_customers, seed)
    rfm = simulated.rfm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)  # a year ahead, from 52 weeks: meant
        warnings.simplefilter("ignore", ConvergenceWarning)  # some hundred customers leave a and b vague
        warnings.simplefilter("ignore", DependenceWarning)  # by chance, once in a hundred populations
        forecast = pc.CLV().fit(rfm).portfolio(rfm, "1 year", n_draws=n_draws).iloc[-1].to_dict()
    x = rfm.frequency.astype(float)
    bindings = pc.BGNBD().bindings
    purchases = bindings.discounted_expected_purchases(x, rfm.recency, rfm.T, YEAR, simulated.delta, THETA)[0]
    spend = expected_spend(x, rfm.monetary_value, *(CDNOW_SPEND[name] for name in ("p", "q", "gamma")))
    return Totals(simulated.value[0].sum(), simulated.purchases[0].sum(), float(purchases @ spend), forecast)


def held(totals: list[Totals], what: str, column: str) -> int:
    return sum(t.forecast[f"{column}_low"] <= getattr(t, what) <= t.forecast[f"{column}_high"] for t in totals)


@pytest.mark.slow
def test_intervals_of_totals_hold_in_200_populations():
    # As few draws as a portfolio of millions gets.
    totals = [forecast_totals(1_000, seed, n_draws=256) for seed in range(200)]
    shares = {
        what: held(totals, what, column) / len(totals)
        for what, column in (("value", "clv"), ("purchases", "purchases"), ("expected", "expected_clv"))
    }
    print(f"\nshare of 200 populations held: {shares}")
    # The share of 200 has a binomial standard error of 2.1 %: 86 to 94 % are 1.9 of them.
    assert 0.86 <= shares["value"] <= 0.94
    for share in shares.values():
        assert abs(share - LEVEL) < 4 * np.sqrt(LEVEL * (1 - LEVEL) / len(totals))
    # A sum of the customers' interval ends would be several times as wide and hold always.
    ratio = np.mean([t.forecast["clv_high"] / t.forecast["clv_low"] for t in totals])
    assert ratio < 1.6


def test_intervals_of_totals_hold_in_a_few_populations():
    totals = [forecast_totals(1_000, seed) for seed in range(1_000, 1_012)]
    # Fewer than this happens once in a thousand sets of twelve.
    fewest = stats.binom.ppf(0.001, len(totals), LEVEL)
    for what, column in (("value", "clv"), ("purchases", "purchases"), ("expected", "expected_clv")):
        assert held(totals, what, column) >= fewest
