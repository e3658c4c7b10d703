"""The whole road: from a log to tables that hang together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import Counts, Forecast, costs
from predclv.backtesting import methods as registry
from predclv.backtesting.blocks import QUANTILES
from predclv.errors import DataQualityWarning, FitError

SIM = pc.datasets.simulate(n_customers=150, births="26 weeks", observed="52 weeks", holdout="13 weeks", seed=4)
LOG = SIM.log.assign(shop=np.where(SIM.log["customer_id"] % 3, "a", "b"))
ASKED = {"observation_end": SIM.end, "progressbar": False, "n_bootstrap": 20}


@pytest.fixture(autouse=True)
def _costs_are_rough(monkeypatch):
    # Collecting garbage before each measurement takes longer than the methods here.
    monkeypatch.setattr(costs, "_give_back", lambda: None)


class PoissonRate:
    """Own rate, shrunk, with Poisson counts around it: a user's method of a few lines."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, rfm, log):
        self.rate = rfm.frequency.sum() / rfm.T.sum()
        return self

    def predict(self, rfm, log, horizon):
        mean = self.factor * (rfm.frequency + self.rate) / (rfm.T + 1) * horizon
        draws = np.random.default_rng(0).poisson(mean.sum(), 200).astype(float)
        return Forecast(mean, Counts.poisson(mean), totals={"purchases": draws})


class Broken(PoissonRate):
    def fit(self, rfm, log):
        raise ValueError("meant to fail")


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "_give_back", lambda: None)
        patch.setattr(registry, "find_spec", lambda package: None)
        return pc.backtest(
            LOG,
            methods={
                "own": PoissonRate(),
                "twice": PoissonRate(2.0),
                "naive": "naive",
                "broken": Broken(),
                "kit": "clvkit_bg_nbd",
            },
            cutoffs=["2024-11-03", "2024-12-29"],
            horizons=["4 weeks", "8 weeks"],
            amount="amount",
            reference="naive",
            segments=["shop"],
            recalibrate="pit",
            combine=True,
            currency="USD",
            **ASKED,
        )


NAMES = ["own", "own_recalibrated", "twice", "twice_recalibrated", "naive", "combination"]


def test_settings_say_what_was_asked(result):
    expected = {
        "methods": ["own", "own_recalibrated", "twice", "twice_recalibrated", "naive", "broken", "kit", "combination"],
        "cutoffs": ["2024-11-03", "2024-12-29"],
        "horizons": ["4 weeks", "8 weeks"],
        "reference": "naive",
        "history": "expanding",
        "window": None,
        "refit": True,
        "recalibrate": "pit",
        "combine": True,
        "level": 0.9,
        "n_bootstrap": 20,
        "random_state": 0,
        "segments": ["shop"],
        "time_unit": "week",
        "collapse": "day",
        "opportunities": None,
        "currency": "USD",
        "has_amounts": True,
        "log_end": str(SIM.end),
        "warnings": [],
    }
    assert result.settings == expected


def test_runs_have_a_row_for_each_cutoff_and_method(result):
    runs = result.runs
    assert list(zip(runs["cutoff"], runs["method"], strict=True)) == [
        (cutoff, name) for cutoff in ("2024-11-03", "2024-12-29") for name in ("own", "twice", "naive", "broken", "kit")
    ]
    assert runs["status"].tolist() == ["ok", "ok", "ok", "failed", "skipped"] * 2
    assert runs["error"].tolist()[3:5] == ["ValueError: meant to fail", "needs clvkit: pip install 'predclv[peers]'"]
    ok = runs[runs["status"] == "ok"]
    assert (ok[["fit_cpu_seconds", "predict_cpu_seconds"]] >= 0).all(axis=None)
    assert runs[runs["status"] != "ok"]["predict_cpu_seconds"].isna().all()


def test_customers_are_counted_by_hand(result):
    day = LOG.assign(day=LOG["date"].dt.normalize()).drop_duplicates(["customer_id", "day"])
    for row in result.customers.to_dict("records"):
        cutoff, end = pd.Timestamp(row["cutoff"]), pd.Timestamp(row["end"])
        known = set(day.loc[day["day"] <= cutoff, "customer_id"])
        after = day[(day["day"] > cutoff) & (day["day"] <= end)]
        theirs = after[after["customer_id"].isin(known)]
        assert row["customers"] == len(known)
        assert (row["buyers"], row["purchases"]) == (theirs["customer_id"].nunique(), len(theirs))
        assert (row["new_customers"], row["new_purchases"]) == (
            after["customer_id"].nunique() - theirs["customer_id"].nunique(),
            len(after) - len(theirs),
        )
    assert result.customers["horizon"].tolist() == ["4 weeks", "8 weeks"] * 2


