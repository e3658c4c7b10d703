"""Customer equity: the present base and those to come, and how many these will be."""

from __future__ import annotations

import numpy as np
import pytest

import predclv as pc
from predclv.decisions import cohort_table, customer_equity, forecast_arrivals
from predclv.errors import DataError, DataQualityWarning, DependenceWarning

YEAR = 365.25 / 7


@pytest.fixture(scope="module")
def log():
    log = pc.datasets.load_cdnow()
    return log.assign(channel=np.where(log["customer_id"] % 3 == 0, "paid", "organic"))


@pytest.fixture(scope="module")
def rfm(log):
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1997-12-31", carry=["channel"])


@pytest.fixture(scope="module")
def clv(rfm):
    with pytest.warns(DependenceWarning):
        return pc.CLV().fit(rfm)


def parts(equity, name="expected"):
    return equity.table[equity.table["segment"] == "all"].set_index("part")[name]


def test_the_parts_are_what_they_are_elsewhere(clv, rfm):
    equity = customer_equity(clv, rfm, YEAR / 2, arrivals=100, cac=20, margin=0.5, n_draws=256)
    found = parts(equity)
    portfolio = clv.portfolio(rfm, YEAR / 2, margin=0.5)
    assert found["present customers"] == pytest.approx(portfolio["expected_clv"].iloc[-1], rel=1e-9)
    # 600 customers who come evenly: each is valued until the same day, and discounted to now.
    ages = (np.arange(24) + 0.5) / 24 * YEAR / 2
    each = [clv.new_customer(age, margin=0.5)["expected_clv"][0] for age in ages]
    now = 1.1 ** -((YEAR / 2 - ages) / YEAR)
    # At the estimate, as theirs is; straight lines between the times of the path are off by less than that.
    assert found["customers to come"] == pytest.approx(600 * np.mean(np.array(each) * now), rel=2e-4)
    assert equity.arrivals["value"].sum() == pytest.approx(found["customers to come"], rel=1e-9)
    assert found["cost of winning them"] == pytest.approx(600 * 20 * now.mean(), rel=1e-4)
    expected = found["present customers"] + found["customers to come"] - found["cost of winning them"]
    assert found["customer equity"] == pytest.approx(expected, rel=1e-9)
    assert len(equity.arrivals) == 6
    assert equity.methods == {"all": "100 a month, as given, taken as certain"}
    assert "less" in repr(equity)


@pytest.mark.parametrize(
    ("horizon", "said"),
    [("3 months", "within 3 months:"), ("1998-03-31", "until 1998-03-31:"), (26, "within 26 weeks:")],
)
def test_the_horizon_is_said_as_it_was_asked(clv, rfm, horizon, said):
    assert f"customer equity {said}" in customer_equity(clv, rfm, horizon, arrivals=9, n_draws=64).say()


def test_intervals_hold_the_chance_of_single_customers(clv, rfm):
    """Those to come, simulated whole at each draw, are spread as the interval says."""
    equity = customer_equity(clv, rfm, "3 months", arrivals=40, n_draws=512)
    theta, spend = clv._valuation.pair.draws(512)
    delta, length = np.log(1.1) / YEAR, YEAR / 4
    total, zero = np.zeros(512), np.zeros(120)
    left = np.repeat(length * (1 - (np.arange(12) + 0.5) / 12), 10)
    for i, time in enumerate(np.unique(left)):
        rows = zero[:10], zero[:10], zero[:10], zero[:10], np.ones(10), np.zeros(10, dtype=np.int64), 1
        value = clv.transactions_.bindings.simulate_totals(
            *rows, float(time), delta, theta, spend, 900 + i, first_purchase=True
        )[1]
        total += np.exp(-delta * (length - time)) * value[:, 0]
    low, high = np.quantile(total, [0.05, 0.95])
    found = equity.table.set_index("part").loc["customers to come"]
    # Ends of an interval from 512 draws are off by some 5 % of its width, each of two.
    assert found["high"] - found["low"] == pytest.approx(high - low, rel=0.2)
    assert found["expected"] == pytest.approx(total.mean(), rel=0.03)


def test_where_nobody_came_hardly_anybody_is_expected():
    """The mean of the draws does not rest on a few of them in which thousands come."""
    for past, most in (([0] * 12, 4.0), ([3, 0, 0, 0, 0, 0, 0], 120.0)):
        total = forecast_arrivals(past, 36).draws.sum(axis=1)
        assert 0.5 < total.mean() < most
        assert total.mean() < np.quantile(total, 0.95)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning")
