"""Public data, and simulated data against what theory says of them."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.util
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import predclv as pc
from predclv import datasets
from predclv.errors import DataError


class TestPublic:
    def test_cdnow_sample(self) -> None:
        log = datasets.load_cdnow()
        assert log.columns.tolist() == ["customer_id", "date", "quantity", "amount"]
        assert len(log) == 6_919
        assert log["customer_id"].nunique() == 2_357
        assert (log["customer_id"].min(), log["customer_id"].max()) == (1, 2_357)
        assert log["date"].min() == pd.Timestamp("1997-01-01")
        assert log["date"].max() == pd.Timestamp("1998-06-30")
        assert log["amount"].iloc[0] == 29.33

    def test_cdnow_master(self) -> None:
        log = datasets.load_cdnow_master()
        assert log.columns.tolist() == ["customer_id", "date", "quantity", "amount"]
        assert len(log) == 69_659
        assert log["customer_id"].nunique() == 23_570

    def test_donations(self) -> None:
        table = datasets.load_donations()
        assert table.columns.tolist() == ["frequency", "recency", "periods", "weights"]
        assert table["weights"].sum() == 11_104
        assert len(table) == 22

    def test_lifetimes_is_not_imported(self) -> None:
        code = "import sys, predclv; predclv.datasets.load_cdnow(); assert 'lifetimes' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize("load", [datasets.load_cdnow, datasets.load_cdnow_master, datasets.load_donations])
    def test_absence_says_what_to_install(self, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"pip install 'predclv\[lifetimes\]'"):
            load()


BG = {"r": 0.8, "alpha": 6.0, "a": 1.2, "b": 3.0}
SPEND = {"p": 6.0, "q": 5.0, "gamma": 20.0}


def within(found: Any, expected: float, n_errors: float = 4.0) -> bool:
    """Whether a sample's mean lies within some standard errors of what is expected."""
    sample = np.asarray(found, dtype=np.float64)
    return bool(abs(sample.mean() - expected) <= n_errors * sample.std(ddof=1) / math.sqrt(len(sample)))


@functools.cache
def dropout_nodes(a: float, b: float) -> NDArray[np.float64]:
    """Midpoints of equally likely slices of a beta."""
    return np.asarray(stats.beta.ppf((np.arange(200_000) + 0.5) / 200_000, a, b))


def mean_purchases_bg(t: float, r: float, alpha: float, a: float, b: float) -> float:
    """Fader, Hardie & Lee (2005), eq. (9), by integration over p: E[(1 - (alpha / (alpha + p t))^r) / p]."""
    p = dropout_nodes(a, b)
    return float(np.mean((1 - (alpha / (alpha + p * t)) ** r) / p))


@pytest.fixture(scope="module")
def simulated() -> datasets.SimulatedSummary:
    return datasets.simulate_rfm(
        n_customers=200_000, parameters=BG, spend=SPEND, T=40.0, horizons=[26, "1 year", 150], seed=11
    )


