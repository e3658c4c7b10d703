"""CLV of subscribers: the same table, the same totals, from renewals at the contracts' own prices."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

import predclv as pc
from predclv.errors import DataError, HorizonWarning, ModelFileError, UnitError
from predclv.kernels.contracts.simulation import annuity

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
KEYS = ["sbg", "bdw"]
RATE = math.log(1.10) / 12


@pytest.fixture(scope="module")
def subs():
    found = pc.datasets.simulate_contracts("sbg", n_customers=2_000, seed=1).subs
    plan = np.array(["basic", "plus"], dtype=object)[np.arange(2_000) % 2]
    columns = {name: getattr(found, name) for name in ("customer_id", "tenure", "ended", "lost", "weight", "price")}
    return pc.Subscriptions(
        **columns,
        next_renewal=found.next_renewal,
        carried={"plan": plan, "kept": np.where(plan == "plus", 0.8, 0.5)},
        period="month",
        currency="USD",
    )


@pytest.fixture(scope="module", params=KEYS)
def clv(request, subs):
    return pc.CLV(pc.MODELS[request.param]()).fit(subs)


@pytest.fixture(scope="module")
def endless(clv, subs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        return clv.predict(subs, math.inf)


def test_the_table_is_that_of_purchases(clv, subs):
    table = clv.predict(subs, "12 months")
    assert list(table.columns) == COLUMNS
    assert table.notna().all(axis=None)
    counts = clv.transactions_.predict(subs, "12 months")
    pd.testing.assert_frame_equal(table[list(counts)], counts)
    np.testing.assert_array_equal(table["expected_spend"], subs.price)
    assert (table.loc[subs.ended, COLUMNS[7:]] == 0).all(axis=None)
    running = ~subs.ended
    assert (table["clv_low"] <= table["clv_high"]).all()
    low, mean, high = (table[name][running] for name in ("expected_clv_low", "expected_clv", "expected_clv_high"))
    assert ((low < mean) & (mean < high)).mean() > 0.99
    assert (table["clv_high"] - table["clv_low"])[running].mean() > (high - low).mean()


def test_value_is_the_discounted_sum_over_renewals(clv, subs):
    few = subs[:150]
    table = clv.predict(few, "12 months", discount_rate=0.10, margin=0.8)
    long = clv.transactions_.renewal_distribution(few, "12 months")
    by_number = long.pivot_table(index="customer_id", columns="n", values="probability", fill_value=0.0).to_numpy()
    worth = 0.8 * few.price * np.exp(-RATE * few.next_renewal)
    values = worth[:, np.newaxis] * annuity(np.arange(by_number.shape[1]).astype(float), RATE)
    np.testing.assert_allclose(table["expected_clv"], (by_number * values).sum(axis=1), rtol=1e-10)
    # The outcome's interval is that of the number, at what so many payments are worth.
    for end in ("low", "high"):
        paid = annuity(table[f"purchases_{end}"].to_numpy(dtype=float), RATE)
        np.testing.assert_allclose(table[f"clv_{end}"], worth * paid, rtol=1e-12)
    plain = clv.predict(few, "12 months", discount_rate=0)
    np.testing.assert_allclose(plain["expected_clv"], plain["expected_purchases"] * few.price, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
def test_over_an_endless_horizon_no_row_depends_on_who_else_is_there(clv, subs, endless):
    ended = np.flatnonzero(subs.ended)[:3]
    pd.testing.assert_frame_equal(clv.predict(subs[ended], math.inf), endless.iloc[ended].reset_index(drop=True))
    assert clv.transactions_.predict(subs[ended], math.inf)["purchases_low"].isna().all()
    assert clv.portfolio(subs[ended], math.inf, n_draws=16)["expected_purchases"].isna().all()


def test_what_ended_contracts_lack_is_not_asked_for(clv, subs):
    """Their next renewal says nothing, and may be NaN."""
    unknown = replace(subs, next_renewal=np.where(subs.ended, np.nan, subs.next_renewal))
    pd.testing.assert_frame_equal(clv.predict(unknown, "12 months"), clv.predict(subs, "12 months"))
    assert clv.portfolio(unknown, "12 months", n_draws=16).equals(clv.portfolio(subs, "12 months", n_draws=16))


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
def test_a_segment_that_nobody_is_left_in(subs):
    # All of the first segment have left, so its columns come first, and are 0 but for those with no mean.
    kept = subs[(subs.carried["plan"] == "plus") | subs.ended]
    table = pc.CLV(pc.SBG(method="map", segment="plan")).fit(kept).predict(kept, math.inf)
    assert table[["expected_purchases", "purchases_low", "purchases_high"]].isna().all(axis=None)
    np.testing.assert_array_equal(table["expected_clv"] > 0, ~kept.ended)


def test_an_endless_horizon_is_the_limit_of_long_ones(clv, subs, endless):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        # After 300 years a payment is worth a trillionth.
        long = clv.predict(subs[:100], "300 years")
    assert endless[["expected_purchases", "purchases_low", "purchases_high"]].isna().all(axis=None)
    for name in COLUMNS[7:]:
        np.testing.assert_allclose(endless[name][:100], long[name], rtol=1e-9)
    with pytest.raises(ValueError, match="infinite horizon needs a discount rate"), warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        clv.predict(subs, math.inf, discount_rate=0)


def test_sbg_agrees_with_derl(subs):
    model = pc.SBG().fit(subs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        value = pc.CLV(pc.SBG()).fit(subs).predict(subs, math.inf)["expected_clv"]
    derl = model.expected_residual_lifetime(subs, discount_rate=0.10)["discounted_residual_lifetime"]
    np.testing.assert_allclose(value, subs.price * np.exp(-RATE * subs.next_renewal) * derl, rtol=1e-12)


def test_margins_are_numbers_or_columns(clv, subs):
    revenue, kept = (clv.predict(subs, 12, margin=margin) for margin in (1.0, "kept"))
    for name in COLUMNS[7:]:
        np.testing.assert_allclose(kept[name], subs.carried["kept"] * revenue[name], rtol=1e-12)


@pytest.mark.parametrize("horizon", ["12 months", math.inf])
def test_the_portfolio_adds_up(clv, subs, horizon):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        table = clv.predict(subs, horizon)
        total = clv.portfolio(subs, horizon, by="plan")
        alone = clv.portfolio(subs, horizon)
    assert list(total["segment"]) == ["basic", "plus", "existing customers"]
    plan = subs.carried["plan"]
    for name in ("expected_clv", *(["expected_purchases"] if horizon != math.inf else [])):
        sums = [table.loc[plan == segment, name].sum() for segment in ("basic", "plus")]
        np.testing.assert_allclose(total[name], [*sums, sum(sums)], rtol=1e-10)
    assert (total["clv_low"] < total["expected_clv"]).all()
    assert (total["expected_clv"] < total["clv_high"]).all()
    # Customers' luck averages out: the total's interval is far narrower than the sum of theirs.
    last = total.iloc[-1]
    assert last["clv_high"] - last["clv_low"] < 0.5 * (table["clv_high"] - table["clv_low"]).sum()
    assert last["share_of_value"] == 1
    assert np.isnan(last["share_beyond_3_years"]) == (horizon != math.inf)
    pd.testing.assert_frame_equal(alone, total.iloc[-1:].reset_index(drop=True))


def test_the_share_beyond_three_years(clv, subs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        total, early = clv.portfolio(subs, math.inf).iloc[0], clv.portfolio(subs, "36 months").iloc[0]
    assert total["share_beyond_3_years"] == pytest.approx(1 - early["expected_clv"] / total["expected_clv"], rel=1e-9)


def test_a_cohort_counts_by_its_customers():
    grouped = pc.Subscriptions.from_cohorts([300, 240, 210], price=10.0)
    each = np.repeat(np.arange(3), [60, 30, 210])
    columns = ("tenure", "ended", "lost", "price", "next_renewal")
    single = pc.Subscriptions(
        customer_id=np.arange(300),
        weight=np.ones(300),
        **{name: getattr(grouped, name)[each] for name in columns},
        period="year",
    )
    clv = pc.CLV(pc.SBG()).fit(grouped)
    together, apart = (clv.portfolio(data, "2 years", n_draws=256) for data in (grouped, single))
    assert together["customers"][0] == 300
    pd.testing.assert_frame_equal(together, apart)


def test_a_new_customer(clv):
    new = clv.new_customer("12 months", price=10.0, margin=0.5).iloc[0]
    without = clv.new_customer("12 months", price=10.0, margin=0.5, include_first=False).iloc[0]
    assert list(new.index) == COLUMNS[1:]
    # The first period is paid at once; twelve renewals follow.
    assert new["expected_clv"] == pytest.approx(without["expected_clv"] + 5.0, rel=1e-12)
    assert new["purchases_high"] == 12
    curve = clv.transactions_.retention_curve(12)["survival"].to_numpy()[1:]
    assert without["expected_clv"] == pytest.approx(5.0 * (curve * np.exp(-RATE * np.arange(1, 13))).sum(), rel=1e-12)
    with pytest.raises(ValueError, match="A new contract needs price="):
        clv.new_customer("12 months")


@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_segments(subs, tmp_path):
    clv = pc.CLV(pc.SBG(method="map", segment="plan")).fit(subs)
    table = clv.predict(subs, 12)
    one = clv.of_segment("plus")
    plus = subs.carried["plan"] == "plus"
    own = one.predict(subs[plus], 12)
    pd.testing.assert_frame_equal(own, table[plus].reset_index(drop=True), check_exact=True)
    assert clv.new_customer(12, price=5.0, segment="plus")["expected_clv"][0] == pytest.approx(
        one.new_customer(12, price=5.0)["expected_clv"][0]
    )
    total = clv.portfolio(subs, 12, by="plan", n_draws=256)
    assert total["expected_clv"].iloc[-1] == pytest.approx(table["expected_clv"].sum(), rel=1e-10)
    clv.save(tmp_path / "clv")
    pd.testing.assert_frame_equal(pc.load(tmp_path / "clv").predict(subs, 12), table, check_exact=True)
    with pytest.raises(ValueError, match="'segment' must name a segment"):
        clv.new_customer(12, price=5.0)


def test_save_and_load_are_exact(clv, subs, tmp_path):
    clv.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["contract.parquet", "model.json"]
    again = pc.load(tmp_path / "model")
    assert isinstance(again, pc.CLV)
    assert not hasattr(again, "spend_")
    pd.testing.assert_frame_equal(again.predict(subs, 12), clv.predict(subs, 12), check_exact=True)
    pd.testing.assert_frame_equal(again.summary, clv.summary)
    assert again.score(subs) == clv.score(subs) == clv.transactions_.score(subs)
    manifest = (tmp_path / "model" / "model.json").read_text()
    (tmp_path / "model" / "model.json").write_text(manifest.replace('"month"', '"moon"'))
    with pytest.raises(ModelFileError, match="damaged"):
        pc.load(tmp_path / "model")


def test_the_callers_frame_comes_back():
    log = pl.DataFrame(
        {"customer_id": [1, 2, 3, 4], "start": ["2024-01-01"] * 4, "end": ["2024-03-01", None, "2024-05-01", None]}
    ).with_columns(price=pl.lit(5.0))
    subs = pc.Subscriptions.from_log(log, price="price", observation_end="2024-06-15")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # four customers
        assert isinstance(pc.CLV(pc.SBG()).fit(subs).predict(subs, 3), pl.DataFrame)


def test_what_is_refused(clv, subs):
    with pytest.raises(ValueError, match="Contracts have their price, so SBG takes no spend model"):
        pc.CLV(pc.SBG(), pc.GammaGamma()).fit(subs)
    free = pc.Subscriptions.from_cohorts([100, 80, 70])
    with pytest.raises(DataError, match="The subscriptions have no prices"):
        pc.CLV(pc.SBG()).fit(free)
    with pytest.raises(TypeError, match=r"Expected Subscriptions\. Got DataFrame"):
        pc.CLV(pc.SBG()).fit(subs.to_pandas())
    with pytest.raises(TypeError, match="Subscriptions, which are for contract models"):
        pc.CLV().fit(subs)
    with pytest.raises(UnitError, match="fitted in USD"):
        clv.predict(pc.datasets.simulate_contracts(n_customers=50, seed=3).subs, 12)
    with pytest.raises(DataError, match="no carried column"):
        clv.portfolio(subs, 12, by="channel")
    with pytest.raises(ValueError, match=r"did you mean 0\.1"):
        clv.predict(subs, 12, discount_rate=10)
    with pytest.raises(ValueError, match="'level' must be"):
        clv.predict(subs, 12, level=90)


def test_contracts_forecast_no_purchases_from_a_log(clv):
    log = pc.datasets.simulate(n_customers=50, seed=1).log
    for method in (pc.SBG(), pc.CLV(pc.BDW())):
        with pytest.raises(TypeError, match="forecasts no purchases from a log"):
            pc.backtest(log, amount="amount", methods=[method], cutoffs=["2024-06-01"], horizons=["4 weeks"])
    rfm = pc.datasets.simulate_rfm(n_customers=50, seed=1).rfm
    with pytest.raises(TypeError, match="Expected Subscriptions"):
        clv.predict(rfm, 12)
    with pytest.raises(TypeError, match="Expected Subscriptions"):
        pc.write_report("report.html", clv=clv, rfm=rfm)


def test_the_command_line_refuses_a_model_of_contracts(clv, tmp_path, capsys):
    from predclv.cli import main

    clv.save(tmp_path / "model")
    table = tmp_path / "rfm.csv"
    pc.datasets.simulate_rfm(n_customers=20, seed=1).rfm.to_pandas().to_csv(table, index=False)
    arguments = ["predict", str(table), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out.csv")]
    assert main(arguments) == 2
    assert "forecasts renewals of contracts" in capsys.readouterr().err