def test_segments_have_arrivals_of_their_own(rfm):
    models = pc.BGNBD(method="map", segment="channel"), pc.GammaGamma(method="map")
    clv = pc.CLV(*models).fit(rfm[::7])
    equity = customer_equity(clv, rfm, "3 months", arrivals={"paid": 50, "organic": [10, 20, 30]}, n_draws=64)
    to_come = equity.table[equity.table["part"] == "customers to come"].set_index("segment")["expected"]
    assert to_come["all"] == pytest.approx(to_come["paid"] + to_come["organic"])
    assert set(equity.table.loc[equity.table["part"] == "present customers", "segment"]) == {"paid", "organic", "all"}
    with pytest.raises(DataError, match="lacks 1 of 2 channels"):
        customer_equity(clv, rfm, "3 months", arrivals={"paid": 50})
    with pytest.raises(DataError, match=r"names 1 of 3 channels .*first: 'radio'"):
        customer_equity(clv, rfm, "3 months", arrivals={"paid": 50, "organic": 1, "radio": 3})
    with pytest.raises(DataError, match="arrivals of each"):
        customer_equity(clv, rfm, "3 months", arrivals=50)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_contracts_have_equity():
    simulated = pc.datasets.simulate_subscriptions(n_customers=400, seed=2)
    subs = pc.Subscriptions.from_log(simulated.log, price="price", observation_end="2025-12-31")
    clv = pc.CLV(pc.SBG(method="map")).fit(subs)
    equity = customer_equity(clv, subs, "6 months", arrivals=20, price=10.0, n_draws=64)
    found = parts(equity)
    assert found["present customers"] == pytest.approx(clv.portfolio(subs, "6 months")["expected_clv"].iloc[-1])
    # Each pays at once, and again at each renewal within the horizon.
    assert 120 * 10 * 0.9 < found["customers to come"] < 120 * 10 * 6
    assert (parts(equity, "low") <= found).all()


def test_arrivals_hold_the_future():
    """Negative binomial counts of 12 periods: the sum of the next 12 lies in its 90 % interval as often as it says."""
    rng, inside = np.random.default_rng(7), []
    for seed in range(200):
        counts = rng.poisson(rng.gamma(20.0, 100 / 20.0, 24))
        forecast = forecast_arrivals(counts[:12], 12, random_state=seed, n_draws=400)
        low, high = np.quantile(forecast.draws.sum(axis=1), [0.05, 0.95])
        inside.append(low <= counts[12:].sum() <= high)
    # Three standard errors of a share of 200.
    assert np.mean(inside) == pytest.approx(0.9, abs=0.064)


def test_a_trend_goes_on_and_a_level_does_not():
    counts = np.round(100 * 1.05 ** np.arange(12))
    trend, level = (forecast_arrivals(counts, 3, method=method).draws.mean(axis=0) for method in ("trend", "level"))
    np.testing.assert_allclose(trend, 100 * 1.05 ** np.arange(12, 15), rtol=0.1)
    assert level == pytest.approx(counts.mean(), rel=0.05)
    table = forecast_arrivals(counts, 3).table()
    assert (table["low"] < table["expected"]).all()
    assert "level of the last 12 periods" in repr(forecast_arrivals(counts, 3))


def test_arrivals_of_a_table_are_forecast_from_its_whole_periods(clv, rfm, log):
    table = cohort_table(log, observation_end="1997-12-31")
    with pytest.warns(DataQualityWarning, match="no level to go by"):
        equity = customer_equity(clv, rfm, "3 months", arrivals=table, n_draws=64)
    assert "level of the last 12 periods" in equity.methods["all"]
    certain = customer_equity(clv, rfm, "3 months", arrivals=equity.arrivals["expected"].tolist(), n_draws=64)
    width = [(one.table["high"] - one.table["low"]).iloc[1] for one in (equity, certain)]
    assert width[0] > 3 * width[1]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"arrivals": -1}, DataError, "at least 0"),
        ({"arrivals": [1, 2]}, DataError, "or 3 of them"),
        ({"arrivals": "many"}, DataError, "or 3 of them. Got 'many'"),
        ({"cac": -5}, DataError, "CAC of 'cac'"),
        ({"cac": {"all": 5, "tv": 2}}, DataError, "'cac' names 'tv', which is none of"),
        ({"horizon": np.inf}, ValueError, "finite horizon"),
        ({"margin": "margin"}, TypeError, "must be a number here"),
        ({"n_draws": 3}, ValueError, "from 64 on"),
        ({"clv": pc.BGNBD()}, TypeError, "fitted CLV"),
        ({"arrivals": forecast_arrivals([5, 6, 7, 8], 2)}, DataError, "forecast for 2 periods"),
    ],
)
def test_what_cannot_be_meant_is_refused(clv, rfm, change, error, message):
    options = {"clv": clv, "data": rfm, "horizon": "3 months", "arrivals": 10, "n_draws": 64, **change}
    with pytest.raises(error, match=message):
        customer_equity(options.pop("clv"), options.pop("data"), options.pop("horizon"), **options)


def test_few_who_come_are_never_worth_less_than_nothing(clv, rfm):
    equity = customer_equity(clv, rfm, "1 year", arrivals=0.2, n_draws=256)
    assert (equity.draws["customers to come"] < 0).any()
    assert equity.table.loc[equity.table["part"] == "customers to come", "low"].item() >= 0
    assert (equity.arrivals["value_low"] >= 0).all()


def test_arrivals_that_say_nothing_are_refused():
    with pytest.raises(DataError, match="too few to forecast"):
        forecast_arrivals([5, 6, 7], 2)
    with pytest.raises(DataError, match=r"whole numbers .* 1 of 4 periods \(first: 2\.5\)"):
        forecast_arrivals([5, 6, 7, 2.5], 2)