class TestSimulatedSummary:
    def test_mean_purchases(self, simulated: datasets.SimulatedSummary) -> None:
        assert within(simulated.rfm.frequency, mean_purchases_bg(40.0, **BG))
        for h, horizon in enumerate(simulated.horizons):
            both = simulated.rfm.frequency + simulated.purchases[h]
            assert within(both, mean_purchases_bg(40.0 + horizon, **BG))

    def test_dropout(self, simulated: datasets.SimulatedSummary) -> None:
        # Nobody leaves before a first repeat purchase; a share a / (a + b) of the others left at it.
        left = simulated.truth["left"].to_numpy()
        once = simulated.rfm.frequency == 0
        assert simulated.truth["alive"][once].all()
        assert within(simulated.truth["dropout_probability"], BG["a"] / (BG["a"] + BG["b"]))
        one = simulated.rfm.frequency == 1
        np.testing.assert_array_equal(
            left[one & ~simulated.truth["alive"]], simulated.rfm.recency[one & ~simulated.truth["alive"]]
        )

    def test_those_who_left_never_come_back(self, simulated: datasets.SimulatedSummary) -> None:
        gone = ~simulated.truth["alive"].to_numpy()
        assert (simulated.purchases[:, gone] == 0).all()
        assert (simulated.truth["left"][gone] <= 40.0).all()

    def test_waiting_time_is_a_gamma_mixture(self, simulated: datasets.SimulatedSummary) -> None:
        # P(no purchase within t) = (alpha / (alpha + t))^r.
        expected = (BG["alpha"] / (BG["alpha"] + 40.0)) ** BG["r"]
        assert within(simulated.rfm.frequency == 0, expected)

    def test_spend(self, simulated: datasets.SimulatedSummary) -> None:
        assert simulated.rfm.monetary_value is not None
        repeat = simulated.rfm.frequency > 0
        mean = SPEND["p"] * SPEND["gamma"] / (SPEND["q"] - 1)
        assert within(simulated.rfm.monetary_value[repeat], mean)
        assert within(simulated.truth["mean_spend"], mean)
        ratio = simulated.rfm.monetary_value[repeat] / simulated.truth["mean_spend"][repeat]
        # A mean of x gamma amounts of shape p has variance 1 / (p x) about its own mean of one.
        assert within((ratio - 1) ** 2 * SPEND["p"] * simulated.rfm.frequency[repeat], 1.0)

    def test_value_is_discounted_spend(self, simulated: datasets.SimulatedSummary) -> None:
        assert simulated.delta == pytest.approx(math.log(1.1) * 7 / 365.25)
        some = simulated.purchases[2] > 0
        assert (simulated.value[2][some] < simulated.spend[2][some]).all()
        assert (simulated.value[2][some] > simulated.spend[2][some] * math.exp(-simulated.delta * 150)).all()
        assert (np.diff(simulated.value, axis=0) >= 0).all()
        assert (simulated.purchases[:, ~some] == 0).all()

    def test_no_discount_rate_leaves_spend(self) -> None:
        found = datasets.simulate_rfm(n_customers=500, horizons=[52], discount_rate=0.0)
        np.testing.assert_array_equal(found.value, found.spend)

    @pytest.mark.parametrize("model", ["mbg_nbd", "bg_cnbd", "mbg_cnbd", "pareto_nbd"])
    def test_means_of_the_other_models(self, model: str) -> None:
        n, age = 100_000, 30.0
        parameters = {"r": 0.8, "alpha": 6.0, "s": 0.7, "beta": 9.0} if model == "pareto_nbd" else BG
        found = datasets.simulate_rfm(model, n_customers=n, parameters=parameters, T=age, k=None, seed=3)
        if model == "pareto_nbd":
            # Schmittlein, Morrison & Colombo (1987): r beta / (alpha (s - 1)) (1 - (beta / (beta + t))^(s - 1)).
            s, beta = parameters["s"], parameters["beta"]
            expected = 0.8 * beta / (6.0 * (s - 1)) * (1 - (beta / (beta + age)) ** (s - 1))
            assert within(found.rfm.frequency, expected)
            assert within(found.truth["alive"], (beta / (beta + age)) ** s)
            return
        k = 2 if "cnbd" in model else 1
        # Purchases are the lesser of the events' k-th and the dropout's count.
        rng = np.random.default_rng(4)
        events = rng.poisson(rng.gamma(BG["r"], 1 / BG["alpha"], n) * age) // k
        stays = rng.geometric(rng.beta(BG["a"], BG["b"], n)) - model.startswith("mbg")
        other = np.minimum(events, stays)
        error = math.sqrt((other.var() + found.rfm.frequency.var()) / n)
        assert abs(other.mean() - found.rfm.frequency.mean()) < 4 * error

    def test_ages(self) -> None:
        assert (datasets.simulate_rfm(n_customers=5, T=7.0).rfm.T == 7.0).all()
        spread = datasets.simulate_rfm(n_customers=2_000, T=(10.0, 20.0)).rfm.T
        assert 10 <= spread.min() < 10.1
        assert 19.9 < spread.max() <= 20
        given = np.linspace(0, 9, 10)
        np.testing.assert_array_equal(datasets.simulate_rfm(n_customers=10, T=given).rfm.T, given)

    def test_lattice(self) -> None:
        rfm = datasets.simulate_rfm(n_customers=5_000, lattice=7, seed=2).rfm
        for times in (rfm.recency, rfm.T):
            np.testing.assert_array_equal(np.round(times * 7) / 7, times)
        assert len(rfm.collapsed.x) < 2_500

    def test_seeds(self) -> None:
        one, same, other = (datasets.simulate_rfm(n_customers=300, horizons=[10], seed=s) for s in (1, 1, 2))
        pd.testing.assert_frame_equal(one.rfm.to_pandas(), same.rfm.to_pandas())
        np.testing.assert_array_equal(one.value, same.value)
        assert not one.rfm.to_pandas().equals(other.rfm.to_pandas())


