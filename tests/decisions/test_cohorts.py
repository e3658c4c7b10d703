"""Cohorts: triangles without invented zeros, comparisons that hold, and bands in which the future lies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import predclv as pc
from predclv.decisions import cohort_table, compare_cohorts, continue_cohorts
from predclv.decisions.cohorts.shares import difference_of_shares, ratio_interval, share_interval
from predclv.decisions.cohorts.table import NOT_ENOUGH
from predclv.errors import DataError, DependenceWarning, HorizonWarning

END = "1997-09-30"


@pytest.fixture(scope="module")
def log():
    log = pc.datasets.load_cdnow()
    return log.assign(channel=np.where(log["customer_id"] % 3 == 0, "paid", "organic"))


@pytest.fixture(scope="module")
def table(log):
    return cohort_table(log, amount="amount", observation_end=END)


@pytest.fixture(scope="module")
def rfm(log):
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end=END, carry=["channel"])


@pytest.fixture(scope="module")
def clv(rfm):
    with pytest.warns(DependenceWarning):
        return pc.CLV().fit(rfm)


def test_what_has_not_been_observed_is_empty_and_what_did_not_happen_is_zero():
    days = ["2024-01-05", "2024-01-20", "2024-02-10", "2024-04-02", "2024-03-03"]
    log = pd.DataFrame({"customer_id": [1, 2, 1, 2, 3], "date": days})
    table = cohort_table(log, observation_end="2024-04-30", min_customers=1)
    expected = pd.DataFrame(
        [[1.0, 0.5, 0.0, 0.5], [1.0, 0.0, np.nan, np.nan]],
        index=pd.PeriodIndex(["2024-01", "2024-03"], freq="M", name="cohort"),
        columns=pd.Index(range(4), name="age"),
    )
    pd.testing.assert_frame_equal(table.retention, expected)
    cut = cohort_table(log, observation_end="2024-04-29", min_customers=1)
    assert np.isnan(cut.retention.loc["2024-01", 2:]).tolist() == [False]
    assert cut.triangle("active", partial=True).loc["2024-01", 3] == 1
    assert "2024-04 is cut by 2024-04-29" in repr(cut)


def test_a_cohort_of_one_is_not_enough_to_say():
    log = pd.DataFrame({"customer_id": [1, 1, 2], "date": ["2024-01-05", "2024-02-10", "2024-02-11"]})
    table = cohort_table(log, observation_end="2024-02-29")
    assert table.cohorts["note"].str.startswith(NOT_ENOUGH).all()
    assert table.retention.isna().all(axis=None)
    assert table.triangle("active").loc["2024-01"].tolist() == [1, 1]
    assert NOT_ENOUGH in repr(table)
    with pytest.raises(DataError, match="no revenue"):
        table.triangle("revenue")


def test_money_adds_up(table, log):
    some = log[log["date"] <= END]
    assert table.revenue.sum(axis=None) == pytest.approx(some["amount"].sum(), rel=1e-12)
    total = table.triangle("cumulative_revenue").ffill(axis=1).iloc[:, -1] * table.cohorts["customers"].to_numpy()
    assert total.sum() == pytest.approx(some["amount"].sum(), rel=1e-12)
    half = cohort_table(log, amount="amount", observation_end=END, margin=0.5)
    np.testing.assert_allclose(half.margin, 0.5 * half.revenue)
    assert "14% of them buy again" in repr(table) or "15% of them buy again" in repr(table)


def test_intervals_of_shares_hold_what_they_say():
    """Wilson's interval, by exact probabilities: near its level on average over shares, and close everywhere."""
    np.testing.assert_allclose(share_interval(0, 10, 0.95), [0.0, 0.27754], atol=1e-4)
    n, k = 200, np.arange(201)
    low, high = share_interval(k, np.full(201, n), 0.9)
    shares = np.linspace(0.02, 0.98, 97)
    cover = [binom.pmf(k, n, p)[(low <= p) & (p <= high)].sum() for p in shares]
    assert np.mean(cover) == pytest.approx(0.9, abs=0.01)
    assert min(cover) > 0.84
    assert np.isnan(share_interval(0, 0, 0.9)).all()


def test_differences_hold_what_they_say():
    rng = np.random.default_rng(4)
    k, j = rng.binomial(300, 0.12, 4000), rng.binomial(150, 0.08, 4000)
    low, high = difference_of_shares(k, np.full(4000, 300), j, np.full(4000, 150), 0.9)
    # Three standard errors of a share of 4,000.
    assert ((low <= 0.04) & (high >= 0.04)).mean() == pytest.approx(0.9, abs=0.015)
    x = rng.gamma(2.0, 10.0, (2000, 400))
    y = x * rng.gamma(4.0, 0.2, (2000, 400))
    sums = (y, x, y * y, x * y, x * x)
    low, high = ratio_interval(*(part.sum(axis=1) for part in sums), 0.9)
    assert ((low <= 0.8) & (high >= 0.8)).mean() == pytest.approx(0.9, abs=0.02)


