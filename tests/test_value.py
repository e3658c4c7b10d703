"""CLV: the table and the portfolio, on CDNOW and on what a user may get wrong."""

from __future__ import annotations

import math
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import predclv as pc
from engines import ENGINES
from predclv.errors import DataError, DependenceWarning, HorizonWarning, UnitError
from predclv.forecast import customers, value_tables
from predclv.models import customer_table

# Design: one order of columns for every per-customer table.
COLUMNS = [
    "customer_id",
    "p_alive",
    "p_purchase",
    "expected_purchases",
    "purchases_low",
    "purchases_high",
    "expected_spend",
    "expected_clv",
    "clv_low",
    "clv_high",
    "expected_clv_low",
    "expected_clv_high",
]
# CLVTools 0.12.1, at an optimum that agrees to four digits.
EXPECTED_SPEND = {1: 24.654031170457, 3: 35.170499237880, 1516: 39.890285222786}
# BG/NBD on CDNOW, 39 weeks: sum of expected purchases, and money actually spent.
EXPECTED_PURCHASES, ACTUAL_SPEND = 1653.408, 70_976.39


@pytest.fixture(scope="module")
def segmented(cdnow) -> pc.RFMSummary:
    """CDNOW with a channel and a margin made up for each customer."""
    n = len(cdnow)
    channel = np.array(["shop", "web", "app"], dtype=object)[np.arange(n) % 3]
    return pc.RFMSummary.from_frame(
        cdnow.to_pandas().assign(channel=channel, margin=0.1 + 0.4 * (np.arange(n) % 2)),
        time_unit="week",
        carry=["channel", "margin"],
        observation_end=cdnow.observation_end,
    )


@pytest.fixture(scope="module")
def table(clv, cdnow) -> pd.DataFrame:
    return clv.predict(cdnow, "39 weeks")


def without_money(cdnow, **options) -> pc.RFMSummary:
    columns = cdnow.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    return pc.RFMSummary.from_frame(columns, **{"time_unit": "week", **options})


# The table


def test_columns_are_those_of_the_design(table, cdnow):
    assert list(table.columns) == COLUMNS
    assert (table["customer_id"] == cdnow.customer_id).all()
    assert table.notna().all(axis=None)
    assert (table.dtypes[["purchases_low", "purchases_high"]] == "int64").all()


def test_published_spend_and_purchases(table):
    by_customer = table.set_index("customer_id")
    for customer, spend in EXPECTED_SPEND.items():
        assert by_customer.loc[customer, "expected_spend"] == pytest.approx(spend, rel=1e-4)
    assert table["expected_purchases"].sum() == pytest.approx(EXPECTED_PURCHASES, abs=0.17)


def test_value_without_discount_is_purchases_times_spend(clv, cdnow):
    plain = clv.predict(cdnow, "39 weeks", discount_rate=0)
    np.testing.assert_allclose(plain["expected_clv"], plain["expected_purchases"] * plain["expected_spend"], rtol=1e-12)


def test_value_is_discounted_continuously_along_the_purchase_curve(clv, cdnow):
    few = cdnow[[0, 2, 1515, 30]]
    times = np.linspace(0.0, 39.0, 79)
    curve = np.array(
        [np.zeros(len(few)), *(clv.transactions_.expected_purchases(few, t)["expected_purchases"] for t in times[1:])]
    )
    # Integrated by parts: expected purchases to the end, discounted, plus the discount lost on the way. A year of 0.10.
    delta = math.log(1.10) * 7 / 365.25
    from scipy.integrate import simpson

    discount = np.exp(-delta * times)[:, np.newaxis]
    purchases = discount[-1] * curve[-1] + delta * simpson(discount * curve, x=times, axis=0)
    table = clv.predict(few, "39 weeks", discount_rate=0.10)
    np.testing.assert_allclose(table["expected_clv"], purchases * table["expected_spend"], rtol=1e-6)


def test_intervals_are_ordered(table):
    assert (table["clv_low"] <= table["clv_high"]).all()
    assert (table["purchases_low"] <= table["purchases_high"]).all()
    mean = table["expected_clv"].between(table["expected_clv_low"], table["expected_clv_high"])
    # The estimate is the middle of its draws but for their skewness.
    assert mean.mean() > 0.99
    # The outcome varies more than its mean, for whoever has any chance to buy.
    width, mean_width = (table[f"{c}_high"] - table[f"{c}_low"] for c in ("clv", "expected_clv"))
    assert (width[table["clv_high"] > 0] > mean_width[table["clv_high"] > 0]).all()
    # Whoever buys nothing is worth nothing, at the low end as at the high one.
    assert ((table["purchases_high"] == 0) == (table["clv_high"] == 0)).all()
    assert ((table["purchases_low"] == 0) == (table["clv_low"] == 0)).all()


