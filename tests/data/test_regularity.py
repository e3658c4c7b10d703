"""Times between purchases: summed alike by every engine, checked, carried along, and what they say of regularity."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import dirichlet

import predclv as pc
from engines import ENGINES
from predclv.data.regularity import estimate_regularity
from predclv.errors import DataError

LOG = pd.DataFrame(
    {
        "customer_id": ["b", "a", "a", "b", "c", "a", "a"],
        "date": pd.to_datetime(
            ["2024-01-01", "2024-01-03", "2024-01-10", "2024-01-15", "2024-01-02", "2024-01-03", "2024-02-07"]
        ),
        "amount": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
)


def summarise(log, **options):
    return pc.RFMSummary.from_transactions(log, observation_end="2024-02-10", regularity=True, **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_by_hand(engine):
    rfm = summarise(ENGINES[engine](LOG), amount="amount")
    assert list(rfm.customer_id) == ["a", "b", "c"]
    np.testing.assert_allclose(rfm.log_itt, [np.log(7 / 7) + np.log(28 / 7), np.log(14 / 7), 0.0], atol=1e-15)
    in_days = summarise(ENGINES[engine](LOG), time_unit="day")
    np.testing.assert_allclose(in_days.log_itt, [np.log(7) + np.log(28), np.log(14), 0.0], rtol=1e-15)
    by_week = summarise(ENGINES[engine](LOG), collapse="week", time_unit="day")
    np.testing.assert_allclose(by_week.log_itt, [np.log(7) + np.log(28), np.log(14), 0.0], rtol=1e-15)


@pytest.mark.parametrize("n", [30_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("collapse", ["day", "hour", "month"])
def test_engines_agree(n, collapse):
    rng = np.random.default_rng(4)
    customer = rng.integers(0, n // 8, n)
    log = pd.DataFrame(
        {
            "name": np.char.add("c", customer.astype(str)),
            "date": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 700 * 86_400, n), unit="s"),
        }
    )
    # By plain pandas, with the periods of each customer in order.
    units = {"day": "D", "hour": "h", "month": "M"}[collapse]
    start = log["date"].to_numpy().astype(f"datetime64[{units}]").astype("datetime64[h]").astype(np.int64)
    periods = pd.DataFrame({"name": log["name"], "hour": start}).drop_duplicates().sort_values(["name", "hour"])
    gaps = np.log(periods.groupby("name")["hour"].diff() / 168)
    expected = gaps.groupby(periods["name"]).sum()
    for name, engine in ENGINES.items():
        rfm = pc.RFMSummary.from_transactions(
            engine(log), customer_id="name", collapse=collapse, observation_end="2023-12-31", regularity=True
        )
        assert rfm.log_itt is not None
        assert (rfm.customer_id == expected.index.to_numpy()).all()
        np.testing.assert_allclose(rfm.log_itt, expected, rtol=1e-12, atol=1e-11, err_msg=name)


def test_only_where_asked():
    plain = pc.RFMSummary.from_transactions(LOG, observation_end="2024-02-10")
    assert plain.log_itt is None
    assert "log_itt" not in plain.to_pandas()
    with pytest.raises(DataError, match="regularity=True"):
        plain.regularity()
    asked = summarise(LOG)
    assert list(asked.to_pandas())[-1] == "log_itt"
    assert asked.shape == asked.to_pandas().shape
    pd.testing.assert_frame_equal(asked.to_pandas().drop(columns="log_itt"), plain.to_pandas())


def test_carried_through_indexing_pickling_and_a_table():
    rfm = summarise(LOG)
    for other in (rfm[[2, 0]], pickle.loads(pickle.dumps(rfm))[[2, 0]]):
        np.testing.assert_array_equal(other.log_itt, rfm.log_itt[[2, 0]])
        with pytest.raises(ValueError, match="read-only"):
            other.log_itt[0] = 1.0
    again = pc.RFMSummary.from_frame(rfm.to_pandas(), time_unit="week")
    np.testing.assert_array_equal(again.log_itt, rfm.log_itt)
    renamed = rfm.to_pandas().rename(columns={"log_itt": "litt"})
    assert pc.RFMSummary.from_frame(renamed, time_unit="week").log_itt is None
    again = pc.RFMSummary.from_frame(renamed, time_unit="week", log_itt="litt")
    np.testing.assert_array_equal(again.log_itt, rfm.log_itt)


def test_a_split_knows_the_calibration_only():
    split = pc.split_transactions(LOG, at="2024-01-20", regularity=True)
    np.testing.assert_allclose(split.calibration.log_itt, [0.0, np.log(2), 0.0], atol=1e-15)


def test_customers_left_out_take_their_gaps_along():
    rfm = summarise(LOG, observation_start="2024-01-02")
    assert list(rfm.customer_id) == ["a", "c"]
    np.testing.assert_allclose(rfm.log_itt, [np.log(4), 0.0], atol=1e-15)


def test_purchases_at_one_instant_have_no_gap():
    with pytest.raises(DataError, match=r"2 of 7 purchases share an instant.*first: customer a.*collapse='day'"):
        summarise(LOG, collapse="none")
    apart = LOG.drop(index=5)
    np.testing.assert_allclose(summarise(apart, collapse="none").log_itt, [np.log(4), np.log(2), 0.0], atol=1e-15)
    with pytest.raises(DataError, match="'regularity' must be True or False"):
        pc.RFMSummary.from_transactions(LOG, observation_end="2024-02-10", regularity="yes")


@pytest.mark.parametrize(
    ("log_itt", "message"),
    [
        ([0.0, np.nan], r"null or not finite: 1 of 2 customers \(first: customer y"),
        ([0.5, 0.0], "not 0 where 'frequency' is 0: 1 of 2"),
        ([0.0, 3.3], "larger than times between purchases .*1 of 2 customers.*same unit"),
        ([0.0], "shape"),
    ],
)
def test_contradictions_are_refused(log_itt, message):
    table = pd.DataFrame({"customer_id": ["x", "y"], "frequency": [0, 2], "recency": [0.0, 10.0], "T": [12.0, 12.0]})
    # Two equal gaps of 5 have the largest sum of logarithms there is.
    columns = {name: table[name].to_numpy() for name in table}
    assert pc.RFMSummary(**columns, log_itt=np.array([np.nan, 2 * np.log(5)])).log_itt[0] == 0.0
    with pytest.raises(DataError, match=message):
        pc.RFMSummary(**columns, log_itt=np.array(log_itt))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_regularity_is_recovered(k):
    """Whatever the rates, the dropout and the end of the log; the standard error is the spread."""
    estimates = []
    for seed in range(12):
        rfm = pc.datasets.simulate_rfm("mbg_cnbd", n_customers=1_000, k=k, T=(30.0, 80.0), seed=seed).rfm
        found = rfm.regularity()
        estimates.append(found.k)
        assert abs(found.k - k) < 4 * found.std_error
        assert found.low < found.k < found.high
        assert found.is_regular == (k > 1)
    spread = np.std(estimates, ddof=1)
    # A chi-square of 11 degrees at 0.1 % on either side.
    assert 0.3 < spread / found.std_error < 1.7


def test_the_likelihood_is_that_of_the_shares_of_gaps():
    rng = np.random.default_rng(2)
    gaps = [rng.gamma(1.7, size=x) for x in (2, 2, 3, 5, 9)]

    def minus_log_likelihood(k):
        return -sum(dirichlet.logpdf(g / g.sum(), np.full(len(g), k)) for g in gaps)

    columns = (
        np.array([len(g) for g in gaps]),
        np.array([g.sum() for g in gaps]),
        np.array([np.log(g).sum() for g in gaps]),
    )
    found = estimate_regularity(*columns)
    best = minimize_scalar(minus_log_likelihood, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-10})
    assert found.k == pytest.approx(best.x, rel=1e-6)
    h = 1e-3
    curvature = sum(s * minus_log_likelihood(found.k + o * h) for s, o in ((1, -1), (-2, 0), (1, 1))) / h**2
    assert found.std_error == pytest.approx(curvature**-0.5, rel=1e-4)
    assert (found.n_customers, found.n_gaps) == (5, 21)


def test_equal_gaps_and_none():
    frequency, recency = np.array([3, 1]), np.array([6.0, 2.0])
    found = estimate_regularity(frequency, recency, np.array([3 * np.log(2.0), np.log(2.0)]))
    assert found.k == np.inf
    assert found.is_regular
    assert estimate_regularity(frequency[1:], recency[1:], np.log(recency[1:])) is None
    rfm = pc.RFMSummary.from_frame(
        pd.DataFrame({"frequency": [1], "recency": [2.0], "T": [3.0], "log_itt": [np.log(2.0)]}), time_unit="week"
    )
    with pytest.raises(DataError, match="two repeat purchases"):
        rfm.regularity()


def test_advice(shared_data):
    log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"])
    grocery = summarise_as_of(log, "2006-12-31", customer_id="cust").regularity()
    assert 2.3 < grocery.k < 2.6
    assert "more regularly than at random" in str(grocery)
    assert "more regularly than at random" in grocery.advice
    assert "Try BGCNBD or MBGCNBD" in grocery.advice
    cdnow = summarise_as_of(pc.datasets.load_cdnow(), "1997-09-30").regularity()
    assert 0.95 < cdnow.k < 1.15
    assert "near that of purchases at random" in cdnow.advice

    gaps = np.random.default_rng(1).gamma(0.4, size=(200, 6))
    bursts = estimate_regularity(np.full(200, 6), gaps.sum(axis=1), np.log(gaps).sum(axis=1))
    assert "in bursts" in bursts.advice


def summarise_as_of(log, end, **options):
    return pc.RFMSummary.from_transactions(log, observation_end=end, regularity=True, **options)
