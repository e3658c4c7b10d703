"""Recalibration: known distortions are undone, calibrated forecasts stay, a season is not carried over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

import predclv as pc
from predclv.backtesting import backtest
from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.level_maps import GROUPS, KNOTS
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.recalibration import Past, Recalibration, learn_recalibration, recalibrate
from predclv.errors import DataError

SHAPE = 0.8


def stretched(level):
    """A map of levels as a forecast has it that expects too much."""
    return np.asarray(level) ** 1.6


def unstretched(level):
    return np.asarray(level) ** (1 / 1.6)


def vintage(seed, n=6_000, distort=None, season=1.0, kind="counts"):
    """What is forecast of customers whose law is known, what they did, and what an oracle forecasts."""
    generator = np.random.default_rng([7, seed])
    frequency = generator.poisson(generator.gamma(0.5, 4.0, n)).astype(float)
    mean = 0.3 + 0.5 * frequency
    if kind == "counts":
        law, actual = Counts.negative_binomial, generator.negative_binomial(SHAPE, SHAPE / (SHAPE + season * mean))
        forecast, oracle = law(mean, SHAPE), law(season * mean, SHAPE)
    else:
        quantiles = stats.gamma(6.0).ppf(LEVELS) / 6 * mean[:, np.newaxis]
        forecast, oracle = (Values.from_quantiles(np.zeros(n), factor * quantiles) for factor in (1.0, season))
        actual = generator.gamma(6.0, season * mean / 6)
    return Past(forecast if distort is None else forecast.mapped(distort), actual.astype(float), frequency), oracle


def learn(pasts, method="pit"):
    return learn_recalibration([past for past, _ in pasts], method)


def crps(distribution, past):
    return distribution.crps(past.actual)


def bias(distribution, past):
    return distribution.mean().sum() / past.actual.sum() - 1


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_a_lasting_distortion_is_undone(kind):
    vintages = [vintage(seed, distort=stretched, kind=kind) for seed in range(5)]
    recalibration = learn(vintages[:4])
    now, oracle = vintages[4]
    after = recalibration.map(now.distribution, now.frequency)
    lost = crps(now.distribution, now).mean() - crps(oracle, now).mean()
    # Of what the distortion cost at most a tenth is left; four vintages leave that much doubt of whether it lasts.
    assert crps(after, now).mean() - crps(oracle, now).mean() < 0.1 * lost
    # The bias of the oracle is the sampling error of the total.
    assert abs(bias(after, now)) < abs(bias(oracle, now)) + 0.2 * abs(bias(now.distribution, now))
    assert recalibration.persistence > 0.8


def test_one_vintage_takes_half_over():
    (past, _), (now, oracle) = (vintage(seed, distort=stretched) for seed in range(2))
    recalibration = learn_recalibration([past])
    assert recalibration.share == recalibration.persistence == 0.5
    after = recalibration.map(now.distribution, now.frequency)
    assert crps(oracle, now).mean() < crps(after, now).mean() < crps(now.distribution, now).mean()
    assert 0.3 < np.log1p(bias(after, now)) / np.log1p(bias(now.distribution, now)) < 0.7


@pytest.mark.parametrize("method", ["pit", "conformal"])
@pytest.mark.parametrize("kind", ["counts", "values"])
@pytest.mark.parametrize("n_vintages", [1, 4])
def test_a_calibrated_forecast_stays_within_its_sampling_error(kind, method, n_vintages):
    vintages = [vintage(seed, kind=kind) for seed in range(10, 11 + n_vintages)]
    now, oracle = vintages[-1]
    after = learn(vintages[:-1], method).map(now.distribution, now.frequency)
    # What was learnt of noise costs less than its square: far less than the error of the mean CRPS itself.
    worse = crps(after, now) - crps(oracle, now)
    assert worse.mean() < 0.1 * crps(oracle, now).std() / np.sqrt(len(worse))
    # A total from n_vintages as noisy as this one.
    chance = np.sqrt(np.sum((now.actual - oracle.mean()) ** 2)) / now.actual.sum()
    assert abs(bias(after, now) - bias(oracle, now)) < 3 * chance


def test_a_season_is_not_carried_over():
    seasons = [1.2, 0.85, 1.2, 0.85, 1.2]
    vintages = [vintage(seed, season=season) for seed, season in enumerate(seasons)]
    recalibration = learn(vintages)
    assert recalibration.persistence < 0.1
    assert recalibration.factor == pytest.approx(1, abs=0.01)
    now, _ = vintage(9, season=0.85)
    after = recalibration.map(now.distribution, now.frequency)
    assert abs(bias(after, now) - bias(now.distribution, now)) < 0.02
    assert crps(after, now).mean() < 1.005 * crps(now.distribution, now).mean()


def test_a_lasting_bias_is_taken_over_by_the_factor():
    recalibration = learn([vintage(seed, season=0.7) for seed in range(4)])
    assert recalibration.factor == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_the_total_is_multiplied_by_the_factor(kind):
    recalibration = learn([vintage(seed, season=0.7, kind=kind) for seed in range(2)])
    now, _ = vintage(2, kind=kind)
    # Whatever the share of the groups among the customers at hand.
    for some in (np.arange(len(now.actual)), np.flatnonzero(now.frequency > 0)):
        before = now.distribution.take(some)
        after = recalibration.map(before, now.frequency[some])
        assert after.mean().sum() / before.mean().sum() == pytest.approx(recalibration.factor, rel=1e-8)


def test_conformal_leaves_the_total_to_follow():
    recalibration = learn([vintage(seed, season=0.7) for seed in range(2)], "conformal")
    assert recalibration.factor is None
    assert "total" not in recalibration.note


def test_conformal_widens_intervals_that_are_too_narrow_and_leaves_the_median():
    def narrowed(level):
        return expit(1.8 * logit(level))

    vintages = [vintage(seed, distort=narrowed, kind="values") for seed in range(5)]
    now, _ = vintages[-1]
    recalibration = learn(vintages[:-1], "conformal")
    after = recalibration.map(now.distribution, now.frequency)

    def held(distribution):
        low, high = distribution.at_levels([0.25, 0.75]).T
        return np.mean((low <= now.actual) & (now.actual <= high))

    # What levels 0.25 and 0.75 of the forecast truly are, and the error of a share of 6,000.
    assert held(now.distribution) == pytest.approx(2 * expit(logit(0.75) / 1.8) - 1, abs=0.02)
    assert held(after) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(after.at_levels([0.5]), now.distribution.at_levels([0.5]), rtol=1e-6)
    half = recalibration.levels[:, np.searchsorted(KNOTS, 0.5)]
    np.testing.assert_allclose(half, 0.5, rtol=1e-14)


def test_groups_learn_apart_where_they_have_customers():
    pasts = []
    for seed in range(4):
        past, oracle = vintage(seed, n=12_000)
        loyal = past.frequency >= 4
        parts = [oracle.take(np.flatnonzero(~loyal)), oracle.take(np.flatnonzero(loyal)).mapped(stretched)]
        forecast = Counts.joined(parts, [np.flatnonzero(~loyal), np.flatnonzero(loyal)])
        pasts.append(Past(forecast, past.actual, past.frequency))
    table = learn_recalibration(pasts).table
    assert list(table.columns) == ["group", "level", "recalibrated", "customers"]
    assert list(table["group"].unique()) == list(GROUPS)
    median = table[table["level"] == 0.5].set_index("group")["recalibrated"]
    # Drawn together by no more than what 500 customers weigh among thousands.
    assert median["4+"] == pytest.approx(unstretched(0.5), abs=0.05)
    assert abs(median["0"] - 0.5) < 0.05
    assert table["customers"].iloc[0] == sum((past.frequency == 0).sum() for past in pasts)


@pytest.mark.parametrize("method", ["pit", "conformal"])
def test_maps_rise_from_0_to_1(method):
    levels = learn([vintage(seed, n=80, distort=stretched) for seed in range(3)], method).levels
    assert levels.shape == (len(GROUPS), len(KNOTS))
    np.testing.assert_array_equal(levels[:, [0, -1]], [[0, 1]] * len(GROUPS))
    assert (np.diff(levels) >= 0).all()


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_customers_are_mapped_alike_in_any_order(kind):
    past, _ = vintage(0, n=400, distort=stretched, kind=kind)
    recalibration = learn_recalibration([past])
    order = np.random.default_rng(5).permutation(400)
    straight = recalibration.map(past.distribution, past.frequency).crps(past.actual)
    turned = recalibration.map(past.distribution.take(order), past.frequency[order]).crps(past.actual[order])
    np.testing.assert_allclose(turned, straight[order], rtol=1e-9)


def test_customers_of_one_row_and_different_groups_are_mapped_apart():
    recalibration = learn([vintage(seed, distort=stretched) for seed in range(3)], "conformal")
    shared = Counts(np.array([0.5, 0.8, 1.0]), np.array([0, 3]), np.zeros(4, dtype=np.int64))
    frequency = np.array([0.0, 1.0, 2.0, 9.0])
    below, at = recalibration.map(shared, frequency).bounds(np.ones(4))
    expected = [np.interp([0.5, 0.8], KNOTS, levels) for levels in recalibration.levels]
    np.testing.assert_allclose(np.stack([below, at], axis=1), expected, rtol=1e-14)
    assert len(np.unique(at)) == 4


@pytest.mark.parametrize("method", ["pit", "conformal"])
@pytest.mark.parametrize(("mean", "actual"), [(0.0, 0.0), (0.0, 3.0), (2.0, 0.0), (0.001, 400.0)])
def test_vintages_without_purchases_or_forecasts_leave_finite_maps(method, mean, actual):
    past = Past(Counts.poisson(np.full(50, mean)), np.full(50, actual), np.zeros(50))
    recalibration = learn_recalibration([past, past, past], method)
    assert np.isfinite(recalibration.levels).all()
    after = recalibration.map(past.distribution, past.frequency)
    assert np.isfinite(after.mean()).all()
    assert np.isfinite(after.crps(past.actual)).all()


def test_certain_counts_keep_their_mean():
    certain = Counts(np.array([0.0, 0.0, 1.0]), np.array([0, 3]), np.zeros(300, dtype=np.int64))
    past = Past(certain, np.full(300, 1.0), np.zeros(300))
    recalibration = learn_recalibration([past, past])
    assert recalibration.factor < 0.8
    np.testing.assert_allclose(recalibration.map(certain, past.frequency).mean(), 2.0)


def test_recalibrate_carries_means_totals_and_track():
    pasts = [vintage(seed, distort=stretched)[0] for seed in range(4)]
    worth = [vintage(seed, distort=stretched, kind="values")[0] for seed in range(4)]
    now, money = pasts[-1], worth[-1]
    mean, value = now.distribution.mean(), 1.02 * money.distribution.mean()
    forecast = Forecast(
        mean,
        now.distribution,
        expected_spend=np.full(len(mean), 30.0),
        expected_value=value,
        value=money.distribution,
        totals={"purchases": np.array([90.0, 110.0]), "value": np.array([900.0, 1100.0])},
        track=(np.array([1.0, 2.0]), np.array([50.0, 100.0])),
        notes=("made",),
    )
    counts, values = learn_recalibration(pasts[:-1]), learn_recalibration(worth[:-1])
    after = recalibrate(forecast, counts, values, now.frequency)
    mapped = counts.map(now.distribution, now.frequency)
    np.testing.assert_allclose(after.expected_purchases, mapped.mean(), rtol=1e-12)
    np.testing.assert_allclose(after.p_purchase, mapped.p_positive(), rtol=1e-12)
    # The tail that the distribution leaves out stays in the mean, 2 % here.
    np.testing.assert_allclose(after.expected_value, 1.02 * after.value.mean(), rtol=1e-12)
    purchases, money_ratio = mapped.mean().sum() / mean.sum(), after.expected_value.sum() / value.sum()
    np.testing.assert_allclose(after.totals["purchases"], purchases * np.array([90.0, 110.0]), rtol=1e-12)
    np.testing.assert_allclose(after.totals["value"], money_ratio * np.array([900.0, 1100.0]), rtol=1e-12)
    np.testing.assert_allclose(after.track[1], purchases * np.array([50.0, 100.0]), rtol=1e-12)
    np.testing.assert_array_equal(after.expected_spend, 30.0)
    assert after.notes[0] == "made"
    assert after.notes[1].startswith("purchases recalibrated (pit) on 3 earlier vintages: ")
    assert after.notes[2].startswith("value recalibrated (pit) on 3 earlier vintages: ")


def test_recalibrate_leaves_what_it_has_no_map_for():
    past, _ = vintage(0, n=300, distort=stretched)
    recalibration = learn_recalibration([past])
    point = Forecast(np.ones(300))
    assert recalibrate(point, recalibration, recalibration, past.frequency).notes == ()
    forecast = Forecast(past.distribution.mean(), past.distribution)
    same = recalibrate(forecast, None, recalibration, past.frequency)
    assert same.purchases is forecast.purchases
    np.testing.assert_array_equal(same.p_purchase, forecast.p_purchase)


def test_what_cannot_be_learnt_from_is_refused():
    past, _ = vintage(0, n=20)
    with pytest.raises(ValueError, match="no earlier vintage"):
        learn_recalibration([])
    with pytest.raises(DataError, match="'method' must be one of 'pit', 'conformal'"):
        learn_recalibration([past], "pits")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"of \[19, 20\] customers"):
        Past(past.distribution, past.actual[1:], past.frequency)
    with pytest.raises(ValueError, match="without customers"):
        Past(past.distribution.take(np.arange(0)), past.actual[:0], past.frequency[:0])
    with pytest.raises(ValueError, match="frequencies of 5 customers do not fit 20"):
        learn_recalibration([past]).map(past.distribution, np.zeros(5))


def drifting_log():
    """BG/NBD customers whose rates fall by 35 % a year."""
    log = pc.datasets.simulate(
        n_customers=4_000,
        parameters={"r": 0.5, "alpha": 4.0, "a": 0.5, "b": 3.0},
        births="26 weeks",
        observed="91 weeks",
        resolution="day",
        seed=3,
    ).log
    stays = 0.65 ** ((log["date"] - log["date"].min()).dt.days / 365.25)
    is_first = ~log["customer_id"].duplicated()
    return log[is_first | (np.random.default_rng(3).uniform(size=len(log)) < stays)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize("method", ["pit", "conformal"])
@pytest.mark.parametrize("name", ["drifting", "cdnow", "grocery"])
def test_out_of_time_crps_falls_and_never_rises_by_one_percent(name, method, shared_data):
    if name == "grocery":
        log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"]).rename(columns={"cust": "customer_id"})
    else:
        log = drifting_log() if name == "drifting" else pc.datasets.load_cdnow_master()
    cutoffs = [(log["date"].min() + pd.Timedelta(days=7 * week - 1)).date() for week in (26, 39, 52, 65)]
    result = backtest(
        log,
        methods=["bg_nbd"],
        cutoffs=cutoffs,
        horizons=["13 weeks"],
        recalibrate=method,
        n_bootstrap=2,
        progressbar=False,
    )
    rows = result.scores
    rows = rows[(rows["by"] == "all") & rows["metric"].isin(["crps", "bias"]) & rows["cutoff"].isin(map(str, cutoffs))]
    by_cutoff = rows.pivot_table(index="cutoff", columns=["metric", "method"], values="value").dropna()
    assert len(by_cutoff) == 3
    change = by_cutoff["crps", "bg_nbd_recalibrated"] / by_cutoff["crps", "bg_nbd"] - 1
    assert change.max() < 0.01
    assert change.mean() < 0
    before, after = (by_cutoff["bias", label].abs().mean() for label in ("bg_nbd", "bg_nbd_recalibrated"))
    # CDNOW's bias turns with the season, which no earlier vintage tells: it stays as it was.
    assert after < before + (0.01 if name == "cdnow" else 0.0)


def test_a_recalibration_says_what_it_is():
    recalibration = learn([vintage(seed, n=200) for seed in range(2)])
    assert isinstance(recalibration, Recalibration)
    assert recalibration.n_vintages == 2
    np.testing.assert_array_equal(recalibration.knots, KNOTS)