def test_a_higher_level_is_wider_and_a_longer_horizon_is_worth_more(clv, cdnow, table):
    wide = clv.predict(cdnow, "39 weeks", level=0.99)
    assert (wide["clv_low"] <= table["clv_low"]).all()
    assert (wide["clv_high"] >= table["clv_high"]).all()
    np.testing.assert_array_equal(wide["expected_clv"], table["expected_clv"])
    short = clv.predict(cdnow, "13 weeks")
    assert (short["expected_clv"] < table["expected_clv"]).all()
    assert (short["clv_high"] <= table["clv_high"]).all()


def test_discount_lowers_value_and_nothing_else(clv, cdnow, table):
    plain, dear = (clv.predict(cdnow, "39 weeks", discount_rate=rate) for rate in (0.0, 0.5))
    same = ["p_alive", "p_purchase", "expected_purchases", "purchases_low", "purchases_high", "expected_spend"]
    pd.testing.assert_frame_equal(plain[same], table[same])
    for column in ("expected_clv", "expected_clv_low", "expected_clv_high"):
        assert (plain[column] > table[column]).all()
        assert (table[column] > dear[column]).all()
    assert (plain["clv_high"] >= table["clv_high"]).all()
    assert (table["clv_high"] >= dear["clv_high"]).all()


