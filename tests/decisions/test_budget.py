"""Budgets: the split is the best there is, spends what pays, and says what it brings with how much risk."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import Saturating, allocate_budget, assess_acquisition
from predclv.decisions.acquisition import budget
from predclv.decisions.acquisition.assess import Acquisition
from predclv.errors import DataError, DependenceWarning, HorizonWarning

CURVES = {"search": Saturating(400, 2_000), "<b>mail": Saturating(150, 900), "fair": lambda money: 0.02 * money}


@pytest.fixture(scope="module")
def won():
    """What `assess_acquisition` gives, as far as a budget reads it."""
    rng = np.random.default_rng(2)
    value = {"search": 30.0, "<b>mail": 45.0, "fair": 55.0}
    draws = {name: clv * np.exp(0.1 * rng.standard_normal(4_000)) for name, clv in value.items()}
    table = pd.DataFrame({"channel": list(value), "expected_clv": list(value.values())})
    return Acquisition(table, pd.DataFrame(), draws, {}, {"level": 0.9}, {})


@pytest.fixture(autouse=True)
def _without_luck(request, monkeypatch):
    """Where draws are made up there is no model to simulate single customers of: all are like the mean one."""
    if "won" in request.fixturenames:
        monkeypatch.setattr(budget, "_luck", lambda acquisition, name, *_: np.zeros(len(acquisition.draws[name])))


def test_no_other_split_on_the_grid_is_better(won):
    plan = allocate_budget(won, 10_000, CURVES, steps=40, spend_all=True)
    values = won.table.set_index("channel")["expected_clv"]

    def profit(spends):
        return sum(values[name] * curve(s) - s for (name, curve), s in zip(CURVES.items(), spends, strict=True))

    grid = 250.0 * np.arange(41)
    best = max(profit((a, b, 10_000 - a - b)) for a, b in product(grid, grid) if a + b <= 10_000)
    spends = plan.table["spend"].iloc[:3]
    assert spends.sum() == 10_000
    assert profit(spends) == pytest.approx(best, rel=1e-12)
    assert plan.table["expected_profit"].iloc[-1] == pytest.approx(best, rel=1e-12)


def test_it_is_the_split_of_equal_margins(won):
    """Lagrange: what the next money brings is the same everywhere; here in closed form."""
    curves = {name: CURVES[name] for name in ("search", "<b>mail")}
    two = Acquisition(won.table.iloc[:2], won.payback, won.draws, {}, won.settings, {})
    plan = allocate_budget(two, 3_000, curves, steps=30_000, spend_all=True).table.set_index("channel")
    # CLV most half / (half + money)^2 is equal, so money + half is in proportion to the root of CLV most half.
    roots = np.sqrt([30.0 * 400 * 2_000, 45.0 * 150 * 900])
    expected = (3_000 + 2_900) * roots / roots.sum() - [2_000, 900]
    np.testing.assert_allclose(plan["spend"].iloc[:2], expected, atol=0.2)
    next_value = np.array([30.0, 45.0]) / plan["next_cac"].iloc[:2]
    assert next_value.iloc[0] == pytest.approx(next_value.iloc[1], rel=1e-3)


def test_the_picture_names_the_level_of_the_intervals(won):
    half = Acquisition(won.table, won.payback, won.draws, {}, {"level": 0.5}, {})
    plan = allocate_budget(half, 10_000, CURVES, steps=40)
    labels = [text.get_text() for text in plan.plot(currency="EUR").get_legend().get_texts()]
    assert "profit, 50% interval" in labels
    assert plan.level == 0.5


def test_what_no_channel_repays_is_not_spent(won):
    plan = allocate_budget(won, 1_000_000, {**CURVES, "fair": lambda money: 0.01 * money}, steps=20_000)
    table = plan.table.set_index("channel")
    # 55 x 0.01 is less than 1: nothing goes there; elsewhere until the next customer costs what he is worth.
    assert table.loc["fair", "spend"] == 0
    assert np.isnan(table.loc["fair", "cac"])
    np.testing.assert_allclose(table["next_cac"].iloc[:2], [30.0, 45.0], rtol=0.02)
    assert plan.unspent == pytest.approx(1_000_000 - table["spend"].iloc[:3].sum())
    assert "left unspent" in plan.say()
    everything = allocate_budget(won, 1_000_000, CURVES, spend_all=True)
    assert everything.unspent == 0
    assert everything.table["expected_profit"].iloc[-1] > plan.table["expected_profit"].iloc[-1]


def test_profit_and_its_risk_are_those_of_the_draws(won):
    plan = allocate_budget(won, 20_000, CURVES)
    for row in plan.table.iloc[:3].to_dict("records"):
        profit = won.draws[row["channel"]] * row["customers"] - row["spend"]
        low, high = np.quantile(profit, [0.05, 0.95], method="inverted_cdf")
        assert (row["profit_low"], row["profit_high"], row["p_profit"]) == (low, high, (profit > 0).mean())
        assert row["customers"] == pytest.approx(CURVES[row["channel"]](row["spend"]), rel=1e-12)
        assert row["expected_profit"] == pytest.approx(row["expected_value"] - row["spend"])
    total = plan.table.iloc[-1]
    assert total["channel"] == "all channels"
    assert total["profit_low"] == np.quantile(plan.profit, 0.05, method="inverted_cdf")
    # Channels do not err together here, so that the whole is surer than its parts.
    parts = plan.table.iloc[:3]
    assert total["profit_high"] - total["profit_low"] < (parts["profit_high"] - parts["profit_low"]).sum()
    assert "<b>" not in plan._repr_html_()


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({"search": CURVES["search"]}, r"lacks 2 of 3 channels \(first: '<b>mail'\)"),
        ({**CURVES, "radio": CURVES["search"]}, r"1 of 4 channels that the customers do not have \(first: 'radio'\)"),
        ({**CURVES, "fair": lambda money: 5 + money}, "wins 5 customers for nothing"),
        ({**CURVES, "fair": lambda money: -money}, "'fair' falls after 0"),
        ({**CURVES, "fair": lambda money: money**2}, "'fair' becomes steeper after 10"),
        ({**CURVES, "fair": lambda money: 1 / money}, "'fair' gives no number"),
        ({**CURVES, "fair": lambda money: np.nan}, "not finite at 101 of 101 amounts"),
        ({**CURVES, "fair": lambda money: "many"}, "'fair' gives no number"),
    ],
)
def test_curves_that_cannot_be_are_refused(won, curves, message):
    with pytest.raises(DataError, match=message):
        allocate_budget(won, 1_000, curves, steps=100)


def test_options_that_mean_nothing_are_refused(won):
    with pytest.raises(ValueError, match="'budget' must be above 0"):
        allocate_budget(won, 0, CURVES)
    with pytest.raises(ValueError, match="'steps'"):
        allocate_budget(won, 10, CURVES, steps=0)
    with pytest.raises(ValueError, match="'half' must be above 0"):
        Saturating(10, 0)


def _value_of_newcomers(clv, n, rng):
    """A year's discounted revenue of n new customers at each draw of the parameters, purchase by purchase."""
    (r, alpha, a, b), (p, q, gamma) = (
        np.repeat(model.posterior_.draws_array(1_024).T[..., np.newaxis], n, axis=2)
        for model in (clv.transactions_, clv.spend_)
    )
    rate, leave, spend = rng.gamma(r) / alpha, rng.beta(a, b), rng.gamma(q) / gamma
    value, time, there = rng.gamma(p) / spend, np.zeros(r.shape), np.ones(r.shape, dtype=bool)
    while there.any():
        time = time + rng.exponential(size=r.shape) / np.maximum(rate, 1e-300)
        there &= time < 52
        value += there * np.exp(-np.log(1.1) * 7 / 365.25 * time) * rng.gamma(p) / spend
        there &= rng.random(r.shape) > leave
    return value.sum(axis=1)


