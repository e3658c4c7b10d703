"""An explanation says what `predict` says, and its parts make the whole."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv import checks
from predclv.errors import DataError, HorizonWarning

TRANSACTIONS = [key for key, model in pc.MODELS.items() if model.KIND == "transactions"]
CONTRACTS = [key for key, model in pc.MODELS.items() if model.KIND == "contract"]


def simulate(key: str) -> pc.RFMSummary:
    lattice = None if key == "bg_bb" else 7
    return pc.datasets.simulate_rfm(key, n_customers=300, T=(10.0, 60.0), lattice=lattice, seed=3).rfm


def fit(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data)


@pytest.fixture(scope="module", params=TRANSACTIONS)
def explained(request):
    rfm = simulate(request.param)
    model = fit(pc.MODELS[request.param](), rfm)
    customer = rfm.customer_id[np.flatnonzero(rfm.frequency >= 2)[0]]
    return model, rfm, model.explain(rfm, customer, 8)


def test_it_says_what_predict_says(explained):
    model, rfm, told = explained
    row = model.predict(rfm, 8).set_index("customer_id").loc[told.customer_id]
    pd.testing.assert_series_equal(told.forecast, row, check_dtype=False)
    assert told.changes["expected_purchases"][0] == row["expected_purchases"]
    part = model.purchase_distribution(rfm, 8)
    np.testing.assert_array_equal(
        told.distribution["probability"], part.loc[part["customer_id"] == told.customer_id, "probability"]
    )


def test_its_parts_make_the_whole(explained):
    _, _, told = explained
    p_alive, rate, years, purchases = (
        told.fact("value", part) for part in ("p_alive", "purchases_a_year", "years", "expected_purchases")
    )
    assert rate * years == pytest.approx(purchases, rel=1e-12)
    assert purchases == pytest.approx(told.forecast["expected_purchases"], rel=1e-12)
    # Nobody buys more than one who is there and stays.
    length = 8 / {"week": 365.25 / 7, "year": 1.0}[told.time_unit]
    assert years <= p_alive * length * (1 + 1e-9)
    past = told.alive[told.alive["when"] == "past"]
    assert past["p_alive"].iloc[-1] == pytest.approx(told.forecast["p_alive"], rel=1e-12)
    ahead = told.alive.loc[told.alive["when"] == "ahead", "p_alive"]
    assert (np.diff(ahead) <= 1e-12).all()
    assert told.distribution["probability"].sum() == pytest.approx(1, abs=1e-5)


def test_the_history_is_weighed_as_the_model_weighs_it(explained):
    model, _, told = explained
    row = told.weights.iloc[0]
    mixed = row["weight"] * row["own"] + (1 - row["weight"]) * row["population"]
    if "cnbd" in model.KEY:
        # What the silence says of the purchase under way is neither's.
        assert 0 < row["weight"] < 1
    else:
        assert mixed == pytest.approx(row["forecast"], rel=1e-9)


def test_what_would_change_it_is_a_forecast_of_another_history(explained):
    model, rfm, told = explained
    at = int(np.flatnonzero(rfm.customer_id == told.customer_id)[0])
    x, t_x, T = int(rfm.frequency[at]), float(rfm.recency[at]), float(rfm.T[at])
    counted = model.bindings.counts_opportunities
    step = 1 if counted else 0
    rows = {"used": (x + 1, T + step, T + step), "silent": (x, t_x, T + (2 if counted else 13))}
    columns = {"frequency": [], "recency": [], "T": []}
    for history in rows.values():
        for column, number in zip(columns.values(), history, strict=True):
            column.append(number)
    unit = {"opportunities": told.time_unit} if counted else {"time_unit": "week"}
    by_hand = model.predict(pc.RFMSummary.from_frame(pd.DataFrame(columns), **unit), 8)["expected_purchases"]
    found = told.changes.set_index("scenario")["expected_purchases"]
    used, silent = (
        (f"the next {told.time_unit} used", f"the next 2 {told.time_unit}s missed")
        if counted
        else ("one more purchase today", "another 13 weeks of silence")
    )
    np.testing.assert_allclose([found[used], found[silent]], by_hand, rtol=1e-12)
    change = told.changes.set_index("scenario")["change"]
    assert change[silent] < 0
    # Of regular buyers, one who has just bought is the furthest from the next purchase.
    assert change[used] > 0 or "cnbd" in model.KEY
    assert f"{used} {change[used]:+.0%}".replace("%", " %") in told.say()


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize(("horizon", "estimate"), [("39 weeks", "point"), ("39 weeks", "draws"), (np.inf, "point")])
def test_value_is_how_often_times_how_long_times_how_much(clv, cdnow, horizon, estimate):
    customer = cdnow.customer_id[int(np.argmax(cdnow.frequency))]
    told = clv.explain(cdnow, customer, horizon, margin=0.3, estimate=estimate)
    some = cdnow[cdnow.customer_id == customer]
    row = clv.predict(some, horizon, margin=0.3, estimate=estimate).iloc[0].drop("customer_id")
    np.testing.assert_array_equal(told.forecast.to_numpy(float), row.to_numpy(float))
    factors = ["purchases_a_year", "years", "expected_spend", "margin", *(["discount"] if horizon != np.inf else [])]
    product = np.prod([told.fact("value", part) for part in factors])
    assert product == pytest.approx(row["expected_clv"], rel=1e-9)
    assert told.fact("value", "expected_clv") == pytest.approx(row["expected_clv"], rel=1e-9)
    spend = told.weights.set_index("quantity").loc["spend"]
    if estimate == "point":
        mixed = spend["weight"] * spend["own"] + (1 - spend["weight"]) * spend["population"]
        assert mixed == pytest.approx(spend["forecast"], rel=1e-9)
    assert spend["forecast"] == pytest.approx(row["expected_spend"], rel=0.01)
    changes = told.changes.set_index("scenario")
    # One more purchase of the expected amount says nothing new of the amount.
    assert changes.loc["one more purchase today", "expected_spend"] == pytest.approx(row["expected_spend"], rel=1e-3)
    assert 0 < changes.loc["baskets 10 % larger", "change"] < 0.1
    assert len(told.distribution) == (0 if horizon == np.inf else told.distribution["n"].max() + 1)


def test_known_purchases_begin_the_path_with_the_first(bg, cdnow):
    log = pc.datasets.load_cdnow()
    customer = cdnow.customer_id[int(np.argmax(cdnow.frequency))]
    dates = log.loc[log["customer_id"] == customer, "date"]
    told = bg.explain(cdnow, customer, 39, purchases=dates)
    past = told.alive[told.alive["when"] == "past"]
    assert past["time"].iloc[0] == 0
    assert len(told.purchase_times) == cdnow.frequency.max() + 1
    followed = checks.follow_customer(bg, dates, until="1997-09-30")
    seen = np.interp(past["date"].astype("int64"), followed.times.astype("int64"), followed.p_alive)
    # Between two points of a grid, and at a jump, a straight line misses a little.
    assert np.median(np.abs(seen - past["p_alive"])) < 1e-3
    bare = bg.explain(cdnow, customer, 39)
    first = bare.alive["time"].iloc[0]
    assert first == cdnow.recency[cdnow.customer_id == customer][0]
    assert any("purchases=" in note for note in bare.notes)
    with pytest.raises(DataError, match=r"holds 3 purchases of customer .* the summary says 30"):
        bg.explain(cdnow, customer, 39, purchases=dates[:3])
    numbers = np.array(told.purchase_times) + 7.0
    assert bg.explain(cdnow, customer, 39, purchases=numbers).purchase_times == pytest.approx(told.purchase_times)


def test_one_time_buyers_and_buyers_of_today(clv, bg, cdnow):
    once = cdnow.customer_id[cdnow.frequency == 0][0]
    told = clv.explain(cdnow, once, "39 weeks")
    assert "has bought once" in told.say()
    assert any("leaves before a repeat purchase" in note for note in told.notes)
    assert any("nobody ever leaves" in note for note in pc.NBD().fit(cdnow).explain(cdnow, once, 39).notes)
    spend = told.weights.set_index("quantity").loc["spend"]
    assert spend["weight"] == 0
    assert "baskets 10 % larger" not in set(told.changes["scenario"])
    table = pd.DataFrame({"customer_id": ["new", "now"], "frequency": [0, 2], "recency": [0.0, 5.0], "T": [0.0, 5.0]})
    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    for customer in table["customer_id"]:
        told = bg.explain(rfm, customer, 13)
        assert "one more purchase today" not in set(told.changes["scenario"])
        assert any("at the as-of date itself" in note for note in told.notes)
    assert bg.explain(rfm, "new", 13).weights["weight"][0] == 0


def test_segments_covariates_and_weights():
    rfm = simulate("bg_nbd")
    kind = np.where(np.arange(len(rfm)) % 2 == 0, "shop", "<b>web</b>")
    table = rfm.to_pandas().assign(kind=kind)
    carried = pc.RFMSummary.from_frame(table, time_unit="week", carry=["kind"])
    customer = carried.customer_id[1]
    for model in (pc.BGNBD(method="map", segment="kind"), pc.BGNBD(purchase_covariates=["kind"])):
        fitted = fit(model, carried)
        told = fitted.explain(carried, customer, 13)
        row = fitted.predict(carried, 13).set_index("customer_id").loc[customer]
        np.testing.assert_array_equal(told.forecast.to_numpy(float), row.to_numpy(float))
        assert any("<b>web</b>" in note for note in told.notes)
        assert "<b>web" not in told._repr_html_()
    weighted = pc.RFMSummary.from_frame(
        table.head(20).assign(customer_id=range(20), weight=range(1, 21)), time_unit="week"
    )
    told = fit(pc.BGNBD(), rfm).explain(weighted, 4, 13)
    assert told.fact("history", "customers like this") == 5


@pytest.mark.parametrize("key", CONTRACTS)
def test_contracts(key):
    subs = pc.datasets.simulate_contracts(key, n_customers=400, observed=(0, 24), seed=3).subs
    table = subs.to_pandas().assign(price=np.linspace(10, 20, len(subs)))
    subs = pc.Subscriptions.from_frame(table, period=subs.period, price="price", currency="EUR")
    clv = fit(pc.CLV(pc.MODELS[key]()), subs)
    customer = subs.customer_id[~subs.ended & (subs.tenure >= 2)][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        for horizon in (12, np.inf):
            told = clv.explain(subs, customer, horizon, margin=0.5)
            row = clv.predict(subs, horizon, margin=0.5).set_index("customer_id").loc[customer]
            np.testing.assert_array_equal(told.forecast.to_numpy(float), row.to_numpy(float))
            assert told.fact("value", "expected_clv") == pytest.approx(row["expected_clv"], rel=1e-9)
        told = clv.transactions_.explain(subs, customer, 12)
        weights = told.weights.iloc[0]
        p_renew = clv.transactions_.p_renew(subs).set_index("customer_id")["p_renew"]
        assert weights["forecast"] == pytest.approx(p_renew[customer], rel=1e-12)
        if key == "sbg":
            mixed = weights["weight"] + (1 - weights["weight"]) * weights["population"]
            assert mixed == pytest.approx(weights["forecast"], rel=1e-9)
        found = clv.transactions_.renewal_distribution(subs, 12)
        np.testing.assert_allclose(
            told.distribution["probability"],
            found.loc[found["customer_id"] == customer, "probability"],
            rtol=1e-9,
            atol=1e-12,
        )
        gone = clv.explain(subs, subs.customer_id[subs.ended][0], 12)
    assert "has ended" in gone.say()
    assert gone.forecast["expected_clv"] == 0
    with pytest.raises(ValueError, match="Leave it out"):
        clv.explain(subs, customer, 12, purchases=[1, 2])


@pytest.mark.parametrize(
    ("purchases", "said"),
    [
        (["soon"], "neither a date nor a number"),
        ([None, "1997-01-01"], "no time for 1 of 2"),
        ([np.nan, 1.0], "no time for 1 of 2"),
        (pd.to_datetime(["1997-01-01"]).tz_localize("UTC"), "has a time zone"),
        ([], "holds 0 purchases"),
    ],
)
def test_purchases_that_are_none(bg, cdnow, purchases, said):
    with pytest.raises(DataError, match=said):
        bg.explain(cdnow, 157, 39, purchases=purchases)


class TestWhoIsNotThere:
    def test_a_number_names_those_near(self, bg, cdnow):
        with pytest.raises(DataError, match=r"none of the 2,357 in the summary. Near it are 2355, 2356, 2357"):
            bg.explain(cdnow, 9999, 39)

    def test_another_type_is_told(self, bg, cdnow):
        with pytest.raises(DataError, match="There is 4, of type int and not str: give it so"):
            bg.explain(cdnow, "4", 39)

    def test_text_names_what_is_alike(self, bg):
        table = pd.DataFrame({"customer_id": ["anna", "Bert"], "frequency": [0, 0], "recency": [0, 0], "T": [3, 4]})
        rfm = pc.RFMSummary.from_frame(table, time_unit="week")
        with pytest.raises(DataError, match="Near it are 'Bert'"):
            bg.explain(rfm, "bart", 39)
        with pytest.raises(DataError, match=r"in the summary. All are in its customer_id"):
            bg.explain(rfm, "zzz", 39)


def test_it_prints_and_shows(clv, cdnow):
    told = clv.explain(cdnow, cdnow.customer_id[0], "39 weeks")
    lines = str(told).splitlines()
    assert lines[0].startswith(f"Customer {cdnow.customer_id[0]} has bought")
    assert "as of 1997-09-30" in lines[0]
    assert "Worth" in lines[3]
    assert repr(told).startswith("<Explanation of customer")
    assert "<table" in told._repr_html_()
    table = pd.DataFrame({"customer_id": ["<i>x</i>"], "frequency": [1], "recency": [2], "T": [3]})
    told = clv.transactions_.explain(pc.RFMSummary.from_frame(table, time_unit="week"), "<i>x</i>", 13)
    assert "<i>" not in told._repr_html_()