def test_margin_as_number_and_as_column(clv, segmented):
    money = COLUMNS[7:]
    revenue = clv.predict(segmented, "39 weeks")
    np.testing.assert_allclose(
        clv.predict(segmented, "39 weeks", margin=0.3)[money], 0.3 * revenue[money].to_numpy(), rtol=1e-12
    )
    by_column = clv.predict(segmented, "39 weeks", margin="margin")
    margin = segmented.carried["margin"][:, np.newaxis]
    np.testing.assert_allclose(by_column[money], margin * revenue[money].to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(by_column["expected_spend"], revenue["expected_spend"])
    assert (clv.predict(segmented, "39 weeks", margin=0)[money] == 0).all(axis=None)


def test_an_infinite_horizon(clv, cdnow):
    few = cdnow[:20]
    with pytest.warns(HorizonWarning, match="infinite, is longer than the oldest customer"):
        endless = clv.predict(few, math.inf, discount_rate=0.5)
    assert endless[["expected_purchases", "purchases_low", "purchases_high"]].isna().all(axis=None)
    np.testing.assert_array_equal(endless["p_purchase"], endless["p_alive"])
    with pytest.warns(HorizonWarning, match="longer than the oldest customer"):
        long = clv.predict(few, "25 years", discount_rate=0.5)
    # What is left after 25 years at a rate of one half: exp(-25 log 1.5) is 4e-5.
    np.testing.assert_allclose(long["expected_clv"], endless["expected_clv"], rtol=1e-4)
    # The endless distribution leaves out a thousandth of the expected value.
    np.testing.assert_allclose(long["clv_high"], endless["clv_high"], rtol=5e-3)
    with pytest.warns(HorizonWarning):
        pd.testing.assert_frame_equal(clv.predict(few, "inf", discount_rate=0.5), endless)


def test_estimate_at_the_draws(clv, cdnow, table):
    draws = clv.predict(cdnow, "39 weeks", estimate="draws")
    assert not np.allclose(draws["expected_clv"], table["expected_clv"], rtol=1e-6)
    assert draws["expected_clv"].sum() == pytest.approx(table["expected_clv"].sum(), rel=0.03)
    interval = ["clv_low", "clv_high", "expected_clv_low", "expected_clv_high"]
    pd.testing.assert_frame_equal(draws[interval], table[interval])


# A row is a function of the model, the options and the customer alone


def test_the_order_of_customers_changes_no_bit(clv, segmented):
    order = np.random.default_rng(4).permutation(len(segmented))
    straight = clv.predict(segmented, "39 weeks", margin="margin")
    shuffled = clv.predict(segmented[order], "39 weeks", margin="margin")
    pd.testing.assert_frame_equal(shuffled, straight.iloc[order].reset_index(drop=True), check_exact=True)


def test_the_other_customers_change_no_bit(clv, cdnow, table):
    for part in (slice(0, 1), slice(700, 900), cdnow.frequency > 6):
        alone = clv.predict(cdnow[part], "39 weeks")
        pd.testing.assert_frame_equal(alone, table[part].reset_index(drop=True), check_exact=True)


def test_chunks_change_no_bit(clv, cdnow, table, monkeypatch):
    monkeypatch.setattr(customers, "CHUNK", 101)
    monkeypatch.setattr(value_tables, "_ROWS", 17)
    monkeypatch.setattr(value_tables, "_NODES", 2)
    monkeypatch.setattr(customer_table, "Kept", partial(customer_table.Kept, 1 << 20))
    pd.testing.assert_frame_equal(clv.predict(cdnow, "39 weeks"), table, check_exact=True)


def test_same_seed_same_table(cdnow, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        again = pc.CLV().fit(cdnow)
        other = pc.CLV(pc.BGNBD(random_state=7), pc.GammaGamma(random_state=7)).fit(cdnow)
    pd.testing.assert_frame_equal(again.predict(cdnow, "39 weeks"), table, check_exact=True)
    pd.testing.assert_frame_equal(again.portfolio(cdnow, "39 weeks"), again.portfolio(cdnow, "39 weeks"))
    reseeded = other.predict(cdnow, "39 weeks")
    np.testing.assert_array_equal(reseeded["expected_clv"], table["expected_clv"])
    # Few draws serve one customer: their error is small against the interval.
    changed = (reseeded["clv_high"] - table["clv_high"]).abs() / (table["clv_high"] + 1e-9)
    assert changed.max() > 0
    assert changed.median() < 0.01


# The portfolio


def test_portfolio_adds_up(clv, segmented):
    table = clv.predict(segmented, "39 weeks", margin="margin")
    total = clv.portfolio(segmented, "39 weeks", margin="margin")
    by = clv.portfolio(segmented, "39 weeks", by="channel", margin="margin")
    assert list(by["segment"]) == ["app", "shop", "web", "existing customers"]
    # Adding by segment first changes the last bits.
    pd.testing.assert_frame_equal(by.tail(1).reset_index(drop=True), total, rtol=1e-12)
    for column in ("expected_clv", "expected_purchases"):
        assert total[column].item() == pytest.approx(table[column].sum(), rel=1e-10)
    assert total["expected_buyers"].item() == pytest.approx(table["p_purchase"].sum(), rel=1e-10)
    for column in ("customers", "expected_buyers", "expected_purchases", "expected_clv", "share_of_value"):
        assert by[column].iloc[:-1].sum() == pytest.approx(by[column].iloc[-1], rel=1e-10)
    expected = table.groupby(segmented.carried["channel"])["expected_clv"].sum()
    np.testing.assert_allclose(by["expected_clv"].iloc[:-1], expected.loc[["app", "shop", "web"]], rtol=1e-10)


def test_the_totals_interval_comes_from_joint_draws(clv, cdnow, table):
    total = clv.portfolio(cdnow, "39 weeks").iloc[0]
    width = total["clv_high"] - total["clv_low"]
    assert width < 0.1 * (table["clv_high"].sum() - table["clv_low"].sum())
    # Not narrower than the interval of its mean, which lacks chance; wider than chance alone would be.
    assert width > total["expected_clv_high"] - total["expected_clv_low"]
    assert total["clv_low"] < total["expected_clv"] < total["clv_high"]
    assert total["purchases_low"] < total["expected_purchases"] < total["purchases_high"]


def test_the_total_against_what_came(clv, cdnow_split):
    total = clv.portfolio(cdnow_split.calibration, cdnow_split.duration, discount_rate=0).iloc[0]
    assert cdnow_split.holdout["spend"].sum() == pytest.approx(ACTUAL_SPEND, abs=0.01)
    # BG/NBD's known shortfall of 12 % in purchases, and spend that goes with frequency: outside the interval, and not
    # by much.
    assert total["clv_high"] < ACTUAL_SPEND < 1.15 * total["clv_high"]


def test_share_beyond_three_years(clv, cdnow):
    few = cdnow[:100]
    with pytest.warns(HorizonWarning):
        endless = clv.portfolio(few, math.inf, n_draws=64).iloc[0]
    with pytest.warns(HorizonWarning):
        three = clv.portfolio(few, "1095.75 days", n_draws=64).iloc[0]
    assert endless["share_beyond_3_years"] == pytest.approx(1 - three["expected_clv"] / endless["expected_clv"])
    # Of all CDNOW's customers it is half.
    assert 0.4 < endless["share_beyond_3_years"] < 0.6
    assert math.isnan(three["share_beyond_3_years"])
    assert endless[["expected_purchases", "purchases_low", "purchases_high"]].isna().all()


def test_portfolio_of_an_all_but_worthless_segment(clv, cdnow):
    few = pc.RFMSummary.from_frame(
        cdnow[:50].to_pandas().assign(kind=["lone", *["rest"] * 49], margin=[0.0, *[1.0] * 49]),
        time_unit="week",
        carry=["kind", "margin"],
    )
    by = clv.portfolio(few, 39, by="kind", margin="margin", n_draws=64).set_index("segment")
    assert (by.loc["lone", ["expected_clv", "clv_low", "clv_high", "share_of_value"]] == 0).all()
    assert by.loc["lone", "customers"] == 1


# New customers


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize("horizon", ["26 weeks", math.inf])
def test_a_new_customers_first_purchase(clv, horizon):
    first, repeat = (clv.new_customer(horizon, include_first=f, margin=0.4).iloc[0] for f in (True, False))
    spend = clv.spend_.posterior_.point
    mean_spend = spend["p"] * spend["gamma"] / (spend["q"] - 1)
    assert first["expected_spend"] == pytest.approx(mean_spend, rel=1e-12)
    assert first["expected_clv"] - repeat["expected_clv"] == pytest.approx(0.4 * mean_spend, rel=1e-12)
    assert first["clv_low"] > 0 == repeat["clv_low"]
    assert first["clv_high"] > repeat["clv_high"]
    assert list(first.index) == COLUMNS[1:]


def test_the_first_purchase_is_much_of_a_new_customers_first_year(clv):
    with pytest.warns(HorizonWarning):
        new = clv.new_customer("1 year").iloc[0]
    # Published: 1.444004 repeat purchases in 52 weeks, so the first is 41 % of all.
    assert 1 / (1 + new["expected_purchases"]) == pytest.approx(0.41, abs=0.005)
    assert new["p_alive"] == 1


# Libraries


@pytest.mark.parametrize("engine", ENGINES)
def test_the_result_is_of_the_type_that_was_given(clv, cdnow, table, engine):
    given = ENGINES[engine](cdnow.to_pandas()[["customer_id", "frequency", "recency", "T", "monetary_value"]])
    found = clv.predict(pc.RFMSummary.from_frame(given, time_unit="week"), "39 weeks")
    expected = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "polars-lazy": pl.DataFrame}.get(engine, pa.Table)
    assert isinstance(found, expected)
    # An engine may order the rows as it likes; ids say which is which.
    as_pandas = found if engine == "pandas" else found.to_pandas()
    pd.testing.assert_frame_equal(as_pandas.sort_values("customer_id", ignore_index=True), table, check_exact=True)


# What a user may get wrong


def test_inputs_are_left_alone(clv, cdnow):
    before = cdnow.to_pandas()
    clv.predict(cdnow, "13 weeks")
    clv.portfolio(cdnow, "13 weeks", n_draws=16)
    pd.testing.assert_frame_equal(cdnow.to_pandas(), before)


def test_scikit_learn_conventions(cdnow):
    clv = pc.CLV(transactions=pc.BGNBD(random_state=3))
    assert clv.get_params()["transactions__random_state"] == 3
    copy = clone(clv)
    assert copy.transactions is not clv.transactions
    assert "CLV" in clv._repr_html_()
    for use in (lambda: clv.predict(cdnow), lambda: clv.portfolio(cdnow), clv.new_customer, lambda: clv.summary):
        with pytest.raises(NotFittedError):
            use()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        assert clv.fit(cdnow) is clv
    # What was given stays unfitted.
    assert not hasattr(clv.transactions, "posterior_")
    assert list(clv.summary["parameter"]) == ["r", "alpha", "a", "b", "p", "q", "gamma"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 95}, ValueError, r"did you mean 0\.95"),
        ({"level": 0.0}, ValueError, "'level' must be in"),
        ({"level": math.nan}, ValueError, "'level' must be a finite number"),
        ({"level": "0.9"}, ValueError, "'level' must be a finite number"),
        ({"discount_rate": -0.1}, ValueError, r"'discount_rate' must be in \[0, 1\)"),
        ({"discount_rate": math.inf}, ValueError, "'discount_rate' must be a finite number"),
        ({"discount_rate": "10 %"}, ValueError, "'discount_rate' must be a finite number"),
        ({"discount_rate": 10}, ValueError, r"did you mean 0\.1\?"),
        ({"horizon": math.inf, "discount_rate": 0}, ValueError, "infinite horizon needs a discount rate above 0"),
        ({"horizon": 0}, DataError, "longer than zero"),
        ({"horizon": "soon"}, DataError, "cannot be read"),
        ({"horizon": "1997-01-01"}, DataError, "at or before the as-of date"),
        ({"margin": -0.2}, ValueError, "'margin' must be finite"),
        ({"margin": math.nan}, ValueError, "'margin' must be finite"),
        ({"margin": "profit"}, DataError, r"margin='profit' is no carried column; carried are: 'channel', 'margin'"),
        ({"margin": "channel"}, DataError, "holds no numbers"),
        ({"estimate": "mode"}, ValueError, "'estimate' must be 'point', 'draws'"),
    ],
)
@pytest.mark.parametrize("method", ["predict", "portfolio"])
def test_options_that_mean_nothing(clv, segmented, method, options, error, message):
    with pytest.raises(error, match=message):
        getattr(clv, method)(segmented, **{"horizon": "39 weeks", **options})