def test_forecasts_have_a_row_for_each_customer_and_quantity(result):
    table = result.forecasts
    quantiles = ["q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975"]
    key = ["cutoff", "horizon", "method", "quantity", "customer_id"]
    assert list(table.columns) == [*key, "mean", *quantiles, "actual", "crps", "p_purchase", "pit_below", "pit_at"]
    assert len(quantiles) == len(QUANTILES)
    assert not table.duplicated(key).any()
    assert (table.dtypes[key[:4]] == "category").all()
    assert (
        table.dtypes[["mean", *quantiles, "actual", "crps", "p_purchase", "pit_below", "pit_at"]] == "float64"
    ).all()
    n = result.customers.set_index(["cutoff", "horizon"])["customers"]
    purchases = table[table["quantity"] == "purchases"]
    sizes = purchases.groupby(["cutoff", "horizon", "method"], observed=True).size()
    for (cutoff, horizon, _), size in sizes.items():
        assert size == n[cutoff, horizon]
    assert set(sizes.index.get_level_values("method")) == set(NAMES)
    points = table["method"] == "naive"
    assert table.loc[points, [*quantiles, "pit_below", "pit_at"]].isna().all(axis=None)
    assert np.allclose(table.loc[points, "crps"], (table["mean"] - table["actual"]).abs()[points])
    assert table.loc[~points & (table["quantity"] == "purchases"), quantiles].notna().all(axis=None)
    # Earlier forecasts alone can be learnt from, so what is derived begins at the second cut-off.
    assert set(table.loc[table["method"].isin(["combination", "own_recalibrated"]), "cutoff"]) == {"2024-12-29"}


def test_spend_is_of_those_who_bought(result):
    table = result.forecasts.query("method == 'naive'")
    bought = table.query("quantity == 'purchases' and actual > 0")
    spend = table.query("quantity == 'spend'")
    value = table.query("quantity == 'value' and actual > 0")
    key = ["cutoff", "horizon", "customer_id"]
    assert set(map(tuple, spend[key].to_numpy())) == set(map(tuple, bought[key].to_numpy()))
    per_purchase = value.set_index(key)["actual"] / bought.set_index(key)["actual"]
    np.testing.assert_allclose(spend.set_index(key)["actual"].sort_index(), per_purchase.sort_index())


def test_totals_are_sums_of_the_forecasts(result):
    found = result.totals.query("level == 0.9 and quantity == 'purchases'").set_index(["cutoff", "horizon", "method"])
    sums = result.forecasts.query("quantity == 'purchases'").groupby(["cutoff", "horizon", "method"], observed=True)
    np.testing.assert_allclose(found["expected"], sums["mean"].sum().loc[found.index])
    np.testing.assert_allclose(found["actual"], sums["actual"].sum().loc[found.index])
    assert found.xs("naive", level="method")["inside"].isna().all()
    assert found.xs("own", level="method")["inside"].notna().all()
    assert str(result.totals["inside"].dtype) == "boolean"


def test_tracks_end_with_the_longest_horizon(result):
    purchases = result.totals.query("horizon == '8 weeks' and quantity == 'purchases' and level == 0.9")
    totals = purchases.set_index(["cutoff", "method"])
    for key, track in result.tracks.groupby(["cutoff", "method"]):
        total = totals.loc[key]
        assert track["time"].iloc[-1] == pytest.approx(8.0)
        assert track["expected"].iloc[-1] == pytest.approx(total["expected"])
        assert track["actual"].iloc[-1] == total["actual"]


def test_scores_cover_all_that_was_forecast(result):
    scores = result.scores
    assert set(scores["cutoff"]) == {"2024-11-03", "2024-12-29", "all"}
    assert set(scores["method"]) == set(NAMES)
    assert set(scores["by"]) == {"all", "frequency", "decile", "shop"}
    assert set(scores.query("by == 'shop'")["group"]) == {"a", "b"}
    assert set(scores.query("method == 'naive' and by == 'all'")["verdict"]) == {"reference"}
    mae = scores.query("method == 'own' and metric == 'mae' and quantity == 'purchases' and by == 'all'")
    row = mae.query("cutoff == '2024-12-29' and horizon == '4 weeks'").iloc[0]
    own = result.forecasts.query("method == 'own' and cutoff == '2024-12-29' and horizon == '4 weeks'")
    own = own.query("quantity == 'purchases'")
    assert row["value"] == pytest.approx((own["mean"] - own["actual"]).abs().mean())


