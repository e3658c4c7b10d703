"""Monitoring: alarms that keep their level and see what can be seen, intervals of drift that hold, clear refusals."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

import predclv as pc
from predclv.cli.steps import write_summary
from predclv.decisions import compare_snapshots, watch_snapshots
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.influence import _Side
from predclv.decisions.monitor.parameters import compare_parameters
from predclv.decisions.monitor.population import stability_index
from predclv.decisions.monitor.snapshots import Matched
from predclv.decisions.report.monitor import write_monitor_report
from predclv.errors import DataError, DataQualityWarning, UnitError
from snapshots import fitted, simulate

THETA, SPEND = (2.0, 4.0, 0.3, 6.0), (6.0, 4.0, 15.0)
WINDOW = 10.0

pytestmark = pytest.mark.filterwarnings(
    "ignore::predclv.errors.HorizonWarning",
    "ignore::predclv.errors.DependenceWarning",
    "ignore::predclv.errors.HeavyTailWarning",
)


def stay(seed, n=6_000, **changes):
    """Customers who are there at the old date and do not leave before the new one."""
    return simulate(seed, n, theta=THETA, ages=(10.0, 52.0), window=WINDOW, staying=True, **changes)


@pytest.fixture(scope="module")
def clv():
    seen = simulate(1, 1_500, theta=THETA, ages=(10.0, 52.0)).old
    return fitted(seen, THETA, SPEND)


@pytest.fixture(scope="module")
def unchanged():
    return stay(2)


@pytest.fixture(scope="module")
def quiet(clv, unchanged):
    return compare_snapshots(clv, unchanged.old, unchanged.new, top=1.0, horizon=26)


@pytest.fixture(scope="module")
def base():
    """An ordinary base, in which some leave, and two fits."""
    pair = simulate(78, 2_000, newcomers=500, ages=(0.0, 60.0))
    return pair, pc.CLV().fit(pair.old), pc.CLV().fit(pair.new)


def test_alarms_ring_for_the_level_of_those_who_did_not_change_at_every_frequency(unchanged, quiet):
    for column in ("p_silence", "p_basket"):
        p = quiet.customers[column]
        assert stats.kstest(p.dropna(), "uniform").pvalue > 0.01
        by_frequency = pd.cut(unchanged.old.frequency, [-1, 0, 1, 3, 6, 10, 16, 25, np.inf])
        for _, group in p.groupby(by_frequency, observed=True):
            group = group.dropna()
            if group.empty:
                continue
            # Eight groups, two columns: a deviation of 3.3 comes once in 60 such tests.
            assert np.mean(group <= 0.05) == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / len(group)))
    assert quiet.customers.loc[unchanged.old.frequency == 0, "p_basket"].isna().all()
    counts = quiet.alarm_counts.set_index("kind")
    assert counts.loc["silence", "rang"] == (quiet.customers["p_silence"] <= 0.05).sum()
    # Of those whose value halved, many did so by chance; the level bounds how many ring.
    assert 0 < counts.loc["value", "rang"] <= counts.loc["value", "expected_if_unchanged"]
    assert counts.loc["silence", "false_alarms_per_customer_year"] == pytest.approx(0.05 * 365.25 / 7 / WINDOW)


@pytest.mark.slow
def test_alarms_ring_for_most_of_those_whose_rate_was_cut_to_a_fifth(clv):
    """The best test, which knows the rate, rings for 76 % after five mean gaps."""
    changed = stay(3, 8_000, change=0.2)
    found = compare_snapshots(clv, changed.old, changed.new, top=1.0, horizon=26)
    gaps = changed.rate * WINDOW
    some = (changed.old.frequency >= 10) & (gaps > 4.5) & (gaps < 5.5)
    rang = np.mean(found.customers.loc[some, "p_silence"] <= 0.05)
    level = stats.poisson.cdf([1, 2], 5.0)
    share = (0.05 - level[0]) / (level[1] - level[0])
    best = stats.poisson.cdf(1, 1.0) + share * stats.poisson.pmf(2, 1.0)
    assert best == pytest.approx(0.76, abs=0.005)
    error = np.sqrt(0.25 / some.sum())
    assert 0.5 + 3 * error < rang < best + 3 * error
    silent = found.alarms[found.alarms["kind"] == "silence"]
    assert (silent["p"] <= 0.05).all()
    # Silence beyond doubt needs no randomization, and comes first.
    assert found.alarms["certain"].is_monotonic_decreasing
    assert silent["certain"].mean() > 0.5


def test_smaller_baskets_ring(clv):
    changed = stay(4, 3_000, basket=0.4)
    found = compare_snapshots(clv, changed.old, changed.new, top=1.0, horizon=26)
    many = found.customers["purchases"] >= 3
    assert (found.customers.loc[many, "p_basket"] <= 0.05).mean() > 0.6
    assert stats.kstest(found.customers["p_silence"], "uniform").pvalue > 0.01


@pytest.mark.slow
def test_the_forecast_says_how_many_will_ring_where_some_leave(clv):
    pair = simulate(5, 8_000, theta=THETA, ages=(10.0, 52.0))
    found = compare_snapshots(clv, pair.old, pair.new, horizon=26)
    row = found.alarm_counts.set_index("kind").loc["silence"]
    assert row["rang"] == pytest.approx(row["expected_by_forecast"], abs=3.3 * row["deviation_by_forecast"])
    assert row["rang"] > 1.2 * row["expected_if_unchanged"]
    assert found.calibration.distance < found.calibration.distance_by_chance
    assert found.calibration.share_inside == pytest.approx(0.9, abs=0.015)
    assert found.verdict == "no"
    # What an old forecast expects of the new date is what comes, on average, by the same model.
    now, expected = found.facts["value_now"], found.facts["value_expected"]
    assert now == pytest.approx(expected, rel=0.05)


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize("model", [pc.BGNBD, pc.GammaGamma])
def test_intervals_of_drift_hold_where_there_is_none(model):
    """Of 60 bases; the refit has the same customers, for longer, and some new ones."""
    kept, p = [], []
    for seed in range(60):
        pair = simulate(seed, 1_500, newcomers=300)
        fits = [model().fit(rfm) for rfm in (pair.old, pair.new)]
        table, reason = compare_parameters(*fits, pair.old, pair.new, 0.9)
        assert reason == ""
        kept.append(~table["moved"].to_numpy())
        p.append(table["p_all"][0])
    # 3.3 standard errors.
    assert np.mean(kept, axis=0) == pytest.approx(0.9, abs=3.3 * np.sqrt(0.09 / 60))
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_customers_of_other_segments_move_an_estimate_too(monkeypatch):
    """Of segments that are alike: by their own customers alone, 70 to 80 of 100 intervals of 90 % held no drift."""
    pair = simulate(6, 500, newcomers=60)
    old, new = (
        dataclasses.replace(rfm, carried={"plan": np.array(["a", "b"], dtype=object)[rfm.customer_id % 2]})
        for rfm in (pair.old, pair.new)
    )
    fits = [pc.BGNBD(method="map", segment="plan").fit(rfm) for rfm in (old, new)]
    table, _ = compare_parameters(*fits, old, new, 0.9)
    together = _Side._moved_by
    monkeypatch.setattr(
        _Side, "_moved_by", lambda self, i: together(self, i) * (np.arange(2) == i)[:, np.newaxis, np.newaxis]
    )
    alone, _ = compare_parameters(*fits, old, new, 0.9)
    width, narrow = (np.log(one["ratio_high"] / one["ratio_low"]) for one in (table, alone))
    assert (width > 1.05 * narrow).all()
    assert np.median(width / narrow) > 1.15
    assert (table["p_all"] > 0.01).all()


def test_drift_is_seen(base):
    _, old_fit, _ = base
    pair = simulate(78, 2_000, newcomers=500, ages=(0.0, 60.0), change=0.6)
    found = compare_snapshots(old_fit, pair.old, pair.new, pc.CLV().fit(pair.new), horizon=26)
    evidence = found.evidence.set_index("check")["result"]
    assert found.verdict == "yes"
    for check in ("total purchases", "total revenue", "customers' own forecasts", "parameters of BGNBD"):
        assert evidence[check] == "refit"
    assert evidence["parameters of GammaGamma"] == "fine"


def test_the_parts_of_a_change_add_up(base):
    pair, old_fit, new_fit = base
    found = compare_snapshots(old_fit, pair.old, pair.new, new_fit, horizon="1 year", discount_rate=0.15)
    table = found.customers.set_index("customer_id")
    parts = table[["change_expected", "change_behaviour", "change_refit"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["value_change"], atol=1e-9)
    for date, model, rfm in (("old", old_fit, pair.old), ("new", new_fit, pair.new)):
        some = rfm[rfm.frequency < 4][:100]
        forecast = model.predict(some, "1 year", discount_rate=0.15).set_index("customer_id")
        for ours, theirs in (("p_alive", "p_alive"), ("p_purchase", "p_purchase"), ("value", "expected_clv")):
            np.testing.assert_allclose(table.loc[forecast.index, f"{ours}_{date}"], forecast[theirs], rtol=1e-9)
    assert found.verdict == "no"
    assert found.facts["newcomers"] == 500
    newcomers = pair.new[2_000:]
    purchases = new_fit.transactions_.discounted_expected_purchases(newcomers, "1 year", discount_rate=0.15)
    spend = new_fit.spend_.expected_spend(newcomers)["expected_spend"]
    worth = (purchases["discounted_expected_purchases"] * spend).sum()
    assert found.facts["base_by_new_model"] == pytest.approx(worth + table["value_new"].sum())


def test_two_samples_of_one_population_rarely_exceed_their_level():
    rng = np.random.default_rng(0)
    beyond = []
    for draw in (lambda n: rng.poisson(2.0, n), lambda n: rng.gamma(2.0, 1.0, n)):
        for _ in range(200):
            index, by_chance = stability_index(draw(800).astype(float), draw(300).astype(float))
            beyond.append(index > by_chance)
    assert np.mean(beyond) == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / 400))
    assert stability_index(np.ones(5), np.ones(9)) == (0.0, 0.0)
    index, by_chance = stability_index(np.ones(500), np.full(500, 2.0))
    assert index > 5 > by_chance


def test_rows_in_any_order_give_the_same_alarms(base):
    pair, fit, _ = base
    rng = np.random.default_rng(0)
    shuffled = (rfm[rng.permutation(len(rfm))] for rfm in (pair.old, pair.new))
    one = compare_snapshots(fit, pair.old, pair.new, horizon=26)
    other = compare_snapshots(fit, *shuffled, horizon=26)
    pd.testing.assert_frame_equal(one.alarms, other.alarms, rtol=1e-9)
    again = compare_snapshots(fit, pair.old, pair.new, horizon=26, random_state=1)
    assert not one.customers["p_silence"].equals(again.customers["p_silence"])


@pytest.mark.parametrize("segment", [None, pytest.param("plan", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_a_part_at_a_time_gives_the_same(segment, monkeypatch, tmp_path):
    """Parts of 300 of 900 customers, from memory and from files; the intervals of totals alone are drawn anew."""
    pair = simulate(78, 900, newcomers=200, ages=(0.0, 60.0))
    # Some change their plan, or take one that is new; what is kept of their money differs.
    kinds = [np.array(["a", "b"])[rfm.customer_id % 2].astype(object) for rfm in (pair.old, pair.new)]
    kinds[1][::7] = "a"
    kinds[1][::50] = "c"
    old, new = (
        dataclasses.replace(rfm, carried={"plan": kind, "kept": np.where(rfm.customer_id % 5, 0.6, 0.2)})
        for rfm, kind in zip((pair.old, pair.new), kinds, strict=True)
    )
    options = {"horizon": 26, "margin": "kept"}
    model = {"segment": segment, "method": "map" if segment else "mle"}
    fits = [pc.CLV(pc.BGNBD(**model), pc.GammaGamma()).fit(rfm) for rfm in (old, new)]
    whole = compare_snapshots(fits[0], old, new, fits[1], **options)
    files = [tmp_path / f"{name}.parquet" for name in ("old", "new")]
    for rfm, file in zip((old, new), files, strict=True):
        write_summary(rfm, file)
    if segment is not None:
        assert whole.set_aside["reason"].unique().tolist() == [
            "now in a segment of 'plan' that the old model does not know"
        ]
        assert len(whole.set_aside) == 22
        assert len(whole.customers) == 900 - 18
        assert set(whole.parameters["segment"].dropna()) == {"a", "b"}
    sizes = []
    monkeypatch.setattr("predclv.decisions.monitor.compare.ROWS", 300)
    judge = Forecaster.expected_purchases
    monkeypatch.setattr(
        Forecaster, "expected_purchases", lambda self, rfm, w: sizes.append(len(rfm)) or judge(self, rfm, w)
    )
    for sources in ((old, new), files):
        kept = tmp_path / "customers.parquet" if sources is files else None
        parts = compare_snapshots(fits[0], *sources, fits[1], **options, customers_file=kept)
        assert (parts.customers is None) == (kept is not None)
        customers = parts.customers if kept is None else pd.read_parquet(kept)
        pd.testing.assert_frame_equal(customers, whole.customers, rtol=1e-12)
        pd.testing.assert_frame_equal(parts.set_aside, whole.set_aside)
        pd.testing.assert_frame_equal(parts.alarms, whole.alarms, rtol=1e-12)
        pd.testing.assert_frame_equal(parts.alarm_counts, whole.alarm_counts, rtol=1e-12)
        pd.testing.assert_frame_equal(parts.population, whole.population, rtol=1e-12)
        pd.testing.assert_frame_equal(parts.parameters, whole.parameters, rtol=1e-6)
        for name, value in whole.facts.items():
            same = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
            assert parts.facts[name] == same, name
        one, other = parts.calibration, whole.calibration
        np.testing.assert_array_equal(one.pit, other.pit)
        drawn = ["low", "high", "p", "inside"]
        pd.testing.assert_frame_equal(one.totals.drop(columns=drawn), other.totals.drop(columns=drawn), rtol=1e-12)
        # Ends of 90 % intervals from 1,024 draws, within 5 of their errors: 0.1 of the interval's width each.
        width = (other.totals["high"] - other.totals["low"]).to_numpy()
        for end in ("low", "high"):
            assert (np.abs(one.totals[end] - other.totals[end]) <= 0.25 * width + 2).all()
    assert max(sizes) <= 300


def test_the_luck_of_a_customer_does_not_depend_on_who_else_is_in_the_part():
    ids = np.array([1, 2, "c", 4.5], dtype=object)
    rfm = pc.RFMSummary(ids, np.zeros(4, dtype=np.int64), np.zeros(4), np.ones(4), None)
    together = Matched(rfm, rfm, 1.0).uniforms(0, "silence")
    apart = np.concatenate([Matched(rfm[[i]], rfm[[i]], 1.0).uniforms(0, "silence") for i in range(4)])
    np.testing.assert_array_equal(together, apart)


def test_totals_of_many_parts_do_not_depend_on_the_order_of_rows(base, monkeypatch):
    pair, fit, _ = base
    monkeypatch.setattr("predclv.decisions.monitor.compare.ROWS", 700)
    rng = np.random.default_rng(0)
    shuffled = (rfm[rng.permutation(len(rfm))] for rfm in (pair.old, pair.new))
    one = compare_snapshots(fit, pair.old, pair.new, horizon=26).calibration
    other = compare_snapshots(fit, *shuffled, horizon=26).calibration
    pd.testing.assert_frame_equal(one.totals, other.totals, rtol=1e-9)


JSON_OF_VERSION_1 = {
    "": "schema facts verdict thresholds evidence alarm_counts alerts set_aside population parameters parameters_note "
    "forecast",
    "facts": "model value_in currency time_unit old_date new_date window window_days customers_old customers_new "
    "compared newcomers set_aside value_old value_expected value_now base_by_old_model base_by_new_model alarm_level "
    "top min_value fall horizon discount_rate margin level random_state",
    "evidence": "check result value threshold finding",
    "alarm_counts": "kind tested rang expected_if_unchanged expected_by_forecast deviation_by_forecast unusually_high "
    "certain false_alarms_per_customer_year",
    "alerts": "id kind p p_plain certain purchases usual_purchases value_expected value_now value_at_stake",
    "population": "group variable customers_old customers_new mean_old mean_new psi psi_by_chance beyond_chance note",
    "parameters": "model segment parameter old new ratio ratio_low ratio_high moved p_all",
    "forecast": "totals distance distance_by_chance share_inside level",
    "totals": "what group customers expected low high actual inside p error",
}


def test_json_is_plain_and_whole(base, tmp_path):
    pair, fit, later = base
    told = compare_snapshots(fit, pair.old, pair.new, later, horizon=26).to_dict()["parameters"]
    assert set(JSON_OF_VERSION_1["parameters"].split()) <= set(told[0])
    found = compare_snapshots(fit, pair.old, pair.new, horizon=26)
    stored = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert stored["schema"] == "predclv.monitor/1"
    assert len(stored["alerts"]) == len(found.alarms) == found.alarm_counts["rang"].sum()
    assert {"id", "kind", "p", "value_at_stake"} <= set(stored["alerts"][0])
    assert isinstance(stored["alerts"][0]["id"], int)
    assert stored["facts"]["base_by_new_model"] is None
    # Version 1: names may be added, none may go.
    for name, columns in JSON_OF_VERSION_1.items():
        rows = stored if name == "" else stored["forecast"]["totals"] if name == "totals" else stored[name]
        for row in rows if isinstance(rows, list) else [rows]:
            assert set(columns.split()) <= set(row), name
    assert stored["verdict"] == found.verdict
    plain = json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    assert found.to_json() == plain
    silent = dataclasses.replace(found, alarms=found.alarms[:0])
    assert json.loads(silent.to_json())["alerts"] == []
    found.save(tmp_path / "out")
    found.save(tmp_path / "out")
    assert (tmp_path / "out" / "monitor.json").read_text(encoding="utf-8") == plain
    assert pd.read_parquet(tmp_path / "out" / "alarms.parquet").shape == found.alarms.shape
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match=r"mine\.txt"):
        found.save(tmp_path / "out")
    assert "refit: no" in repr(found)


def test_a_series_knows_who_rings_again(base):
    pair, fit, later = base
    frame = pair.new.to_pandas()
    silent = frame.assign(T=frame["T"] + 10)
    third = pc.RFMSummary.from_frame(silent, time_unit="week")
    series = watch_snapshots([(fit, pair.old), (later, pair.new), (later, third)], refitted=False, horizon=26)
    assert series.table["silence"].tolist() == [len(s.alarms[s.alarms["kind"] == "silence"]) for s in series.steps]
    assert series.false_alarm_of_series == pytest.approx(1 - 0.95**2)
    # Nobody bought in the last window.
    assert series.table["verdict"].tolist() == ["no", "yes"]
    assert (series.repeated["rang"] == 2).all()
    assert len(series.repeated) >= 10
    assert f"{len(series.repeated):,} customers fell silent more than once; refit: no, yes" in repr(series)
    assert series.repeated["chance"].between(0.0, 0.05**2 + 1e-12).all()
    with pytest.raises(ValueError, match="two snapshots"):
        watch_snapshots([(fit, pair.old)])


def test_small_bases_widen_and_say_so(tmp_path):
    pair = simulate(9, 40)
    fit = fitted(simulate(8, 500).old, (0.8, 6.0, 0.8, 2.5), SPEND)
    with pytest.warns(DataQualityWarning, match="Only 40 customers"):
        found = compare_snapshots(fit, pair.old, pair.new, horizon=26)
    assert found.verdict == "not enough to say"
    said = found.evidence.set_index("check")["result"]
    assert said["newcomers"] == said["customers' own forecasts"] == "not enough to say"
    assert said["total purchases"] == "not enough to say"
    # Of eight customers 0.4 false alarms are expected, which is not none.
    row = found.alarm_counts.set_index("kind").loc["silence"]
    assert row["expected_if_unchanged"] == pytest.approx(0.4)
    silence = found.evidence.set_index("check")["finding"]["customers fallen silent"]
    assert f"where the forecast expected {row['expected_by_forecast']:.1f}:" in silence
    write_monitor_report(tmp_path / "page.html", found)
    assert "0.4 alarms would have rung by chance" in (tmp_path / "page.html").read_text(encoding="utf-8")
    # Nobody bought any more: that few do not all fall silent by chance can be said of forty, too.
    silent = pair.old.to_pandas()
    silent["T"] += 10.0
    with pytest.warns(DataQualityWarning, match="Only 40 customers"):
        found = compare_snapshots(fit, pair.old, pc.RFMSummary.from_frame(silent, time_unit="week"), horizon=26)
    assert found.evidence.set_index("check")["result"]["total purchases"] == "refit"
    assert found.verdict == "yes"


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_no_refit_is_asked_for_on_parameters_of_few_customers():
    """Forty accounts, two refits: what moves by chance is no drift, nor is a parameter that a search has left."""
    pair = simulate(9, 40)
    fits = [pc.CLV().fit(rfm) for rfm in (pair.old, pair.new)]
    evidence = compare_snapshots(fits[0], pair.old, pair.new, fits[1], horizon=26).evidence
    few = evidence[evidence["check"].str.startswith("parameters") | (evidence["check"] == "value of the base")]
    assert few["result"].tolist() == ["not enough to say"] * 3
    # Each under a name of its own, as where there is enough to say.
    assert few["check"].tolist() == ["parameters of BGNBD", "parameters of GammaGamma", "value of the base"]
    assert few["finding"].iloc[0].startswith("40 customers are too few")


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_parameters_that_were_held_are_not_compared():
    pair = simulate(9, 400)
    alike = [
        dataclasses.replace(rfm, monetary_value=np.where(rfm.frequency > 0, 30.0, 0.0)) for rfm in (pair.old, pair.new)
    ]
    fits = [pc.GammaGamma().fit(rfm) for rfm in alike]
    table, reason = compare_parameters(*fits, *alike, 0.9)
    assert table.empty
    assert reason.startswith("The old fit of GammaGamma holds p and q where its search ended")


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize(
    "model",
    [
        pc.NBD(),
        pc.MBGNBD(method="map"),
        pc.ParetoNBD(),
        pc.BGCNBD(k=2),
        pc.MBGCNBD(k=3),
        pytest.param(pc.BGNBD(method="map", segment="half"), marks=pytest.mark.slow),
        pytest.param(pc.ParetoNBD(purchase_covariates=["half"]), marks=pytest.mark.slow),
        pc.BGBB(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_model_can_be_monitored(model):
    pair = simulate(6, 250, newcomers=30)
    snapshots = [_with_more(rfm, opportunities=isinstance(model, pc.BGBB)) for rfm in (pair.old, pair.new)]
    first, second = (pc.CLV(model).fit(rfm) for rfm in snapshots)
    found = compare_snapshots(first, *snapshots, second, horizon=26)
    p = found.customers["p_silence"]
    assert p.between(0, 1).all()
    assert len(found.customers) == 250
    assert np.isfinite(found.customers.drop(columns=["customer_id", "p_basket"])).all().all()
    if model.get_params().get("purchase_covariates"):
        assert "own scale" in found.parameters_note
    else:
        assert set(found.parameters["segment"].dropna()) == ({"a", "b"} if model.segment else set())
        assert found.parameters["ratio"].between(0.01, 100).all()
    # Purchases alone, without a spend model.
    alone = compare_snapshots(first.transactions_, *snapshots, horizon=26)
    pd.testing.assert_series_equal(alone.customers["p_silence"], p)
    assert alone.facts["value_in"] == "purchases"
    assert alone.customers["p_basket"].isna().all()


def _with_more(rfm, *, opportunities):
    frame = rfm.to_pandas()
    frame["half"] = np.where(frame["customer_id"] % 2, "a", "b")
    bought = np.maximum(frame["frequency"], 1)
    frame["log_itt"] = frame["frequency"] * (np.log(np.where(frame["frequency"], frame["recency"], 1.0) / bought) - 0.1)
    if opportunities:
        # Weeks from the first purchase on, each used or not; as many as were bought, the last one in its week.
        frame["T"], frame["recency"] = np.ceil(frame["T"]), np.ceil(frame["recency"])
        frame["frequency"] = np.minimum(frame["frequency"], frame["recency"]).astype(int)
        frame["monetary_value"] = np.where(frame["frequency"] > 0, frame["monetary_value"], 0.0)
        return pc.RFMSummary.from_frame(frame.drop(columns="log_itt"), opportunities="week", carry=["half"])
    return pc.RFMSummary.from_frame(frame, time_unit="week", carry=["half"])


def test_histories_that_do_not_go_on_are_set_aside_and_counted(base):
    pair, fit, _ = base
    frame = pair.new.to_pandas()
    old = pair.old.to_pandas()
    frame.loc[0, "frequency"] = 0  # customer 1
    buyers = frame.index[(old["frequency"] > 1).reindex(frame.index, fill_value=False)]
    frame.loc[0, ["recency", "monetary_value"]] = 0.0
    if old.loc[0, "frequency"] == 0:
        frame.loc[0, "T"] += 3.0
    same = [i for i in buyers if i > 5 and frame.loc[i, "frequency"] == old.loc[i, "frequency"]][:2]
    frame.loc[same[0], "recency"] += 0.5
    frame.loc[same[1], "T"] += 1.0
    frame = frame.drop(index=5)
    late = pd.DataFrame([{"customer_id": 99_999, "frequency": 0, "recency": 0.0, "T": 50.0, "monetary_value": 0.0}])
    new = pc.RFMSummary.from_frame(pd.concat([frame, late], ignore_index=True), time_unit="week")
    with pytest.warns(DataQualityWarning, match="^Set aside.*: 5 of 2,001 customers"):
        found = compare_snapshots(fit, pair.old, new, horizon=26)
    aside = found.set_aside.set_index("customer_id")["reason"]
    assert len(aside) == 5
    assert aside[6] == "not in the new snapshot"
    assert "not in the old snapshot" in aside[99_999]
    assert aside[frame.loc[same[0], "customer_id"]] == "the last purchase has moved, and none was added"
    assert aside[frame.loc[same[1], "customer_id"]] == "the first purchase has moved"
    assert len(found.customers) == len(pair.old) - 4
    assert sum(row["customers"] for row in found.to_dict()["set_aside"]) == 5


def test_what_cannot_be_compared_is_refused(base):
    pair, fit, new_fit = base

    def summary(**changes):
        return pc.RFMSummary.from_frame(pair.new.to_pandas(), **{"time_unit": "week", **changes})

    with pytest.raises(UnitError, match="old snapshot has time_unit = 'week', the new one 'day'"):
        compare_snapshots(fit, pair.old, summary(time_unit="day"))
    with pytest.raises(UnitError, match=r"currency|EUR"):
        compare_snapshots(fit, pair.old, summary(currency="EUR"))
    unpaid = pc.RFMSummary.from_frame(pair.new.to_pandas().drop(columns="monetary_value"), time_unit="week")
    with pytest.raises(UnitError, match="The new snapshot has no amounts"):
        compare_snapshots(fit, pair.old, unpaid)
    with pytest.raises(TypeError, match="RFMSummary"):
        compare_snapshots(fit, pair.old.to_pandas(), pair.new)
    with pytest.raises(UnitError, match="BGNBD with spend, the new one ParetoNBD"):
        compare_snapshots(fit, pair.old, pair.new, pc.CLV(pc.ParetoNBD()).fit(pair.new))
    with pytest.raises(UnitError, match="without spend"):
        compare_snapshots(fit, pair.old, pair.new, new_fit.transactions_)
    with pytest.raises(DataError, match="old snapshot first"):
        compare_snapshots(fit, pair.new, pair.old)
    dated = [summary(observation_end=date) for date in ("2026-03-01", "2026-02-01")]
    with pytest.raises(DataError, match="not later"):
        compare_snapshots(fit, *dated)
    others = pair.new.to_pandas().assign(customer_id=lambda t: "c" + t["customer_id"].astype(str))
    with pytest.raises(DataError, match="None of the 2,000 customers"):
        compare_snapshots(fit, pair.old, pc.RFMSummary.from_frame(others, time_unit="week"))
    dated = [summary(observation_end=date) for date in ("2026-01-01", "2026-03-12")]
    for options, said in (
        ({"alarm_level": 5}, "did you mean 0.05"),
        ({"alarm_level": 0.0}, "alarm_level"),
        ({"top": 0}, "'top'"),
        ({"fall": 2}, "'fall'"),
        ({"min_value": -1}, "'min_value'"),
        ({"level": 95}, "did you mean 0.95"),
        ({"random_state": -1}, "random_state"),
        ({"horizon": "2027-01-01"}, "span"),
        ({"discount_rate": 10}, "did you mean 0.1"),
        ({"margin": 1.5}, "margin"),
    ):
        snapshots = dated if "horizon" in options else (pair.old, pair.new)
        with pytest.raises(ValueError, match=said):
            compare_snapshots(fit, *snapshots, **options)
    with pytest.raises(TypeError, match="CLV or transaction model"):
        compare_snapshots("model", pair.old, pair.new)


def test_a_model_that_has_seen_the_window_is_refused(base):
    """Models swapped: it would be praised for a forecast of what it was fitted on."""
    pair, *_ = base
    dates = "2026-01-01", "2026-03-12"
    old, new = (
        pc.RFMSummary.from_frame(rfm.to_pandas(), time_unit="week", observation_end=date)
        for rfm, date in zip((pair.old, pair.new), dates, strict=True)
    )
    with pytest.raises(DataError, match="fitted as of 2026-03-12, after the old snapshot of 2026-01-01"):
        compare_snapshots(pc.CLV().fit(new), old, new)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("frequency", -1, "'frequency' is negative"),
        ("T", np.inf, "'T' is null or not finite"),
        ("recency", np.nan, "'recency' is null or not finite"),
        ("monetary_value", np.inf, "'monetary_value'"),
        ("recency", 1e4, "'recency' exceeds 'T'"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_by_name(column, value, said, base, tmp_path):
    """One such customer would else be matched with nobody, and set aside for another reason."""
    pair, fit, _ = base
    path = tmp_path / "new.parquet"
    write_summary(pair.new, path)
    table = pq.read_table(path)
    changed = table.column(column).to_numpy().copy()
    changed[7] = value
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, column, pa.array(changed, from_pandas=False)), path)
    with pytest.raises(DataError, match=rf"new\.parquet': {said}.* 1 of 2,500 customers \(first: customer 8"):
        compare_snapshots(fit, pair.old, path)


def test_nobody_in_a_segment_that_the_model_knows_is_refused():
    pair = simulate(6, 120)
    old, new = (
        dataclasses.replace(rfm, carried={"plan": np.full(len(rfm), plan, dtype=object)})
        for rfm, plan in ((pair.old, "a"), (pair.new, "z"))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pc.BGNBD(method="map", segment="plan").fit(old)
    with pytest.raises(DataError, match="'plan' that the old model lacks"):
        compare_snapshots(fit, old, new, horizon=26)


def test_contracts_are_refused_in_words():
    with pytest.raises(TypeError, match="renewals of contracts"):
        compare_snapshots(pc.SBG(), simulate(1, 50).old, simulate(1, 50).new)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (["total purchases", "total revenue"], r"[\d,]+ purchases came where [\d,]+ were expected"),
        (["total revenue"], "1 of 4 checks of the last forecast failed"),
        (["parameters of BGNBD"], r"the last forecast was off by [\d.]+%, but what it rests on has changed"),
    ],
)
def test_the_heading_says_whether_the_forecast_failed(failed, said, base, tmp_path):
    pair, fit, later = base
    found = compare_snapshots(fit, pair.old, pair.new, later, horizon=26)
    evidence = found.evidence.assign(result="fine")
    evidence.loc[evidence["check"].isin(failed), "result"] = "refit"
    write_monitor_report(tmp_path / "page.html", dataclasses.replace(found, evidence=evidence, verdict="yes"))
    assert re.search(f"Fit again: {said}<", (tmp_path / "page.html").read_text(encoding="utf-8"))


def test_the_page_says_why_too_many_alarms_of_baskets_ring(base, tmp_path):
    pair, fit, later = base
    found = compare_snapshots(fit, pair.old, pair.new, later, horizon=26)
    write_monitor_report(tmp_path / "page.html", found)
    assert "spent unusually much" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    counts = found.alarm_counts.copy()
    judged = found.customers.loc[found.customers["valuable"], "p_basket"]
    assert counts.set_index("kind").loc["basket", "unusually_high"] == (judged >= 0.95).sum() > 0
    tested = int(counts.loc[counts["kind"] == "basket", "tested"].iloc[0])
    counts.loc[counts["kind"] == "basket", "rang"] = tested // 5
    many = dataclasses.replace(found, alarm_counts=counts)
    write_monitor_report(tmp_path / "page.html", many)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"{tested // 5:,} (20%) spent unusually little" in page
    assert "customers spend less a purchase than they used to" in page
    # Where as many spent unusually much, it is the spread that the model does not know.
    counts.loc[counts["kind"] == "basket", "unusually_high"] = tested // 6
    write_monitor_report(tmp_path / "page.html", dataclasses.replace(many, alarm_counts=counts))
    assert "varies more than the spend model takes it to" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_says_what_was_found_and_escapes_it(base, tmp_path):
    pair, fit, later = base
    found = compare_snapshots(fit, pair.old, pair.new, later, horizon=26)
    write_monitor_report(tmp_path / "page.html", found, title="<i>ours", warnings=["<u>careful"])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    rang = int(found.alarm_counts["rang"][0])
    assert re.search(r"No need to fit again: [\d,]+ purchases came, [\d,]+ were expected<", page)
    assert f"{rang} valuable customers have fallen silent" in page
    assert "&lt;i&gt;ours" in page
    assert "&lt;u&gt;careful" in page
    assert "<i>ours" not in page
    assert "500 new customers are like those who came before them" in page
    assert page.count("<svg") == 4
    totals = found.calibration.totals
    revenue = totals[(totals["what"] == "revenue") & (totals["group"] == "all")].iloc[0]
    said = found.evidence.set_index("check")["finding"]["total revenue"]
    assert said.startswith(f"{revenue['actual']:,.0f} ")
    assert "of revenue came" in said
    # Without a spend model, value is purchases, and there is one forecast to draw; nobody new, nothing to compare.
    alone = compare_snapshots(fit.transactions_, pair.old, pair.new[:2_000], horizon=26)
    write_monitor_report(tmp_path / "alone.html", alone)
    page = (tmp_path / "alone.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "No newcomers to compare" in page
    assert " purchases</td>" in page