def test_segments_that_mean_nothing(clv, segmented):
    with pytest.raises(DataError, match=r"by='region' is no carried column; carried are: 'channel', 'margin'"):
        clv.portfolio(segmented, "39 weeks", by="region")
    channel = segmented.carried["channel"].copy()
    channel[[5, 9]] = None
    gaps = pc.RFMSummary.from_frame(
        segmented.to_pandas().assign(channel=channel), time_unit="week", carry=["channel", "margin"]
    )
    with pytest.raises(DataError, match=r"'channel' is missing for 2 of 2,357 customers \(first: customer 6\)"):
        clv.portfolio(gaps, 39, by="channel")
    margin = np.where(np.arange(len(segmented)) == 7, np.nan, 0.5)
    gaps = pc.RFMSummary.from_frame(segmented.to_pandas().assign(margin=margin), time_unit="week", carry=["margin"])
    with pytest.raises(DataError, match=r"1 of 2,357 customers \(first: customer 8, nan\)"):
        clv.predict(gaps, 39, margin="margin")


def test_summaries_of_another_kind(clv, cdnow):
    in_days = pc.RFMSummary.from_frame(
        cdnow.to_pandas().drop(columns="first_purchase", errors="ignore"), time_unit="day"
    )
    with pytest.raises(UnitError, match="fitted in weeks and this summary is in days"):
        clv.predict(in_days, 39)
    with pytest.raises(DataError, match=r"no amounts|no spend"):
        clv.predict(without_money(cdnow), 39)
    with pytest.raises(DataError, match=r"no amounts|no spend"):
        pc.CLV().fit(without_money(cdnow))
    dollars, euros = (
        pc.RFMSummary.from_frame(cdnow.to_pandas(), time_unit="week", currency=code) for code in ("USD", "EUR")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        fitted = pc.CLV().fit(dollars)
    with pytest.raises(UnitError, match="fitted in USD and this summary is in EUR"):
        fitted.predict(euros, 39)
    with pytest.raises(TypeError, match=r"Expected an RFMSummary\. Got DataFrame"):
        pc.CLV().fit(cdnow.to_pandas())


def test_a_new_customers_options(clv):
    with pytest.raises(ValueError, match="infinite horizon needs"):
        clv.new_customer(math.inf, discount_rate=0)
    with pytest.raises(ValueError, match="'margin' must be finite"):
        clv.new_customer("26 weeks", margin=-1)
    with pytest.raises(ValueError, match="'level' must be in"):
        clv.new_customer("26 weeks", level=2)
    with pytest.raises(DataError, match="needs an as-of date"):
        clv.new_customer("1998-06-30")


def test_segments_of_numbers_fit_every_file_format(clv, cdnow, tmp_path):
    table = cdnow[:40].to_pandas().assign(region=np.arange(40) % 3, name="existing customers")
    few = pc.RFMSummary.from_frame(
        table, time_unit="week", collapse="day", observation_end="1997-09-30", carry=["region", "name"]
    )
    portfolio = clv.portfolio(few, "26 weeks", by="region", n_draws=64)
    assert portfolio["segment"].tolist() == ["0", "1", "2", "existing customers"]
    portfolio.to_parquet(tmp_path / "portfolio.parquet")
    with pytest.raises(DataError, match="is called 'existing customers'"):
        clv.portfolio(few, "26 weeks", by="name", n_draws=64)
