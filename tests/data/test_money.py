"""Money in whole numbers of a minor unit: exact, the same in every engine, and refused where it is none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from engines import ENGINES
from predclv import RFMSummary, backtest, purchase_timeline, split_transactions
from predclv.data.money import parse_minor_unit
from predclv.errors import DataError

START = {"observation_start": "2022-01-01"}
AS_OF = {"observation_end": "2022-11-15", **START}


def make_log(n: int = 4_000) -> pd.DataFrame:
    """Purchases in cents from 1 to ten million units, returns among them, many at one instant."""
    rng = np.random.default_rng(5)
    cents = np.floor(np.exp(rng.uniform(0, np.log(1e9), n))) * np.where(rng.random(n) < 0.1, -1, 1)
    return pd.DataFrame(
        {
            "customer_id": rng.integers(0, n // 10, n),
            "date": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D").astype("m8[us]"),
            "amount": cents / 100,
            "cents": cents.astype(np.int64),
        }
    )


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return make_log()


def exact_means(log: pd.DataFrame) -> list[float]:
    """Mean spend of repeat purchases by fractions: days with a purchase, returns on the day or before."""
    found = []
    for _, rows in log.sort_values("customer_id").groupby("customer_id"):
        bought = rows[rows["cents"] >= 0]
        if bought.empty:
            continue
        days = sorted(bought["date"].unique())
        repeat = sum(int(cents) for cents in bought.loc[bought["date"] > days[0], "cents"])
        if len(days) > 1:
            repeat += sum(int(cents) for cents in rows.loc[(rows["cents"] < 0) & (rows["date"] >= days[1]), "cents"])
            found.append(float(Fraction(max(repeat, 0), 100 * (len(days) - 1))))
        else:
            found.append(0.0)
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_finds_the_exact_mean(log: pd.DataFrame, engine: str) -> None:
    frame = ENGINES[engine](log)
    rfm = RFMSummary.from_transactions(frame, amount="amount", minor_unit=0.01, **AS_OF)
    assert rfm.monetary_value is not None
    assert rfm.monetary_value.tolist() == exact_means(log)
    shuffled = ENGINES[engine](log.sample(frac=1, random_state=1))
    again = RFMSummary.from_transactions(shuffled, amount="amount", minor_unit="0.01", **AS_OF)
    np.testing.assert_array_equal(rfm.monetary_value, again.monetary_value)


@pytest.mark.parametrize("engine", ENGINES)
def test_purchases_at_one_instant_share_the_first_amount_alike(log: pd.DataFrame, engine: str) -> None:
    options = {"amount": "amount", "minor_unit": 0.01, "collapse": "none", **AS_OF}
    found, expected = (RFMSummary.from_transactions(frame, **options) for frame in (ENGINES[engine](log), log))
    np.testing.assert_array_equal(found.monetary_value, expected.monetary_value)


def test_without_a_minor_unit_the_same_but_for_rounding(log: pd.DataFrame) -> None:
    exact, floats = (
        RFMSummary.from_transactions(log, amount="amount", minor_unit=unit, **AS_OF) for unit in (0.01, None)
    )
    np.testing.assert_allclose(floats.monetary_value, exact.monetary_value, rtol=1e-9, atol=1e-6)
    # Notes on money are in money, and not in minor units.
    columns = ["what", "count", "note"]
    pd.testing.assert_frame_equal(exact.quality[columns], floats.quality[columns])


def test_splits_and_timelines_are_in_money(log: pd.DataFrame) -> None:
    one, other = (
        split_transactions(log, at="2022-06-30", holdout_end="2022-12-31", amount="amount", minor_unit=unit, **START)
        for unit in (0.01, None)
    )
    np.testing.assert_allclose(one.holdout["spend"], other.holdout["spend"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(one.calibration.monetary_value, other.calibration.monetary_value, rtol=1e-9, atol=1e-6)
    spend = [purchase_timeline(log, by="month", amount="amount", minor_unit=unit)["spend"] for unit in (0.01, None)]
    np.testing.assert_allclose(spend[0], spend[1], rtol=1e-12)
    with pytest.raises(DataError, match="backtest adds money up as floats"):
        backtest(log, amount="amount", minor_unit=0.01, methods=["zero"], horizons=["4 weeks"])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_amount_between_two_minor_units_is_refused(log: pd.DataFrame, engine: str) -> None:
    rows = log.head(50).assign(amount=lambda rows: rows["amount"].where(rows.index != 7, 26.485))
    with pytest.raises(
        DataError,
        match=rf"'amount' is no multiple of minor_unit=0.01 for 1 of 50 rows \(first: customer "
        rf"{rows['customer_id'][7]}, 26\.485\)\. Round them",
    ):
        RFMSummary.from_transactions(ENGINES[engine](rows), amount="amount", minor_unit=0.01, **AS_OF)
    rows.loc[7, "amount"] = -1e17
    with pytest.raises(DataError, match=r"too large to be added up exactly in units of 0.01 in 1 of 50 rows"):
        RFMSummary.from_transactions(ENGINES[engine](rows), amount="amount", minor_unit=0.01, **AS_OF)


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_that_are_not_exact_are_refused(engine: str) -> None:
    rows = pd.DataFrame({"customer_id": [1, 1, 2], "date": pd.Timestamp("2022-01-01"), "amount": [6e13, 6e13, 1.0]})
    with pytest.raises(DataError, match=r"more than a number holds for 1 of 2 customers \(first: customer 1\)"):
        RFMSummary.from_transactions(ENGINES[engine](rows), amount="amount", minor_unit=0.01, **AS_OF)


def test_amounts_that_were_worked_out_are_taken(log: pd.DataFrame) -> None:
    prices = np.round(np.random.default_rng(3).uniform(0.01, 5_000, len(log)), 2)
    quantity = np.arange(len(log)) % 13 + 1
    rows = log.assign(amount=prices * quantity)
    assert (rows["amount"] != np.round(rows["amount"], 2)).any()
    found = RFMSummary.from_transactions(rows, amount="amount", minor_unit=0.01, **AS_OF)
    rounded = rows.assign(amount=np.round(rows["amount"], 2))
    expected = RFMSummary.from_transactions(rounded, amount="amount", minor_unit=0.01, **AS_OF)
    np.testing.assert_array_equal(found.monetary_value, expected.monetary_value)


@pytest.mark.parametrize(("unit", "size"), [(0.01, "1/100"), ("0.05", "1/20"), (1, "1"), (0.001, "1/1000"), ("5", "5")])
def test_units(unit: object, size: str) -> None:
    found = parse_minor_unit(unit)
    assert found.size == Fraction(size)
    assert found.to_money(3) == float(3 * Fraction(size))


@pytest.mark.parametrize("unit", [0, -0.01, "cent", True, float("nan"), float("inf"), 1e-12, [0.01], ""])
def test_what_is_no_unit(unit: object, log: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"minor_unit=.* is no amount of money"):
        RFMSummary.from_transactions(log, amount="amount", minor_unit=unit, **AS_OF)


def test_a_unit_needs_amounts(log: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no amount column is given"):
        RFMSummary.from_transactions(log, minor_unit=0.01, **AS_OF)
    with pytest.raises(DataError, match=r"negative for .* \(first: customer \d+, -\d"):
        RFMSummary.from_transactions(log, amount="amount", minor_unit=0.01, returns="error", **AS_OF)