def test_the_risk_holds_who_is_won():
    """Fifty customers are no average: their own simulation has the plan's spread, many times that of the mean."""
    rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), amount="amount", observation_end="1998-06-30")
    with pytest.warns(DependenceWarning):
        clv = pc.CLV().fit(rfm)
    found = assess_acquisition(clv, 5.0, horizon=52, n_draws=1_024)
    plan = allocate_budget(found, 50, {"all": lambda money: money})
    expected = _value_of_newcomers(clv, 50, np.random.default_rng(5)) - 50
    # The spread of 1,024 draws of such sums is known to 5 %, of the means alone a fifth as wide.
    assert plan.profit.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert plan.profit.std() == pytest.approx(expected.std(), rel=0.2)
    assert plan.profit.std() > 3 * (50 * found.draws["all"]).std()
    total = plan.table.iloc[-1]
    np.testing.assert_allclose(
        [total["profit_low"], total["profit_high"]], np.quantile(expected, [0.05, 0.95]), rtol=0.1
    )
    with pytest.warns(HorizonWarning):
        endless = assess_acquisition(clv, 5.0, horizon=np.inf, n_draws=128)
    # Of an endless horizon the luck is centered, too.
    plan = allocate_budget(endless, 50, {"all": lambda money: money})
    assert plan.profit.mean() == pytest.approx(plan.table["expected_profit"].iloc[-1], rel=0.15)