def test_the_same_ages_are_compared_and_no_others(log):
    both = cohort_table(log, by="channel", amount="amount", observation_end=END)
    found = compare_cohorts(both)
    assert set(found["name"]) == {"organic", "paid"}
    assert found["age"].max() == 8
    # At age 8 only the cohort of January has arrived.
    at = found[(found["age"] == 8) & (found["name"] == "paid")].iloc[0]
    assert at["customers"] == both.cohorts.set_index(["segment", "cohort"]).loc[("paid", "1997-01"), "customers"]
    assert (found["low"] <= found["difference"]).all()
    # Channels that are made up differ at as many ages as chance makes them.
    assert (found["verdict"] == "not told apart").mean() > 0.6
    money = compare_cohorts(both, measure="revenue", reference="paid")
    assert list(money["age"]) == list(range(9))
    cohorts = compare_cohorts(cohort_table(log, observation_end=END), reference="1997-01")
    assert set(cohorts["name"]) == {"1997-02", "1997-03"}
    few = compare_cohorts(cohort_table(log, by="channel", observation_end=END, min_customers=10_000))
    assert (few["verdict"] == NOT_ENOUGH).all()
    with pytest.raises(DataError, match="is no segment of the table"):
        compare_cohorts(both, reference="radio")
    with pytest.raises(DataError, match="no segments"):
        compare_cohorts(cohort_table(log, observation_end=END), of="segment")


def test_squares_are_those_of_the_cell(log):
    """The interval of a difference of revenue is that of two samples of customers."""
    both = cohort_table(log, by="channel", amount="amount", observation_end="1997-03-31")
    found = compare_cohorts(both, measure="revenue").set_index(["name", "age"]).loc[("paid", 0)]
    some = log[log["date"] <= "1997-03-31"]
    some = some.assign(month=some["date"].dt.to_period("M"))
    some = some[some["month"] == some.groupby("customer_id")["month"].transform("min")]
    spent = some.groupby(["channel", "customer_id"])["amount"].sum()
    variance = sum(spent[name].var() / len(spent[name]) for name in ("paid", "organic"))
    assert found["value"] == pytest.approx(spent["paid"].mean())
    assert found["high"] - found["difference"] == pytest.approx(1.6449 * np.sqrt(variance), rel=1e-4)


def test_the_future_of_cdnow_lies_in_the_bands(clv, rfm, log):
    both = cohort_table(log, by="channel", amount="amount", observation_end=END)
    forecast = continue_cohorts(clv, rfm, both, 9, n_draws=256)
    later = cohort_table(log, by="channel", amount="amount", observation_end="1998-06-30")
    found = forecast.against(later)
    assert len(found) == 4 * 6 * 9
    # Cells of one log move together, so that their share says less than their number.
    assert found["inside"].mean() > 0.7
    assert forecast.settings["shocks"].spread == pytest.approx(0.113, abs=0.01)
    expected = clv.predict(rfm, "1998-06-30")["expected_purchases"].sum()
    calm = continue_cohorts(clv, rfm, both, "1998-06-30", shocks=0, n_draws=256)
    # Means over 256 draws of the parameters, whose spread is some 4 %.
    assert calm.totals["purchases"].sum() == pytest.approx(expected, rel=0.01)
    # Shocks all cohorts share make bands wider, of all together above all.
    wide = (forecast.totals["purchases_high"] - forecast.totals["purchases_low"]).mean()
    assert wide > 1.2 * (calm.totals["purchases_high"] - calm.totals["purchases_low"]).mean()
    assert "will buy in 1998-06" in repr(forecast)


def test_parts_of_a_summary_are_continued_as_the_whole(clv, rfm, log):
    both = cohort_table(log, by="channel", amount="amount", observation_end=END)
    whole = continue_cohorts(clv, rfm, both, 3, n_draws=256)
    parts = continue_cohorts(clv, (rfm[start : start + 900] for start in range(0, len(rfm), 900)), both, 3, n_draws=256)
    np.testing.assert_allclose(parts.totals["purchases"], whole.totals["purchases"], rtol=0.02)
    assert parts.settings["shocks"].spread == pytest.approx(whole.settings["shocks"].spread, rel=0.05)


