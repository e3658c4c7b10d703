"""Totals: the same whatever the order of customers, and honest where a mean does not exist."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.errors import ExtrapolationWarning, HeavyTailWarning, PredCLVWarning
from predclv.forecast.customers import times_margin
from predclv.forecast.portfolio import number_of_draws, share


def test_totals_do_not_depend_on_the_order_of_customers(clv, cdnow):
    shuffled = cdnow[np.random.default_rng(3).permutation(len(cdnow))]
    straight, other = (clv.portfolio(rfm, "26 weeks", n_draws=128).iloc[0] for rfm in (cdnow, shuffled))
    exact = ["customers", "purchases_low", "purchases_high"]
    pd.testing.assert_series_equal(straight[exact], other[exact], check_names=False)
    # Sums in another order differ in their last digits.
    np.testing.assert_allclose(
        straight.drop(["segment", "share_beyond_3_years"]).astype(float),
        other.drop(["segment", "share_beyond_3_years"]).astype(float),
        rtol=1e-10,
    )


def test_an_infinite_mean_is_infinite_and_not_missing():
    # q = 0.85: a new customer's spend has no mean. Quantiles exist all the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        rfm = pc.datasets.simulate_rfm(
            n_customers=2000, spend={"p": 6.0, "q": 0.6, "gamma": 15.0}, T=(20.0, 39.0), horizons=[39.0], seed=4
        ).rfm
    with pytest.warns(HeavyTailWarning):
        clv = pc.CLV().fit(rfm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        table = clv.predict(rfm, 20.0)
        total = clv.portfolio(rfm, 20.0, n_draws=256).iloc[0]
        nothing = clv.predict(rfm, 20.0, margin=0)
    once = table["customer_id"].isin(np.asarray(rfm.customer_id)[rfm.frequency == 0])
    assert np.isinf(table.loc[once, ["expected_clv", "expected_clv_high"]]).all(axis=None)
    assert np.isfinite(table[["clv_low", "clv_high"]]).all(axis=None)
    assert not table.isna().any(axis=None)
    assert np.isinf(total["expected_clv"])
    assert np.isfinite(total[["clv_low", "clv_high"]].astype(float)).all()
    assert (nothing[["expected_clv", "clv_high", "expected_clv_low", "expected_clv_high"]] == 0).all(axis=None)


def test_customers_far_outside_the_fit_are_counted(bg):
    far = pc.RFMSummary.from_frame(
        pd.DataFrame({"frequency": [1, 900], "recency": [2.0, 30.0], "T": [30.0, 30.0]}),
        time_unit="week",
        collapse="day",
    )
    with pytest.warns(ExtrapolationWarning, match=r"1 of 2 customers lie outside .*customer 1, frequency 900"):
        bg.predict(far, 13)


@pytest.mark.parametrize(
    ("customers", "segments", "draws"),
    [(1, 1, 1024), (200_000, 1, 1000), (10**7, 1, 256), (1000, 20_000, 500), (1000, 10**6, 256)],
)
def test_number_of_draws(customers, segments, draws):
    assert number_of_draws(customers, segments) == draws


def test_shares_of_nothing_and_of_too_much_are_unknown():
    np.testing.assert_array_equal(
        share(np.array([1.0, 0.0, np.inf]), np.array([4.0, 0.0, np.inf])), [0.25, np.nan, np.nan]
    )
    np.testing.assert_array_equal(times_margin(np.array([0.0, 0.5]), np.array([np.inf, np.inf])), [0.0, np.inf])
