"""Renewals forecast from past dates: what is known ends at the cut-off, and scores say what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import backtest_renewals
from predclv.errors import DataError

END = "2024-12-31"
METHODS = ["sbg", "bdw", "observed_rate", "last_rate", "average_rate"]


@pytest.fixture(scope="module")
def log():
    return pc.datasets.simulate_subscriptions("sbg", n_customers=3_000, seed=7).log


@pytest.fixture(scope="module")
def result(log):
    # At this level one of four intervals misses in fewer than 1 of 100 logs.
    return backtest_renewals(
        log, cutoffs=["2023-12-31", "2024-03-31"], horizons=["6 months"], observation_end=END, level=0.998
    )


def test_models_foresee_what_rates_do_not(result):
    scores = result.scores.set_index("method")
    assert list(dict.fromkeys(result.scores["method"])) == METHODS
    assert len(scores) == 10
    for name in ("sbg", "bdw"):
        assert scores.loc[name, "bias"].abs().max() < 0.03
        assert (scores.loc[name, "low"] <= scores.loc[name, "actual"]).all()
        assert (scores.loc[name, "actual"] <= scores.loc[name, "high"]).all()
    # One rate for all, new customers among them, makes the old ones leave.
    assert (scores.loc["average_rate", "bias"] < -0.05).all()
    assert (scores.loc["average_rate", "difference_low"] > 0).all()
    assert (scores.loc["sbg", "crps_difference"] == 0).all()
    assert scores.loc["last_rate", ["low", "high"]].isna().all(axis=None)
    assert result.table("crps").shape == (5, 2)
    assert repr(result).startswith("<RenewalBacktest: 2 forecasts; mean CRPS ")
    with pytest.raises(ValueError, match="'crsp' is no score"):
        result.table("crsp")


def test_outcomes_are_those_of_the_log(result, log):
    """Counted by hand for each contract that ran on 31 December 2023."""
    rows = result.forecasts[result.forecasts["cutoff"] == pd.Timestamp("2023-12-31").date()].set_index("customer_id")
    ran = log[(log["start"] <= "2023-12-31") & (log["end"].isna() | (log["end"] > "2023-12-31"))]
    assert set(rows.index) == set(ran["customer_id"])
    for one in ran.head(300).itertuples():
        due = [one.start + pd.DateOffset(months=k) for k in range(1, 40)]
        due = [day for day in due if pd.Timestamp("2023-12-31") < day <= pd.Timestamp("2024-06-30")]
        made = [day for day in due if pd.isna(one.end) or day < one.end]
        assert (rows.loc[one.customer_id, "due"], rows.loc[one.customer_id, "actual"]) == (len(due), len(made))


def test_scores_by_hand(result):
    rows = result.forecasts[result.forecasts["cutoff"] == pd.Timestamp("2024-03-31").date()]
    scores = result.scores.set_index(["cutoff", "method"]).loc[pd.Timestamp("2024-03-31").date()]
    for name in METHODS:
        error = rows[name] - rows["actual"]
        assert scores.loc[name, "expected"] == pytest.approx(rows[name].sum())
        assert scores.loc[name, "mae"] == pytest.approx(error.abs().mean())
        assert scores.loc[name, "rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert (scores["due"] == rows["due"].sum()).all()
    assert (scores["remained"] == (rows["actual"] == rows["due"]).sum()).all()
    # With one rate r, the number of n renewals is geometric, cut at n.
    r = (rows["average_rate"] / rows["due"]).iloc[0]
    due, made = rows["due"].to_numpy(), rows["actual"].to_numpy()
    rate = np.roots([*np.ones(due[0]), -r * due[0]])  # r n = q + q^2 + ... + q^n
    q = float(next(root.real for root in rate if abs(root.imag) < 1e-9 and 0 < root.real < 1))
    each = [sum((q**j - (x >= j)) ** 2 for j in range(1, n + 1)) for n, x in zip(due, made, strict=True)]
    assert scores.loc["average_rate", "crps"] == pytest.approx(np.mean(each), rel=1e-6)


def test_nothing_after_the_cutoff_is_known(log):
    altered = log.copy()
    late = altered["end"] > "2024-03-31"
    altered.loc[late, "end"] = pd.NaT
    options = {"cutoffs": "2024-03-31", "horizons": "3 months", "observation_end": END}
    one, other = backtest_renewals(log, **options), backtest_renewals(altered, **options)
    pd.testing.assert_frame_equal(one.forecasts[METHODS], other.forecasts[METHODS])
    assert one.scores["actual"].iloc[0] < other.scores["actual"].iloc[0]


def test_models_of_ones_own_and_other_columns(log):
    renamed = log.rename(columns={"customer_id": "who", "start": "from", "end": "to"})
    found = backtest_renewals(
        renamed,
        cutoffs=["2024-06-30"],
        horizons=[3, "6 months"],
        methods={"bayes": pc.SBG(method="map"), "rate": "average_rate"},
        observation_end=END,
        customer_id="who",
        start="from",
        end="to",
    )
    assert list(found.scores["method"]) == ["bayes", "rate"] * 2
    assert list(found.scores["horizon"]) == [3, 3, "6 months", "6 months"]
    assert found.table("low").shape == (2, 2)


def test_what_is_refused(log):
    good = {"cutoffs": ["2024-03-31"], "horizons": ["6 months"], "observation_end": END}
    bad = {
        "end on 2025-03-31, and the log on 2024-12-31": {"horizons": ["1 year"]},
        "whole number of months": {"horizons": ["10 days"]},
        "observation_end is missing": {"observation_end": None},
        "No contract runs|start after|All 3,000": {"cutoffs": ["2021-01-01"]},
    }
    for said, options in bad.items():
        with pytest.raises(DataError, match=said):
            backtest_renewals(log, **{**good, **options})
    for said, options in {
        "'bg_nbd' forecasts no renewals": {"methods": ["bg_nbd"]},
        "Two methods are called 'sbg'": {"methods": ["sbg", pc.SBG()]},
        "at least one method": {"methods": []},
        "at least one cut-off": {"cutoffs": []},
        "after_end= is 'cut'": {"after_end": "error"},
        "'level' must be": {"level": 90},
    }.items():
        with pytest.raises(ValueError, match=said):
            backtest_renewals(log, **{**good, **options})
    with pytest.raises(TypeError, match="A method is a name or an unfitted SBG or BDW"):
        backtest_renewals(log, **{**good, "methods": [pc.BGNBD()]})