@pytest.fixture(scope="module")
def made() -> datasets.SimulatedLog:
    return datasets.simulate(
        n_customers=40_000, parameters=BG, spend=SPEND, holdout="26 weeks", start="2023-03-01", seed=6
    )


class TestSimulatedLog:
    def test_dates(self, made: datasets.SimulatedLog) -> None:
        assert made.observation_end == dt.date(2023, 3, 1) + dt.timedelta(days=39 * 7 - 1)
        assert made.end == made.observation_end + dt.timedelta(days=26 * 7)
        assert made.log["date"].is_monotonic_increasing
        assert made.log["date"].min() >= pd.Timestamp("2023-03-01")
        assert made.log["date"].max() < pd.Timestamp(made.end) + pd.Timedelta(days=1)
        assert made.truth["first_purchase"].max() < pd.Timestamp("2023-03-01") + pd.Timedelta(weeks=12)

    def test_log_and_truth_agree(self, made: datasets.SimulatedLog) -> None:
        by_customer = made.log.groupby("customer_id")["date"]
        truth = made.truth.set_index("customer_id")
        assert (by_customer.min() == truth["first_purchase"]).all()
        left = truth["left"].notna()
        # A customer leaves at a purchase, which is the last.
        assert (by_customer.max()[left] == truth["left"][left]).all()
        end = pd.Timestamp(made.observation_end) + pd.Timedelta(days=1)
        assert (truth["alive"] == ~(truth["left"] < end)).all()

    def test_summary_of_the_log_is_that_of_the_theory(self, made: datasets.SimulatedLog) -> None:
        split = pc.split_transactions(
            made.log, at=made.observation_end, holdout_end=made.end, amount="amount", collapse="none"
        )
        rfm = split.calibration
        assert len(rfm) == 40_000
        expected = np.mean([mean_purchases_bg(t, **BG) for t in np.linspace(27, 39, 25)])
        assert within(rfm.frequency, float(expected))
        later = np.mean([mean_purchases_bg(t + 26, **BG) for t in np.linspace(27, 39, 25)])
        assert within(rfm.frequency + split.holdout["purchases"], float(later))
        assert split.duration == pytest.approx(26.0)
        alive = made.truth["alive"].to_numpy()
        assert (split.holdout["purchases"][~alive] == 0).all()

    def test_spread_of_births_does_not_look_like_a_late_start(self, made: datasets.SimulatedLog) -> None:
        pc.RFMSummary.from_transactions(made.log, observation_end=made.observation_end)

    def test_days(self) -> None:
        made = datasets.simulate(n_customers=500, resolution="day", seed=1)
        assert (made.log["date"] == made.log["date"].dt.normalize()).all()
        exact = datasets.simulate(n_customers=500, seed=1)
        pd.testing.assert_series_equal(made.log["date"], exact.log["date"].dt.normalize())

    def test_no_births_after_the_first_moment(self) -> None:
        made = datasets.simulate(n_customers=50, births=None, seed=1)
        assert (made.truth["first_purchase"] == made.truth["first_purchase"].iloc[0]).all()

    def test_pareto_nbd_leaves_between_purchases(self) -> None:
        made = datasets.simulate("pareto_nbd", n_customers=3_000, seed=5)
        last = made.log.groupby("customer_id")["date"].max()
        left = made.truth.set_index("customer_id")["left"]
        assert (left[left.notna()] >= last[left.notna()]).all()
        assert left.notna().mean() > 0.5

    def test_seeds(self) -> None:
        one, same, other = (datasets.simulate(n_customers=200, seed=s) for s in (1, 1, 2))
        pd.testing.assert_frame_equal(one.log, same.log)
        pd.testing.assert_frame_equal(one.truth, same.truth)
        assert not one.log.equals(other.log)


