"""What a method may return, in which order, and every way of being wrong."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import Counts, Forecast, Values
from predclv.backtesting.predictions import as_forecast
from predclv.errors import FitError

IDS = np.array(["d", "a", "c", "b"])
PURCHASES = np.array([4.0, 1.0, 3.0, 2.0])


@pytest.fixture(scope="module")
def rfm():
    table = pd.DataFrame({"customer_id": IDS, "frequency": 1, "recency": 1.0, "T": 2.0})
    return pc.RFMSummary.from_frame(table, time_unit="week")


def columns(**more):
    return {"expected_purchases": PURCHASES, **more}


def shuffled(**more):
    """The same columns in the order of the alphabet, with whose they are."""
    order = np.argsort(IDS)
    return {"customer_id": IDS[order], **{name: np.asarray(column)[order] for name, column in columns(**more).items()}}


P = np.array([0.4, 0.1, 0.3, 0.2])


@pytest.mark.parametrize(
    "found",
    [
        Forecast(PURCHASES, p_purchase=P),
        columns(p_purchase=P),
        MappingProxyType(columns(p_purchase=list(P))),
        pd.DataFrame(columns(p_purchase=P)),
        pd.DataFrame(columns(p_purchase=P), index=IDS[::-1]),  # an index without a name says nothing
        shuffled(p_purchase=P),
        pd.DataFrame(shuffled(p_purchase=P)),
        pd.DataFrame(shuffled(p_purchase=P)).set_index("customer_id"),
        {name: column for name, column in pd.DataFrame(shuffled(p_purchase=P)).set_index("customer_id").items()},
    ],
    ids=["Forecast", "mapping", "lists", "frame", "plain index", "ids", "frame ids", "index", "indexed series"],
)
def test_all_forms_say_the_same(found, rfm):
    forecast = as_forecast(found, rfm)
    assert forecast.expected_purchases.tolist() == PURCHASES.tolist()
    assert forecast.p_purchase.tolist() == P.tolist()
    assert forecast.expected_value is None
    assert forecast.purchases is None


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries(library, rfm):
    module = pytest.importorskip(library)
    table = shuffled()
    frame = module.DataFrame(table) if library == "polars" else module.table(table)
    assert as_forecast(frame, rfm).expected_purchases.tolist() == PURCHASES.tolist()


def test_distributions_follow_their_customers(rfm):
    counts = Counts.poisson(np.sort(PURCHASES))  # in the order of the alphabet
    value = Values.from_samples(np.sort(PURCHASES) * np.ones((5, 1)))
    forecast = as_forecast({**shuffled(), "purchases": counts, "value": value}, rfm)
    np.testing.assert_allclose(forecast.purchases.mean(), PURCHASES, rtol=1e-6)
    np.testing.assert_allclose(forecast.value.at_levels([0.5])[:, 0], PURCHASES)
    np.testing.assert_allclose(forecast.p_purchase, 1 - np.exp(-PURCHASES), rtol=1e-6)


def test_p_purchase_is_that_of_the_distribution_unless_given(rfm):
    counts = Counts.poisson(PURCHASES)
    assert as_forecast(Forecast(PURCHASES, counts), rfm).p_purchase.tolist() == counts.p_positive().tolist()
    assert as_forecast(Forecast(PURCHASES, counts, P), rfm).p_purchase.tolist() == P.tolist()


def test_a_forecast_does_not_change_with_the_methods_own_arrays(rfm):
    own = PURCHASES.copy()
    forecast = as_forecast({"expected_purchases": own}, rfm)
    own[:] = 99
    assert forecast.expected_purchases.tolist() == PURCHASES.tolist()


def test_whole_numbers_and_flags_are_numbers(rfm):
    forecast = as_forecast({"expected_purchases": [1, 0, 2, 3], "p_purchase": [True, False, True, True]}, rfm)
    assert forecast.expected_purchases.dtype == forecast.p_purchase.dtype == np.float64


def test_what_goes_with_a_forecast_is_brought_to_one_form(rfm):
    found = Forecast(
        PURCHASES,
        totals=MappingProxyType({"purchases": [9, 10, 12]}),
        track=([1, 2], [5, 10]),
        notes="a sentence",  # type: ignore[arg-type]
    )
    forecast = as_forecast(found, rfm)
    assert forecast.notes == ("a sentence",)
    assert type(forecast.totals) is dict
    assert forecast.totals["purchases"].tolist() == [9.0, 10.0, 12.0]
    assert [part.tolist() for part in forecast.track] == [[1.0, 2.0], [5.0, 10.0]]


def wrong(position, value):
    found = PURCHASES.copy()
    found[position] = value
    return found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "predict returned NoneType, neither a Forecast nor columns"),
        (PURCHASES, "predict returned ndarray"),
        (pd.Series(PURCHASES), "predict returned Series"),
        ({}, "predict returned no expected_purchases"),
        ({"p_purchase": P}, "predict returned no expected_purchases"),
        (columns(expected_purchase=P), "an unknown column 'expected_purchase'"),
        (columns(**{"T": P}), "an unknown column 'T'"),
        ({**columns(), 3: P, "z": P}, "an unknown column '3'"),
        (pd.DataFrame(columns(notes="x")), "an unknown column 'notes'"),
        (Forecast(None), "has no expected_purchases"),
        (columns(expected_value=PURCHASES[:3]), r"expected_value has the shape \(3,\) for 4 customers"),
        ({"expected_purchases": 1.5}, r"expected_purchases has the shape \(\) for 4 customers"),
        ({"expected_purchases": PURCHASES[:, None]}, r"expected_purchases has the shape \(4, 1\)"),
        ({"expected_purchases": ["many"] * 4}, "expected_purchases holds no numbers: could not convert"),
        ({"expected_purchases": [1.0, [2.0], 3.0, 4.0]}, "expected_purchases holds no numbers"),
        ({"expected_purchases": wrong(2, -1e-9)}, r"negative or not finite for 1 of 4 .* customer c, -1e-"),
        ({"expected_purchases": wrong(1, np.nan)}, r"expected_purchases is negative or not finite .* customer a, nan"),
        ({"expected_purchases": [1.0, None, 2.0, 3.0]}, r"expected_purchases is negative or not finite .*a, nan"),
        (columns(expected_spend=wrong(0, np.inf)), r"expected_spend is negative or not finite .* customer d, inf"),
        (columns(p_purchase=wrong(3, 0)), r"p_purchase is outside \[0, 1\] for 2 of 4 .* customer d, 4"),
        ({**shuffled(), "customer_id": ["a", "a", "c", "d"]}, "returned 4 customer_ids, 3 of them distinct, for 4"),
        ({**shuffled(), "customer_id": ["a", "b", "c", "x"]}, "each must be there once"),
        ({"customer_id": list("abcde"), "expected_purchases": np.ones(5)}, "returned 5 customer_ids"),
        ({"customer_id": IDS, "expected_purchases": np.ones(3)}, r"expected_purchases has the shape \(3,\)"),
        ({"expected_purchases": pd.Series([1.0], pd.Index(["a"], name="customer_id"))}, "returned 1 customer_ids"),
        (columns(purchases=PURCHASES), r"purchases is of type ndarray; .* made by predclv.backtesting.Counts"),
        (columns(value=Counts.poisson(PURCHASES)), "value is of type Counts; .* made by predclv.backtesting.Values"),
        (columns(purchases=Counts.poisson(PURCHASES[:2])), "purchases is a distribution for 2 of 4 customers"),
        (columns(purchases=Counts(np.full(8, np.nan), np.arange(0, 9, 2), np.arange(4))), "no finite mean for 4 of 4"),
        (columns(totals={"money": [1.0]}), "totals must be a mapping of 'purchases' and 'value'"),
        (columns(totals=[1.0, 2.0]), "totals must be a mapping"),
        (columns(totals={"value": []}), r"totals\['value'\] must be finite draws, .* Its shape is \(0,\)"),
        (columns(totals={"value": [1.0, np.nan]}), r"totals\['value'\] must be finite draws"),
        (columns(totals={"value": [[1.0]]}), r"totals\['value'\] must be finite draws, .* Its shape is \(1, 1\)"),
        (columns(track=[1.0, 2.0, 3.0]), "track must be a pair of arrays"),
        (columns(track=([1.0, 2.0], [1.0])), r"track must be finite, .* \(2,\) and \(1,\)"),
        (columns(track=([1.0], [np.nan])), "track must be finite"),
    ],
)
def test_every_way_of_being_wrong(found, message, rfm):
    with pytest.raises(FitError, match=message):
        as_forecast(found, rfm)
