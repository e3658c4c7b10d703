"""The check of contracts: right at the truth, awake to planted misfits, clear about what it lacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import kstest
from sklearn.exceptions import NotFittedError

import predclv as pc
from checks.fitted import at_truth, p_value
from predclv import checks, plots
from predclv.errors import DataError, UnitError
from predclv.forecast.contract_checks import pool

RENEWAL = "lost by renewal (chi-squared)"
COHORT = "lost by cohort (chi-squared)"
CALENDAR = "lost by calendar period (chi-squared)"
PLACE = "mean place of the lost among cohorts, 0 (oldest) to 1"
AS_OF = "2024-12-31"


def read(log, **options):
    return pc.Subscriptions.from_log(log, **{"price": "price", "observation_end": AS_OF, **options})


@pytest.fixture(scope="module")
def simulated():
    return pc.datasets.simulate_subscriptions("sbg", n_customers=6_000, seed=2)


@pytest.fixture(scope="module")
def subs(simulated):
    return read(simulated.log)


@pytest.fixture(scope="module")
def model(subs):
    return pc.SBG().fit(subs)


@pytest.fixture(scope="module")
def cohorts():
    return pc.Subscriptions.from_cohorts(pc.datasets.load_retention(), values="percent", size=1000)


def test_the_table_counts_who_is_left(model, subs, simulated):
    table = checks.check_survivors(model, subs).table
    start = pd.PeriodIndex(simulated.log["start"], freq="Q")
    due = subs.start.astype("datetime64[M]")
    assert list(dict.fromkeys(table["cohort"])) == [f"{year} Q{q}" for year in (2022, 2023, 2024) for q in range(1, 5)]
    first = table[table["cohort"] == "2022 Q1"].set_index("period")
    of_first = (start == "2022Q1") & (due <= np.datetime64("2022-03"))
    # By 31 December 2024, 33 renewals have come up for all of them.
    for period in (1, 12, 33):
        assert first.loc[period, "customers"] == of_first.sum()
        assert first.loc[period, "actual"] == (subs.tenure[of_first] >= period).sum()
    # The 35th has come up only for those who began in January.
    january = of_first & (subs.start < np.datetime64("2022-02-01"))
    assert first.loc[35, "customers"] == january.sum()
    alpha, beta = model.posterior_.point_array
    survival = np.cumprod((beta + np.arange(12)) / (alpha + beta + np.arange(12)))[-1]
    np.testing.assert_allclose(first.loc[12, "expected"], of_first.sum() * survival, rtol=0.02)
    assert (table["low"] <= table["high"]).all()


def test_a_model_that_is_right_passes_and_the_same_seed_says_the_same(model, subs):
    check = checks.check_survivors(model, subs)
    assert (check.p_values["p_value"] > 0.01).all()
    assert list(check.p_values["quantity"]) == [
        "contracts lost",
        "contracts lost at the first renewal",
        PLACE,
        RENEWAL,
        COHORT,
        CALENDAR,
    ]
    np.testing.assert_allclose(check.p_values["expected"], check.replicated.mean())
    again = checks.check_survivors(model, subs[np.random.default_rng(3).permutation(len(subs))])
    pd.testing.assert_frame_equal(again.table, check.table)
    pd.testing.assert_frame_equal(again.p_values, check.p_values)
    assert "6,000 customers, 512 replications" in repr(check)


def test_two_populations_in_one_are_seen(cohorts):
    check = checks.check_survivors(pc.SBG().fit(cohorts), cohorts)
    assert list(dict.fromkeys(check.table["cohort"])) == ["Regular", "High End"]
    assert p_value(check, COHORT) < 0.005
    assert p_value(check, PLACE) < 0.005
    assert p_value(check, "contracts lost") > 0.5
    # One by one they are as the model says.
    for name in ("Regular", "High End"):
        one = cohorts[cohorts.carried["cohort"] == name]
        alone = checks.check_survivors(pc.SBG().fit(one), one)
        assert list(alone.p_values["quantity"]) == ["contracts lost", "contracts lost at the first renewal", RENEWAL]
        assert (alone.p_values["p_value"] > 0.05).all()
        assert len(alone.table) == 12


def test_a_month_in_which_many_left_is_seen(simulated, model):
    log = simulated.log.copy()
    # A raised price: every fifth who ran in June 2024 left at its renewal.
    running = (log["start"] < "2024-05-01") & (log["end"].isna() | (log["end"] > "2024-07-01"))
    struck = running & (log["customer_id"] % 5 == 0)
    day = np.minimum(log.loc[struck, "start"].dt.day, 30)
    log.loc[struck, "end"] = pd.Timestamp("2024-06-01") + pd.to_timedelta(day - 1, unit="D")
    subs = read(log)
    check = checks.check_survivors(pc.SBG().fit(subs), subs)
    assert p_value(check, CALENDAR) < 0.005


# The best that sBG can say of them is that they are all alike.
@pytest.mark.filterwarnings("ignore:SBG. All customers:predclv.errors.ConvergenceWarning")
def test_who_is_likelier_to_leave_with_time_is_no_sbg():
    sim = pc.datasets.simulate_subscriptions("bdw", n_customers=6_000, parameters={"alpha": 2, "beta": 30, "c": 1.6})
    subs = read(sim.log)
    assert p_value(checks.check_survivors(pc.SBG().fit(subs), subs), RENEWAL) < 0.005
    assert p_value(checks.check_survivors(pc.BDW().fit(subs), subs), RENEWAL) > 0.05


@pytest.mark.slow
def test_p_values_are_uniform_at_the_truth(model):
    shares: dict[str, list[float]] = {}
    for seed in range(150):
        sim = pc.datasets.simulate_subscriptions("sbg", n_customers=500, seed=500 + seed, starts=("2023-09-01", AS_OF))
        check = checks.check_survivors(at_truth(model, sim.parameters, seed), read(sim.log), n_draws=99)
        for row in check.p_values.itertuples():
            shares.setdefault(row.quantity, []).append(row.share_above)
    assert len(shares) == 6
    for name, values in shares.items():
        # Six tests: a true one falls below 0.001 in fewer than 1 run of 100.
        assert kstest(values, "uniform").pvalue > 0.001, name


@pytest.mark.parametrize("period", ["day", "week", "quarter", "year"])
def test_every_period(period):
    sim = pc.datasets.simulate_subscriptions("sbg", n_customers=300, period=period, starts=("2024-10-01", "2024-11-30"))
    subs = read(sim.log, period=period, observation_end=AS_OF)
    if period in ("quarter", "year"):
        sim = pc.datasets.simulate_subscriptions("sbg", n_customers=300, period=period, starts=("2014-01-01", AS_OF))
        subs = read(sim.log, period=period)
    check = checks.check_survivors(pc.SBG().fit(subs), subs)
    assert (check.p_values["p_value"] > 0.001).all()
    widths = {"day": "2024-10", "week": "2024-10", "quarter": "2014", "year": "2014"}
    assert check.table["cohort"].iloc[0] == widths[period]


def test_a_carried_column_makes_cohorts(subs, model):
    half = replace(subs, carried={"half": np.where(subs.start < np.datetime64("2023-07-01"), "a", "b")})
    check = checks.check_survivors(model, half, cohort="half")
    assert list(dict.fromkeys(check.table["cohort"])) == ["a", "b"]
    with pytest.raises(DataError, match=r"cohort='hal' is no carried column. Did you mean 'half'"):
        checks.check_survivors(model, half, cohort="hal")


def test_bins_are_pooled_until_each_is_expected_to_hold_enough():
    np.testing.assert_array_equal(pool(np.array([6.0, 2.0, 2.0, 2.0, 9.0, 1.0])), [0, 1, 1, 1, 2, 2])
    np.testing.assert_array_equal(pool(np.array([1.0, 1.0])), [0, 0])


def test_what_is_refused(model, subs, cohorts):
    with pytest.raises(TypeError, match=r"Expected a contract model, such as SBG\. Got CLV; give its \.transactions_"):
        checks.check_survivors(pc.CLV(pc.SBG()).fit(subs), subs)
    with pytest.raises(NotFittedError):
        checks.check_survivors(pc.SBG(), subs)
    with pytest.raises(TypeError, match="Expected Subscriptions"):
        checks.check_survivors(model, subs.to_pandas())
    with pytest.raises(UnitError, match="renewed by the month, and these are renewed by the year"):
        checks.check_survivors(model, cohorts)
    with pytest.raises(DataError, match="neither dates of start"):
        checks.check_survivors(model, replace(subs, start=None))
    with pytest.raises(DataError, match=r"do not agree for [0-9,]+ of 6,000 contracts .*Is the as-of date"):
        checks.check_survivors(model, replace(subs, observation_end="2024-06-30"))
    mixed = pc.datasets.simulate_contracts("sbg", n_customers=50).subs
    with pytest.raises(DataError, match="a cohort is who began together"):
        checks.check_survivors(model, replace(mixed, carried={"cohort": np.zeros(50, dtype=int)}))
    segments = pc.SBG(method="map", segment="half").fit(
        replace(subs, carried={"half": np.where(subs.customer_id % 2, "a", "b")})
    )
    with pytest.raises(ValueError, match="parameters of its own: check one at a time"):
        checks.check_survivors(segments, subs)


def test_the_plot_shows_the_table(model, subs, cohorts):
    check = checks.check_survivors(model, subs)
    ax = Figure(layout="constrained").subplots()
    assert plots.plot_survivors(check, ax=ax) is ax
    outside = (check.table["actual"] < check.table["low"]) | (check.table["actual"] > check.table["high"])
    assert len(ax.get_lines()[0].get_xdata()) == outside.sum()
    cells = ax.get_images()[0].get_array()
    assert cells.count() == len(check.table)
    one = cohorts[cohorts.carried["cohort"] == "Regular"]
    check = checks.check_survivors(pc.SBG().fit(one), one)
    ax = plots.plot_survivors(check, ax=Figure().subplots())
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["actual"], check.table["actual"])
    assert ax.get_title(loc="left").replace("\n", " ") == "The model reproduces who is left of each cohort"
