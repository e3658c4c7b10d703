"""Contract models: published fits, curves and sums, every method, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.data.periods import renewal_date
from predclv.errors import ConvergenceWarning, DataError, DataQualityWarning, HorizonWarning, UnitError
from predclv.models.contracts.model import ContractModel
from published import CONTRACT_FITS

MODELS = [pc.SBG, pc.BDW]


def cohort(name: str, periods: int = 7, **options) -> pc.Subscriptions:
    table = pc.datasets.load_retention().loc[name, :periods]
    return pc.Subscriptions.from_cohorts(table, values="percent", **{"size": 1000, **options})


@pytest.fixture(scope="module")
def simulated():
    return pc.datasets.simulate_contracts("bdw", n_customers=10_000, seed=4)


@pytest.mark.parametrize("row", CONTRACT_FITS, ids=lambda row: f"{row.cohort} {row.model}")
def test_published_fits(row):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        # A hundred customers say little about c.
        warnings.simplefilter("ignore", ConvergenceWarning)
        subs = cohort(row.cohort, size=None)
        model = pc.MODELS[row.model]().fit(subs)
    np.testing.assert_allclose(model.posterior_.point_array, row.estimates, atol=6e-7)
    assert model.score(subs) == pytest.approx(row.log_likelihood, abs=6e-7)
    assert model.retention_curve(12)["survival"].iloc[-1] == pytest.approx(row.year_12, abs=5e-4)


def test_bdw_at_c_1_is_sbg():
    subs = cohort("Regular")
    theta = np.array([0.7, 1.2])
    one, other = pc.SBG()._likelihood(subs), pc.BDW()._likelihood(subs)
    mine, theirs = one.derivatives(theta), other.derivatives(np.r_[theta, 1.0])
    assert mine.value == theirs.value
    np.testing.assert_array_equal(mine.gradient, theirs.gradient[:2])
    # The general form, taken a hair beside c = 1, is the same.
    assert other.derivatives(np.r_[theta, 1.0 + 1e-12]).value == pytest.approx(mine.value, rel=1e-11)
    better = pc.BDW().fit(subs).score(subs) - pc.SBG().fit(subs).score(subs)
    assert 0 < better < 0.002


def test_notice_given_early_does_not_make_customers_look_less_loyal():
    """Who leaves says so within the last period; who stays has said nothing when observation ends."""
    rng = np.random.default_rng(6)
    n = 20_000
    start = np.datetime64("2023-08-01") + rng.integers(0, 162, n).astype("timedelta64[D]")
    made = np.minimum(rng.geometric(rng.beta(1.0, 3.0, n)) - 1, 1_000)
    # Some day of the month after the last renewal that was made.
    days = rng.integers(1, 28, n).astype("timedelta64[D]")
    last = pd.Series((renewal_date(start, made, "month") + days).astype("datetime64[s]"))
    as_of = pd.Timestamp("2024-01-10")
    log = pd.DataFrame({"customer_id": np.arange(n), "start": start, "end": last.where(last <= as_of)})
    subs = pc.Subscriptions.from_log(log, period="month", observation_end=as_of)
    early = subs.ended & ~subs.lost
    assert 1_000 < early.sum() < 3_000
    np.testing.assert_array_equal(subs.tenure[subs.ended], made[subs.ended])

    def distance(lost: np.ndarray) -> float:
        model = pc.SBG().fit(dataclasses.replace(subs, lost=lost))
        error = np.log(model.posterior_.point_array) - np.log([1.0, 3.0])
        return float(error @ np.linalg.solve(model.posterior_.covariance_unconstrained, error))

    assert distance(subs.lost) < stats.chi2.ppf(0.999, 2)
    assert distance(subs.ended) > distance(subs.lost) + 10


# Curves


def test_the_retention_curve_and_its_bands():
    subs = cohort("High End")
    model = pc.SBG().fit(subs)
    alpha, beta = model.posterior_.point_array
    curve = model.retention_curve(12, n_customers=200)
    t = np.arange(1, 13)
    rates = (beta + t - 1) / (alpha + beta + t - 1)
    np.testing.assert_allclose(curve["retention"][1:], rates, rtol=1e-12)
    np.testing.assert_allclose(curve["survival"], np.cumprod(np.r_[1.0, rates]), rtol=1e-12)
    assert (curve["survival_low"] <= curve["survival"]).all()
    assert (curve["survival"] <= curve["survival_high"]).all()
    # A cohort of 200 varies more than the mean curve known from 1,000.
    mean, cohort_of_200 = (curve[f"{name}_high"] - curve[f"{name}_low"] for name in ("survival", "customers"))
    assert (cohort_of_200[1:] > 200 * mean[1:]).all()
    assert curve["expected_customers"].iloc[0] == 200
    narrow = model.retention_curve(12, level=0.5)
    assert (narrow["survival_high"][1:] < curve["survival_high"][1:]).all()
    # Actual survivors of years 8 to 12 lie in the band of a forecast made in year 7, up to its sampling error.
    actual = pc.datasets.load_retention().loc["High End"].to_numpy()[8:] / 100
    np.testing.assert_allclose(curve["survival"][8:], actual, atol=0.02)
    for options in ({"periods": 0}, {"periods": 2.5}, {"n_customers": 0}, {"level": 95}):
        with pytest.raises(ValueError, match="must be"):
            model.retention_curve(**options)


def test_residual_lifetime_is_the_closed_form():
    subs = pc.Subscriptions.from_cohorts([100, 80, 70])
    model = pc.SBG().fit(subs)
    alpha, beta = model.posterior_.point_array
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        table = model.expected_residual_lifetime(subs, discount_rate=0.10)
        five = model.expected_residual_lifetime(subs, 5, discount_rate=0.0)
    assert (table.iloc[:2, 2:] == 0).all(axis=None)
    from scipy.special import hyp2f1

    k = 2
    share = (beta + k) / (alpha + beta + k)
    derl = share * hyp2f1(1, beta + k + 1, alpha + beta + k + 1, 1 / 1.1)
    assert table["discounted_residual_lifetime"][2] == pytest.approx(derl, rel=1e-12)
    assert table["discounted_low"][2] < derl < table["discounted_high"][2]
    assert table["expected_residual_lifetime"][2] == (np.inf if alpha <= 1 else pytest.approx((beta + k) / (alpha - 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        expected = model.expected_renewals(subs, 5)["expected_renewals"]
    np.testing.assert_allclose(five["expected_residual_lifetime"], expected, rtol=1e-14)
    np.testing.assert_allclose(five["discounted_residual_lifetime"], expected, rtol=1e-14)


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
def test_recurring_revenue_is_that_of_those_who_are_left():
    subs = pc.Subscriptions.from_cohorts([500, 400, 350], price=120.0, observation_end="2024-02-29")
    model = pc.SBG().fit(subs)
    table = model.recurring_revenue(subs, "3 years")
    survivors = model.renewal_distribution(subs, 3).query("customer_id == 2").set_index("n")["probability"]
    left = np.r_[1.0, 1.0 - survivors.cumsum().to_numpy()[:-1]] * 350
    np.testing.assert_allclose(table["expected_customers"], left, rtol=1e-12)
    # 120 a year are 10 a month.
    np.testing.assert_allclose(table["expected_mrr"], 10 * left, rtol=1e-12)
    assert list(table["date"].dt.strftime("%Y-%m-%d")) == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28"]
    assert table.loc[0, ["mrr_low", "mrr_high"]].tolist() == [3500, 3500]
    assert (table["mrr_low"] <= table["expected_mrr"]).all()
    assert (table["mrr_high"] - table["mrr_low"] >= table["expected_mrr_high"] - table["expected_mrr_low"]).all()
    with pytest.raises(ValueError, match="at least one whole year"):
        model.recurring_revenue(subs, "6 months")
    with pytest.raises(DataError, match="The subscriptions have no prices"):
        model.recurring_revenue(pc.Subscriptions.from_cohorts([500, 400, 350]), 1)


def test_a_horizon_beyond_what_was_seen_warns(simulated):
    model = pc.SBG().fit(simulated.subs)
    with pytest.warns(HorizonWarning, match="5 years, is longer than the oldest customer"):
        model.predict(simulated.subs, "5 years")


def test_renewals_due_at_the_end_of_the_horizon_count(simulated):
    model = pc.SBG().fit(simulated.subs)
    running = simulated.subs[~simulated.subs.ended]
    year = model.renewal_distribution(running, "12 months").groupby("customer_id")["n"].max()
    assert (year == 12).all()
    part = model.renewal_distribution(running, 0.5).groupby("customer_id")["n"].max().to_numpy()
    np.testing.assert_array_equal(part, running.next_renewal <= 0.5)


# Every method


@pytest.mark.parametrize("model_class", MODELS)
def test_map_draws_agree_with_the_mode(model_class, simulated):
    model = model_class(method="map").fit(simulated.subs)
    assert model.posterior_.diagnostics["k_hat"] < 0.5
    draws = np.log(model.posterior_.draws_array())
    sd = np.sqrt(np.diag(model.posterior_.covariance_unconstrained))
    assert (np.abs(draws.mean(axis=0) - np.log(model.posterior_.point_array)) < 0.5 * sd).all()
    loo = model.loo()
    assert loo["elpd_loo"] == pytest.approx(len(simulated.subs) * model.score(simulated.subs), abs=5)
    assert np.isfinite(loo["se"])
    looked_at = model.to_arviz(log_likelihood=False)
    check, observed = (looked_at[group]["customers"] for group in ("posterior_predictive", "observed_data"))
    low, high = check.quantile([0.001, 0.999], dim=("chain", "draw")).to_numpy()
    assert ((low <= observed) & (observed <= high)).all()


def test_weights_per_hundred_have_no_customers_to_score():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        subs = cohort("Regular", size=None, price=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = pc.SBG(method="map").fit(subs)
    with pytest.raises(DataError, match="no whole numbers of customers: give from_cohorts size="):
        model.loo()
    with pytest.raises(DataError, match="rows stand for parts of customers"):
        model.recurring_revenue(subs, 3)


@pytest.mark.slow
def test_nuts_agrees_with_importance_sampling(simulated):
    pytest.importorskip("nutpie")
    mcmc = pc.SBG(method="mcmc", draws=500, chains=2, progressbar=False).fit(simulated.subs)
    by_map = pc.SBG(method="map").fit(simulated.subs)
    ours, theirs = (np.log(m.posterior_.draws_array()) for m in (mcmc, by_map))
    sd = theirs.std(axis=0)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 0.25 * sd).all()
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("model_class", MODELS)
def test_the_literal_pymc_model_is_the_compiled_one(model_class, simulated):
    pytest.importorskip("pymc")
    compiled, literal = (model_class().to_pymc(simulated.subs, likelihood=form) for form in ("compiled", "literal"))
    point = compiled.initial_point()
    assert literal.compile_logp()(point) == pytest.approx(compiled.compile_logp()(point), rel=1e-11)
    np.testing.assert_allclose(literal.compile_dlogp()(point), compiled.compile_dlogp()(point), rtol=1e-8)


def test_segments_share_strength():
    table = pc.datasets.load_retention().loc[:, :7]
    subs = pc.Subscriptions.from_cohorts(
        table, values="percent", size={"Regular": 400, "High End": 60}, price=10.0, period="year"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pooled = pc.SBG(method="map", segment="cohort").fit(subs)
        alone = pc.SBG(method="map").fit(subs[subs.carried["cohort"] == "High End"])
    assert list(pooled.segments_) == ["High End", "Regular"]
    one = pooled.segments_["High End"]
    assert isinstance(one, ContractModel)
    assert set(pooled.summary["segment"]) == {"population", "High End", "Regular"}
    curves = [model.retention_curve(1)["survival"].iloc[1] for model in (alone, one, pooled.segments_["Regular"])]
    assert curves[2] < curves[1] < curves[0] + 0.01
    renew = pooled.p_renew(subs)["p_renew"].to_numpy()
    running = ~subs.ended
    own = one.p_renew(subs[running & (subs.carried["cohort"] == "High End")])["p_renew"]
    np.testing.assert_array_equal(renew[running & (subs.carried["cohort"] == "High End")], own)
    with pytest.raises(ValueError, match="has parameters for each of 2 segments"):
        pooled.retention_curve(3)


# Edges and refusals


@pytest.mark.parametrize(
    ("survivors", "said"),
    [
        ([500, 500, 500], "do not show customers leaving"),
        ([1000, 500, 250, 125, 63], "equally likely to leave"),
        ([1000, 600, 600, 600, 600], "at the first renewal or never"),
        ([1000, 3, 0], "leave"),
    ],
)
def test_edges_are_told_in_words(survivors, said):
    with pytest.warns(ConvergenceWarning, match=said):
        pc.SBG().fit(pc.Subscriptions.from_cohorts(survivors))


@pytest.mark.parametrize(
    ("survivors", "said"),
    [
        ([1000, 1000, 1000, 0], "contracts may run out after a fixed number of periods"),
        ([1000, 900, 810, 729, 656, 590], "All customers seem alike"),
        ([1000, 600, 600, 600, 600], "do not tell loyalty that grows from customers who differ"),
    ],
)
def test_edges_with_duration_dependence_are_told_in_words(survivors, said):
    with pytest.warns(ConvergenceWarning, match=said):
        pc.BDW().fit(pc.Subscriptions.from_cohorts(survivors))


def test_what_is_refused(simulated):
    subs = simulated.subs
    model = pc.SBG().fit(subs)
    with pytest.raises(TypeError, match=r"Expected Subscriptions\. Got RFMSummary"):
        model.fit(pc.datasets.simulate_rfm(n_customers=5).rfm)
    with pytest.raises(TypeError, match="Subscriptions, which are for contract models: SBG and BDW"):
        pc.BGNBD().fit(subs)
    yearly = pc.Subscriptions.from_cohorts([100, 80, 70], period="year")
    with pytest.raises(UnitError, match="renewed by the month, and these are renewed by the year"):
        model.predict(yearly, 1)
    young = pc.Subscriptions.from_log(
        pd.DataFrame({"customer_id": [1], "start": [dt.date(2024, 1, 1)], "end": [None]}), observation_end="2024-01-05"
    )
    with pytest.raises(DataError, match="has come to its first renewal"):
        model.fit(young)
    one = pc.Subscriptions.from_cohorts([100, 80])
    with pytest.raises(DataError, match="Nobody has come to more than 1 renewal, and SBG has 2 parameters"):
        pc.SBG().fit(one)
    with pytest.warns(ConvergenceWarning, match="say little about"):
        assert pc.SBG(method="map").fit(one).p_renew(one)["p_renew"][1] > 0.8
    with pytest.raises(ValueError, match="has no last number"), warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        model.renewal_distribution(subs, np.inf)
    with pytest.raises(ValueError, match=r"'discount_rate' must be in \[0, 1\)"):
        model.expected_residual_lifetime(subs, discount_rate=10)
    for bad in ({"model": "geometric"}, {"parameters": {"alpha": 1}}, {"n_customers": 0}, {"observed": (3, 1)}):
        with pytest.raises(ValueError, match=r"must be|parameters of"):
            pc.datasets.simulate_contracts(**bad)


@pytest.mark.slow
def test_a_million_subscribers_fit_in_seconds():
    subs = pc.datasets.simulate_contracts("bdw", n_customers=1_000_000, observed=(0, 60), seed=2).subs
    pc.BDW().fit(subs[:1000])
    for model_class in MODELS:
        start = time.process_time()
        model_class().fit(subs)
        assert time.process_time() - start < 3


def test_a_row_for_each_tenure_says_what_each_contract_is_told(simulated):
    subs = simulated.subs
    model = pc.BDW().fit(subs)
    table = model.by_tenure(subs, discount_rate=0.2)
    running = ~subs.ended
    assert table["customers"].sum() == running.sum()
    assert table["tenure"].is_monotonic_increasing
    each = model.expected_residual_lifetime(subs, discount_rate=0.2)[running].merge(table, on="tenure")
    for name in ("expected_residual_lifetime", "discounted_residual_lifetime", "discounted_low", "discounted_high"):
        np.testing.assert_array_equal(each[f"{name}_x"], each[f"{name}_y"])
    p_renew = model.p_renew(subs)["p_renew"][running].to_numpy()
    np.testing.assert_allclose(p_renew, table.set_index("tenure").loc[subs.tenure[running], "p_renew"], rtol=1e-12)
    assert ((table["p_renew_low"] < table["p_renew"]) & (table["p_renew"] < table["p_renew_high"])).all()
    with pytest.raises(DataError, match="None of the contracts runs"):
        model.by_tenure(subs[subs.ended])
