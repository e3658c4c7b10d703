"""Our models as methods: what a backtest scores is what the models say to everybody else."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.backtesting.methods.ours import OurMethod, make_ours
from predclv.backtesting.predictions import as_forecast
from predclv.errors import DataError, DependenceWarning, FitError, UnitError


@pytest.fixture(scope="module", autouse=True)
def _known_of_cdnow():
    # Its dependence of spend on frequency is not news here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        yield


def rows_of(rfm, n=400):
    return rfm[:n]


def forecast(method, rfm, horizon, *, fitted_on=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        method.fit(rfm if fitted_on is None else fitted_on, None)
    return as_forecast(method.predict(rfm, None, horizon), rfm)


@pytest.fixture(scope="module")
def on_cdnow(cdnow):
    """Fitted on all of CDNOW, asked about 400."""
    some = rows_of(cdnow)
    return some, forecast(make_ours("bg_nbd", "mle", "bg_nbd"), some, 39.0, fitted_on=cdnow)


def test_purchases_are_those_of_the_model(on_cdnow, bg):
    some, found = on_cdnow
    table = bg.predict(some, horizon=39, level=0.9)
    np.testing.assert_allclose(found.expected_purchases, table["expected_purchases"], rtol=1e-12)
    np.testing.assert_allclose(found.p_purchase, table["p_purchase"], rtol=0, atol=1e-12)
    ends = found.purchases.at_levels([0.05, 0.95])
    np.testing.assert_array_equal(ends, table[["purchases_low", "purchases_high"]])
    # The mean is at the point, as the papers have it; the distribution is averaged over draws around it.
    np.testing.assert_allclose(found.purchases.mean(), found.expected_purchases, rtol=0.05)


def test_the_distribution_of_purchases_is_the_models(on_cdnow, bg):
    some, found = on_cdnow
    pmf = bg.purchase_distribution(some, horizon=39, estimate="draws").query("n <= 3")
    for n in range(4):
        at = found.purchases.bounds(np.full(len(some), float(n)))
        probability = pmf.query("n == @n").set_index("customer_id")["probability"].reindex(some.customer_id)
        # Averages over 64 of the draws and over all of them: probabilities differ by some 0.01 between draws.
        np.testing.assert_allclose(at[1] - at[0], probability, rtol=0, atol=4 * 0.01 / np.sqrt(64))


def test_spend_and_value_are_those_of_the_pair(on_cdnow, clv):
    some, found = on_cdnow
    table = clv.predict(some, horizon=39, discount_rate=0.0, level=0.9)
    np.testing.assert_allclose(found.expected_spend, table["expected_spend"], rtol=1e-12)
    np.testing.assert_allclose(found.expected_value, table["expected_clv"], rtol=1e-9)
    ends = found.value.at_levels([0.05, 0.95])
    expected = table[["clv_low", "clv_high"]].to_numpy()
    # Ends between two of the levels that are kept are interpolated: to a thousandth of the larger.
    np.testing.assert_allclose(ends, expected, atol=1e-3 * expected.max(), rtol=0.01)
    np.testing.assert_allclose(found.value.p_positive(), found.purchases.p_positive(), atol=1e-12)


def test_totals_and_track_are_those_of_the_portfolio(on_cdnow, clv):
    some, found = on_cdnow
    row = clv.portfolio(some, horizon=39, discount_rate=0.0, level=0.9).iloc[-1]
    for name, column in (("purchases", "purchases"), ("value", "clv")):
        ends = np.quantile(found.totals[name], [0.05, 0.95], method="inverted_cdf")
        np.testing.assert_allclose(ends, row[[f"{column}_low", f"{column}_high"]].astype(float), rtol=1e-12)
    assert found.expected_purchases.sum() == pytest.approx(row["expected_purchases"])
    times, track = found.track
    assert times[-1] == 39.0
    assert track[-1] == pytest.approx(found.expected_purchases.sum(), rel=1e-12)
    half = clv.transactions_.predict(some, horizon=19.5)["expected_purchases"].sum()
    assert np.interp(19.5, times, track) == pytest.approx(half, rel=1e-3)


def test_a_transaction_model_alone_forecasts_purchases_alone(cdnow, bg):
    some = rows_of(cdnow, 50)
    found = forecast(OurMethod(pc.BGNBD()), some, 39.0, fitted_on=cdnow)
    np.testing.assert_allclose(found.expected_purchases, bg.predict(some, horizon=39)["expected_purchases"], rtol=1e-12)
    assert found.expected_value is None
    assert found.value is None
    assert set(found.totals) == {"purchases"}
    # And so does a pair where there are no amounts.
    plain = pc.RFMSummary(cdnow.customer_id, cdnow.frequency, cdnow.recency, cdnow.T, time_unit="week")
    again = forecast(make_ours("bg_nbd", "mle", "bg_nbd"), rows_of(plain, 50), 39.0, fitted_on=plain)
    np.testing.assert_allclose(again.expected_purchases, found.expected_purchases, rtol=1e-12)
    assert again.expected_spend is None


def test_a_pair_is_a_method(cdnow, clv):
    some = rows_of(cdnow, 50)
    method = OurMethod(pc.CLV())
    assert method.needs_amounts
    assert method.name == "clv"
    assert OurMethod(pc.CLV(pc.BGNBD())).name == "bg_nbd"
    found = forecast(method, some, 39.0, fitted_on=cdnow)
    expected = clv.predict(some, horizon=39, discount_rate=0.0)["expected_clv"]
    np.testing.assert_allclose(found.expected_value, expected, rtol=1e-9)
    without = pc.RFMSummary(some.customer_id, some.frequency, some.recency, some.T, time_unit="week")
    with pytest.raises((DataError, UnitError), match=r"amounts|monetary_value"):
        method.predict(without, None, 39.0)


def test_map_is_the_average_over_draws(cdnow):
    some = rows_of(cdnow, 50)
    found = forecast(make_ours("bg_nbd", "map", "bg_nbd_map"), some, 39.0, fitted_on=cdnow)
    model = pc.BGNBD(method="map", progressbar=False).fit(cdnow)
    table = model.predict(some, horizon=39)
    np.testing.assert_allclose(found.expected_purchases, table["expected_purchases"], rtol=1e-12)
    # 64 of the draws give the track its shape, all of them its end.
    assert found.track[1][-1] == pytest.approx(found.expected_purchases.sum(), rel=1e-12)
    half = model.predict(some, horizon=19.5)["expected_purchases"].sum()
    assert np.interp(19.5, *found.track) == pytest.approx(half, rel=5e-3)


@pytest.mark.slow
def test_mcmc_is_a_method_too(cdnow):
    pytest.importorskip("pymc")
    some = rows_of(cdnow, 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short chains say so
        model = pc.BGNBD(method="mcmc", progressbar=False, draws=200, tune=200, chains=2)
        found = forecast(OurMethod(model), some, 39.0, fitted_on=cdnow)
    expected = pc.BGNBD().fit(cdnow).predict(some, horizon=39)["expected_purchases"]
    # Prior and parameter uncertainty move means by a few percent on 2,357 customers.
    assert found.expected_purchases.sum() == pytest.approx(expected.sum(), rel=0.05)


def test_segments_are_fitted_and_put_back_in_order(cdnow):
    channel = np.where(np.arange(len(cdnow)) % 3 == 0, "shop", "web")
    rfm = pc.RFMSummary(
        cdnow.customer_id,
        cdnow.frequency,
        cdnow.recency,
        cdnow.T,
        monetary_value=cdnow.monetary_value,
        time_unit="week",
        carried={"channel": channel},
    )
    some = rows_of(rfm, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        pair = pc.CLV(pc.BGNBD(method="map", segment="channel", progressbar=False), pc.GammaGamma()).fit(rfm)
    found = forecast(
        OurMethod(pc.CLV(pc.BGNBD(method="map", segment="channel", progressbar=False), pc.GammaGamma())),
        some,
        39.0,
        fitted_on=rfm,
    )
    table = pair.predict(some, horizon=39, discount_rate=0.0, level=0.9)
    np.testing.assert_allclose(found.expected_purchases, table["expected_purchases"], rtol=1e-12)
    np.testing.assert_allclose(found.expected_value, table["expected_clv"], rtol=1e-9)
    np.testing.assert_array_equal(found.purchases.at_levels([0.05, 0.95]), table[["purchases_low", "purchases_high"]])
    row = pair.portfolio(some, horizon=39, discount_rate=0.0, level=0.9).iloc[-1]
    ends = np.quantile(found.totals["purchases"], [0.05, 0.95], method="inverted_cdf")
    np.testing.assert_allclose(ends, row[["purchases_low", "purchases_high"]].astype(float))


def test_the_seed_reaches_the_draws(cdnow):
    some = rows_of(cdnow, 50)
    totals = []
    for seed in (1, 1, 2):
        method = make_ours("bg_nbd", "mle", "bg_nbd")
        method.random_state = seed
        assert method.random_state == seed
        totals.append(forecast(method, some, 13.0, fitted_on=cdnow).totals["purchases"])
    assert np.array_equal(totals[0], totals[1])
    assert not np.array_equal(totals[0], totals[2])


def test_the_given_model_stays_unfitted(cdnow):
    model = pc.BGNBD()
    forecast(OurMethod(model), rows_of(cdnow, 50), 13.0, fitted_on=cdnow)
    assert not hasattr(model, "posterior_")


def test_another_ruler_is_refused(cdnow):
    method = OurMethod(pc.BGNBD())
    method.fit(cdnow, None)
    days = pc.RFMSummary(cdnow.customer_id, cdnow.frequency, cdnow.recency * 7, cdnow.T * 7, time_unit="day")
    with pytest.raises((UnitError, FitError), match="week"):
        method.predict(days, None, 39.0)


@pytest.mark.parametrize("key", ["bg_nbd", "mbg_cnbd"])
def test_purchases_and_value_of_simulated_customers_hold(key):
    """The randomized PIT of purchases and value is uniform, within what 1,000 customers allow."""
    # Days for regular buyers: whole weeks would blur the silence that tells of their leaving.
    population = pc.datasets.simulate_rfm(
        key, n_customers=1_000, T=(13, 39), horizons=("26 weeks",), lattice=1 if key == "bg_nbd" else 7, seed=21
    )
    found = forecast(make_ours(key, "mle", key), population.rfm, 26.0)
    v = np.random.default_rng(3).random(1_000)
    for law, actual in ((found.purchases, population.purchases[0]), (found.value, population.spend[0])):
        below, at = law.bounds(actual.astype(float))
        pit = below + v * (at - below)
        # Fitted to the same customers' pasts, the PIT is nearer to uniform than this assumes, not farther.
        assert stats.kstest(pit, "uniform").pvalue > 0.01
        assert abs(np.mean((pit > 0.05) & (pit < 0.95)) - 0.9) < 3 * np.sqrt(0.9 * 0.1 / 1_000)
    for name, actual in (("purchases", population.purchases[0]), ("value", population.spend[0])):
        low, high = np.quantile(found.totals[name], [0.005, 0.995])
        assert low < actual.sum() < high
    # Who buys spends something.
    bought = population.purchases[0] > 0
    below, at = found.value.bounds(np.zeros(1_000))
    np.testing.assert_allclose(at - below, 1 - found.purchases.p_positive(), atol=1e-9)
    assert (population.spend[0][bought] > 0).all()


def test_forecasts_do_not_depend_on_the_order_of_customers(on_cdnow, cdnow):
    some, found = on_cdnow
    order = np.random.default_rng(1).permutation(len(some))
    again = forecast(make_ours("bg_nbd", "mle", "bg_nbd"), some[order], 39.0, fitted_on=cdnow)
    np.testing.assert_array_equal(again.expected_purchases, found.expected_purchases[order])
    np.testing.assert_allclose(again.value.at_levels([0.5, 0.9]), found.value.at_levels([0.5, 0.9])[order], rtol=1e-9)
    frame = pd.DataFrame({"p": again.p_purchase, "q": found.p_purchase[order]})
    assert (frame["p"] == frame["q"]).all()


@pytest.mark.slow
def test_models_with_covariates_take_part_through_carried_columns():
    simulated = pc.datasets.simulate(n_customers=1_000, observed="52 weeks", holdout="13 weeks", seed=3)
    log = simulated.log.assign(channel=np.where(simulated.log["customer_id"] % 3 == 0, "paid", "organic"))
    model = pc.BGNBD(purchase_covariates=["channel"], dropout_covariates=["channel"])
    options = {"amount": "amount", "carry": ["channel"], "n_bootstrap": 20, "progressbar": False}
    cutoff = simulated.observation_end
    found = pc.backtest(
        log,
        methods={"with channel": model, "clv": pc.CLV(model), "bg_nbd": "bg_nbd", "zero": "zero"},
        cutoffs=[cutoff],
        horizons=["13 weeks"],
        **options,
    )
    assert (found.runs["status"] == "ok").all()
    assert not hasattr(model, "posterior_")
    rfm = pc.RFMSummary.from_transactions(
        log, customer_id="customer_id", date="date", amount="amount", observation_end=cutoff, carry=["channel"]
    )
    expected = pc.BGNBD(purchase_covariates=["channel"], dropout_covariates=["channel"]).fit(rfm).predict(rfm, 13)
    forecasts = found.forecasts
    for name in ("with channel", "clv"):
        own = forecasts[(forecasts["method"] == name) & (forecasts["quantity"] == "purchases")]
        of_method = own.set_index("customer_id")["mean"]
        np.testing.assert_allclose(of_method[rfm.customer_id], expected["expected_purchases"], rtol=1e-9)
    with pytest.raises(FitError, match="'channel' is no carried column"):
        pc.backtest(log, methods=[model], cutoffs=[cutoff], horizons=["13 weeks"], amount="amount", progressbar=False)