def test_a_period_that_is_cut_is_completed(clv, log):
    end = "1997-09-12"
    rfm = pc.RFMSummary.from_transactions(log, amount="amount", observation_end=end)
    table = cohort_table(log, amount="amount", observation_end=end)
    forecast = continue_cohorts(clv, rfm, table, 2, shocks=0, n_draws=256)
    so_far = table.cells[~table.cells["is_whole"]]
    first = forecast.cells[forecast.cells["period"] == "1997-09"]
    assert (first["active_low"].to_numpy() >= so_far["active"].to_numpy()).all()
    rest = clv.predict(rfm, "1997-09-30")
    added = first["purchases"].sum() - so_far["purchases"].sum()
    assert added == pytest.approx(rest["expected_purchases"].sum(), rel=0.03)
    # Who has bought in September already is not counted twice.
    bought = set(log.loc[log["date"].between("1997-09-01", end), "customer_id"])
    new = rest.loc[~rest["customer_id"].isin(bought), "p_purchase"].sum()
    assert first["active"].sum() - so_far["active"].sum() == pytest.approx(new, rel=0.03)


@pytest.mark.slow
def test_a_model_of_opportunities_continues_cohorts_of_them():
    log = pc.datasets.simulate("bg_bb", n_customers=600, time_unit="month", births=6, observed=14, seed=5)
    options = {"observation_end": log.observation_end, "opportunities": "month"}
    rfm = pc.RFMSummary.from_transactions(log.log, **options)
    table = cohort_table(log.log, **options)
    model = pc.BGBB(method="map").fit(rfm)
    forecast = continue_cohorts(model, rfm, table, 3, shocks=0, n_draws=256)
    expected = model.expected_purchases(rfm, 3, estimate="draws")["expected_purchases"].sum()
    assert forecast.totals["purchases"].sum() == pytest.approx(expected, rel=0.03)
    np.testing.assert_allclose(forecast.cells["active"], forecast.cells["purchases"])
    assert "revenue" not in forecast.totals
    with pytest.raises(DataError, match="no whole number of them"):
        continue_cohorts(model, rfm, cohort_table(log.log, period="week", observation_end=log.observation_end), 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_bands_hold_the_future_of_simulated_firms():
    """Fifteen firms with fitted models: nine of ten cells lie in their bands, of single cohorts and of all together."""
    inside, totals = [], []
    for seed in range(15):
        firm = pc.datasets.simulate(
            "bg_nbd", n_customers=900, births="30 weeks", observed="52 weeks", holdout="26 weeks", seed=seed
        )
        end = firm.observation_end
        rfm = pc.RFMSummary.from_transactions(firm.log, observation_end=end)
        model = pc.BGNBD().fit(rfm)
        table = cohort_table(firm.log, observation_end=end)
        forecast = continue_cohorts(model, rfm, table, 5, shocks=0, n_draws=256)
        later = forecast.against(cohort_table(firm.log, observation_end=firm.end))
        low, high = forecast.cells[["purchases_low", "purchases_high"]].to_numpy().T
        part = later[later["measure"] == "purchases"]
        inside.append(part["inside"].mean())
        observed = part.groupby("period")["observed"].sum()
        of_all = forecast.totals.set_index("period").loc[observed.index]
        totals.append(((observed >= of_all["purchases_low"]) & (observed <= of_all["purchases_high"])).mean())
        assert (low <= high).all()
    # Counts are whole and cells of a firm move together: an error of the mean of some 0.02 of cells, 0.05 of totals.
    assert 0.86 < np.mean(inside) < 0.98
    assert 0.76 < np.mean(totals) < 0.99


def test_what_does_not_belong_together_is_refused(clv, rfm, log, table):
    with pytest.raises(DataError, match="as of"):
        continue_cohorts(clv, rfm, cohort_table(log, observation_end="1997-10-31"), 3)
    with pytest.raises(DataError, match="other cohorts"):
        continue_cohorts(clv, rfm[:2000], table, 3)
    with pytest.raises(DataError, match="does not carry"):
        other = pc.RFMSummary.from_transactions(log, amount="amount", observation_end=END)
        continue_cohorts(clv, other, cohort_table(log, by="channel", observation_end=END), 3)
    with pytest.raises(DataError, match="no whole number of months"):
        continue_cohorts(clv, rfm, table, "5 weeks")
    with pytest.raises(DataError, match="ends within a month"):
        continue_cohorts(clv, rfm, table, "1998-01-15")
    with pytest.raises(ValueError, match="'shocks' must be from 0 to 2"):
        continue_cohorts(clv, rfm, table, 3, shocks=10)
    with pytest.raises(TypeError, match="transaction model"):
        continue_cohorts("bg_nbd", rfm, table, 3)
    with pytest.warns(HorizonWarning, match="12 months"):
        continue_cohorts(clv, rfm, table, "1 year", n_draws=64)
