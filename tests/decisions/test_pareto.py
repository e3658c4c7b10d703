"""The Pareto curve: Lorenz curves of what is expected, to come and past, that meet where they must."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import pareto_curve
from predclv.decisions.segments import pareto
from predclv.forecast.concentration import share_of_top


@pytest.fixture(scope="module")
def rfm():
    return pc.datasets.simulate_rfm("bg_nbd", n_customers=1_000, T=(20.0, 39.0), lattice=1, seed=5).rfm


@pytest.fixture(scope="module")
def clv(rfm):
    return pc.CLV().fit(rfm)


@pytest.fixture(scope="module")
def found(clv, rfm):
    return pareto_curve(clv, rfm, 39)


def test_curves_rise_from_nothing_to_all_and_hindsight_sees_most(clv, rfm, found):
    curve = found.curve
    names = ["expected", "chosen", "outcome", "past"]
    assert (curve[names].iloc[0] == 0).all()
    np.testing.assert_allclose(curve[names].iloc[-1], 1)
    assert (curve[names].diff().iloc[1:] >= -1e-12).all(axis=None)
    assert (curve["outcome"] >= curve["chosen"] - 1e-12).all()
    for name in ("chosen", "outcome"):
        assert (curve[f"{name}_low"] <= curve[f"{name}_high"]).all()
    expected = clv.predict(rfm, 39)["expected_clv"].to_numpy()
    assert found.at(0.2)["expected"] == pytest.approx(share_of_top(expected, 0.2))
    assert found.at(0.2)["past"] == pytest.approx(share_of_top(rfm.frequency * rfm.monetary_value, 0.2))
    # What is expected of those who are chosen is the mean of what they will bring, shares being all but linear.
    assert found.at(0.2)["chosen"] == pytest.approx(found.at(0.2)["expected"], abs=0.02)
    assert "the best 20% of 1,000 customers" in found.say()
    assert found.settings["n_empty"] == 0


def test_so_many_customers_for_so_much_value_is_the_curve_read_the_other_way(found):
    rows = found.customers_for.set_index("share_of_value")
    for share in (0.5, 0.8, 0.9):
        at = np.interp(rows.loc[share, "expected"], found.curve["share_of_customers"], found.curve["expected"])
        assert at == pytest.approx(share, abs=1e-9)
    assert (rows["outcome_low"] <= rows["outcome"]).all()
    assert (rows["outcome"] < rows["expected"]).all()


def test_the_order_of_customers_who_are_expected_alike_does_not_matter(clv, rfm):
    """One-time buyers of one age are worth the same, and the curve runs straight through them."""
    back = rfm[np.arange(len(rfm))[::-1]]
    one, other = (pareto_curve(clv, some, 39, n_draws=16).curve for some in (rfm, back))
    np.testing.assert_allclose(one[["expected", "past"]], other[["expected", "past"]], atol=1e-12)
    # The random numbers are those of other customers, who are worth the same.
    assert (one["chosen"] - other["chosen"]).abs().max() < 0.05


def test_of_very_many_customers_some_are_simulated_with_the_same_answer(clv, rfm, found, monkeypatch):
    monkeypatch.setattr(pareto, "_SIMULATED", 500)
    thin = pareto_curve(clv, rfm, 39)
    assert thin.settings["n_simulated"] == 500
    pd.testing.assert_series_equal(thin.curve["expected"], found.curve["expected"])
    # Half of so few customers: a point or two; of a million it is a thousandth.
    assert (thin.curve["outcome"] - found.curve["outcome"]).abs().max() < 0.03
    assert (thin.curve["chosen"] - found.curve["chosen"]).abs().max() < 0.05


def test_few_customers_have_wide_bands_and_say_so(clv, rfm, found):
    small = pareto_curve(clv, rfm[:20], 39)
    assert "not enough customers to say more" in small.say()
    width = [(one.at(0.2)["chosen_high"] - one.at(0.2)["chosen_low"]) for one in (small, found)]
    assert width[0] > 3 * width[1]
    alone = pareto_curve(clv, rfm[:1], 39)
    assert alone.settings["n_empty"] > 0
    assert alone.at(1.0)["expected"] == 1


def test_nobody_brings_anything(clv, rfm):
    none = pareto_curve(clv, rfm, 39, margin=0.0, n_draws=8)
    assert none.settings["n_empty"] == 8
    assert none.curve["outcome"].isna().all()
    assert none.customers_for[["expected", "outcome", "past"]].isna().all(axis=None)
    assert "none of the 1,000 customers" in none.say()


def test_contracts_have_a_curve_customer_by_customer():
    subs = pc.Subscriptions.from_cohorts([200, 160, 140, 130], price=10.0)
    found = pareto_curve(pc.CLV(pc.SBG()).fit(subs), subs, 3)
    assert found.settings["n_customers"] == 200
    # 130 still run, of equal price, and the rest bring nothing.
    assert found.at(0.65)["expected"] == pytest.approx(1)
    assert found.at(0.325)["expected"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"top": 0}, "between 0 and 1"),
        ({"top": 20}, "did you mean 0.2"),
        ({"n_draws": 1}, "n_draws"),
        ({"n_points": 2.5}, "n_points"),
    ],
)
def test_bad_options_are_refused(clv, rfm, found, options, match):
    with pytest.raises(ValueError, match=match):
        pareto_curve(clv, rfm, 39, **options)
    with pytest.raises(ValueError, match="from 0 to 1"):
        found.at(1.5)