def test_recalibrations_and_weights_say_what_was_learnt(result):
    assert set(result.recalibrations["cutoff"]) == {"2024-12-29"}
    assert set(result.recalibrations["method"]) == {"own", "twice"}
    weights = result.weights.query("horizon == '4 weeks'").set_index("method")["weight"]
    assert set(weights.index) == {"own", "twice"}
    assert weights.sum() == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_tables_whatever_the_number_of_processes(result):
    asked = {"methods": ["bg_nbd", "naive"], "cutoffs": ["2024-12-29"], "horizons": ["4 weeks"], **ASKED}
    one, two, three = (
        pc.backtest(LOG, **asked, n_jobs=n_jobs, random_state=seed) for n_jobs, seed in ((1, 3), (2, 3), (1, 4))
    )
    for name in ("forecasts", "scores", "totals", "tracks", "deciles", "pit", "gains", "reliability"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    assert not one.scores["low"].equals(three.scores["low"])


def test_nothing_that_can_be_combined_is_told():
    asked = {"methods": ["naive", "zero"], "cutoffs": ["2024-11-03", "2024-12-29"], "horizons": ["4 weeks"], **ASKED}
    with pytest.warns(DataQualityWarning) as caught:
        found = pc.backtest(LOG, **{**asked, "methods": ["naive", PoissonRate()]}, combine=True)
    assert [str(one.message) for one in caught] == found.settings["warnings"]
    assert found.settings["warnings"][0].startswith("Nothing was combined: that takes two methods with predictive dist")
    assert found.settings["methods"] == ["naive", "PoissonRate"]


def test_methods_that_all_fail_are_an_error(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    with pytest.raises(
        FitError, match=r"No method has run: 1 of 2 failed \(first: Broken, ValueError: meant to fail\)"
    ):
        pc.backtest(LOG, methods=[Broken(), "clvkit_bg_nbd"], cutoffs=["2024-12-29"], horizons=["4 weeks"], **ASKED)


@pytest.mark.parametrize("engine", ["polars", "pyarrow", "csv"])
def test_logs_of_all_kinds_give_the_same_scores(engine, tmp_path):
    asked = {"methods": ["naive", "zero"], "cutoffs": ["2024-12-29"], "horizons": ["4 weeks"], **ASKED}
    days = SIM.log.assign(date=SIM.log["date"].dt.normalize(), customer_id="c" + SIM.log["customer_id"].astype(str))
    if engine == "csv":
        other = tmp_path / "log.csv"
        days.to_csv(other, index=False)
    else:
        module = pytest.importorskip(engine)
        other = module.from_pandas(days) if engine == "polars" else module.Table.from_pandas(days)
    expected, found = (pc.backtest(log, amount="amount", **asked) for log in (days, other))
    pd.testing.assert_frame_equal(expected.scores, found.scores)
    assert sorted(found.forecasts["customer_id"]) == sorted(expected.forecasts["customer_id"])


def test_progress_can_be_followed_by_a_function():
    said = []
    asked = {"methods": ["naive", "zero"], "cutoffs": ["2024-12-29"], "horizons": ["4 weeks"], "n_bootstrap": 2}
    pc.backtest(LOG, **asked, observation_end=SIM.end, progressbar=lambda *told: said.append(told))
    assert said == [(1, 2, "naive at 2024-12-29"), (2, 2, "zero at 2024-12-29")]


def test_settings_are_plain_whatever_was_given():
    asked = {"methods": "zero", "n_cutoffs": np.int64(1), "horizons": np.float64(4), "observation_end": SIM.end}
    numbers = {"n_bootstrap": np.int64(5), "level": np.float64(0.8), "random_state": np.uint8(3)}
    found = pc.backtest(LOG, **asked, **numbers, progressbar=False)
    kinds = {name: type(found.settings[name]) for name in ("n_bootstrap", "level", "random_state", "refit", "combine")}
    assert kinds == {"n_bootstrap": int, "level": float, "random_state": int, "refit": bool, "combine": bool}


def test_without_refitting_scores_are_of_one_fit():
    asked = {"methods": [PoissonRate()], "n_cutoffs": 2, "horizons": "4 weeks", **ASKED}
    found = pc.backtest(LOG, refit=False, **asked)
    assert found.runs["fit_cpu_seconds"].tolist()[1] == 0
    assert found.runs["status"].tolist() == ["ok", "ok"]


class FailsAt:
    """Fails at some cut-offs."""

    def __init__(self, *cutoffs):
        self.cutoffs = cutoffs

    def fit(self, rfm, log):
        if str(rfm.observation_end) in self.cutoffs:
            raise ValueError("not today")
        return self

    def predict(self, rfm, log, horizon):
        return {"expected_purchases": np.ones(len(rfm))}


def test_the_reference_is_by_default_the_first_that_ran_at_every_cutoff():
    dates = ["2024-06-30", "2024-07-31"]
    asked = {"cutoffs": dates, "horizons": ["4 weeks"], **ASKED}
    methods = {"never": FailsAt(*dates), "once": FailsAt(dates[0]), "naive": "naive", "zero": "zero"}
    result = pc.backtest(SIM.log, methods=methods, **asked)
    assert result.settings["reference"] == "naive"
    assert set(result.scores.query("method == 'zero' and metric == 'crps' and by == 'all'")["verdict"]) <= {
        "better",
        "worse",
        "within noise",
    }
    some = {name: methods[name] for name in ("never", "once")}
    assert pc.backtest(SIM.log, methods=some, **asked).settings["reference"] == "once"
    with pytest.warns(DataQualityWarning, match="reference 'never' did not run"):
        pc.backtest(SIM.log, methods=methods, reference="never", **asked)