@pytest.mark.parametrize("simulate", [datasets.simulate, datasets.simulate_rfm])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "bg_nbt"}, "Did you mean 'bg_nbd'"),
        ({"n_customers": 0}, "at least 1"),
        ({"parameters": {"r": 1.0}}, "lack 'alpha', 'a', 'b'"),
        ({"parameters": BG | {"beta": 1.0}}, "'beta' is none of the parameters of bg_nbd"),
        ({"parameters": BG | {"a": -1.0}}, "a=-1.0 must be positive"),
        ({"spend": {"p": 1.0, "q": 2.0}}, "lack 'gamma'"),
        ({"k": 2}, "k=2 must be 1"),
        ({"time_unit": "fortnight"}, "'time_unit'"),
    ],
)
def test_bad_options(simulate: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(**options)


def test_bad_times() -> None:
    with pytest.raises(DataError, match="longer than zero"):
        datasets.simulate(observed=0)
    with pytest.raises(ValueError, match="without end"):
        datasets.simulate(observed=math.inf)
    with pytest.raises(ValueError, match="must not outlast"):
        datasets.simulate(births="40 weeks")
    with pytest.raises(DataError, match="'resolution'"):
        datasets.simulate(resolution="minute")
    with pytest.raises(ValueError, match="must increase"):
        datasets.simulate_rfm(horizons=[10, 5])
    with pytest.raises(ValueError, match="'T' must be"):
        datasets.simulate_rfm(T=-1.0)
    with pytest.raises(ValueError, match="'discount_rate'"):
        datasets.simulate_rfm(discount_rate=-0.1)


def test_a_million_customers_take_seconds() -> None:
    import time

    datasets.simulate_rfm(n_customers=10, horizons=[52])  # compiles
    start = time.process_time()
    datasets.simulate_rfm(n_customers=1_000_000, horizons=[52, 156])
    assert time.process_time() - start < 5.0


def test_a_simulated_log_of_subscriptions_says_what_its_truth_says():
    sim = pc.datasets.simulate_subscriptions("bdw", n_customers=2_000, seed=5)
    assert list(sim.log) == ["customer_id", "start", "end", "price"]
    assert sim.log["start"].between("2022-01-01", "2024-12-31").all()
    assert (sim.log["end"].dropna() <= "2024-12-31").all()
    subs = pc.Subscriptions.from_log(sim.log, price="price", observation_end="2024-12-31")
    truth = sim.truth["renewals"].to_numpy()
    np.testing.assert_array_equal(subs.tenure[subs.lost], truth[subs.lost])
    assert (truth[~subs.ended] >= subs.tenure[~subs.ended]).all()
    np.testing.assert_array_equal(subs.ended, subs.lost)
    # Read as of an earlier day, no end later than that is known.
    early = pc.Subscriptions.from_log(sim.log, price="price", observation_end="2023-06-30", after_end="cut")
    assert 0 < early.lost.sum() < subs.lost.sum()
    with pytest.raises(ValueError, match="starts in order"):
        pc.datasets.simulate_subscriptions(starts=("2024-01-01", "2023-01-01"))
