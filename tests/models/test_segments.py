"""Segments through the public models: who is forecast with which parameters, what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

import predclv as pc
from predclv.data.columns import histories
from predclv.errors import ConvergenceWarning, DataError, DependenceWarning, ModelFileError
from predclv.forecast import portfolio
from predclv.inference.log_density import unconstrained_derivatives
from predclv.inference.posterior import paired_draws
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.parameters import to_unconstrained
from predclv.priors import Gamma, LogNormal

SIZES = {"web": 400, "shop": 150, "fair": 40}
COUNTRIES = np.array(["DE", "FR"], dtype=object)
HORIZON, DELTA = 39, np.log(1.10) * 7 / 365.25
BG, GG = {"method": "map", "segment": "channel"}, {"method": "map", "segment": "country"}


@pytest.fixture(autouse=True)
def _some_findings_are_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        # Of customers as few as here; two tests below look for such warnings.
        warnings.filterwarnings(
            "ignore", ".*(default priors help|fewer than 10|draws are doubtful)", ConvergenceWarning
        )
        yield


def simulate(sizes, seed):
    """Customers of segments that differ by some 30 %, as a table with a channel, and a country of their own."""
    rng, tables = np.random.default_rng(seed), []
    for i, (name, size) in enumerate(sizes.items()):
        counts = {"r": 0.5, "alpha": 10.0, "a": 0.8, "b": 2.5}
        factor = np.exp(0.3 * rng.standard_normal(4))
        simulated = pc.datasets.simulate_rfm(
            n_customers=size,
            parameters={name: value * f for (name, value), f in zip(counts.items(), factor, strict=True)},
            spend={"p": 6.0, "q": 4.0, "gamma": float(15 * np.exp(0.3 * rng.standard_normal()))},
            T=(13.0, 52.0),
            lattice=7,
            seed=1000 * seed + i,
        )
        tables.append(simulated.rfm.to_pandas().assign(channel=name))
    table = pd.concat(tables, ignore_index=True).assign(customer_id=lambda t: 1000 + np.arange(len(t)))
    table = table.assign(country=COUNTRIES[rng.integers(0, 2, len(table))])
    # In no order that goes with the channels.
    return table.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def summarize(table, **options):
    carry = [name for name in ("channel", "country") if name in table]
    return pc.RFMSummary.from_frame(table, time_unit="week", carry=carry, **options)


@pytest.fixture(scope="module")
def table():
    return simulate(SIZES, 1)


@pytest.fixture(scope="module")
def rfm(table):
    return summarize(table)


@pytest.fixture(scope="module")
def models(rfm):
    """Both models by channel, spend by country, and spend of all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {
            "counts": pc.BGNBD(**BG).fit(rfm),
            "spend": pc.GammaGamma(**BG).fit(rfm),
            "by country": pc.GammaGamma(**GG).fit(rfm),
            "of all": pc.GammaGamma(method="map").fit(rfm),
            "counts of all": pc.BGNBD(method="map").fit(rfm),
        }
        for model in made.values():
            model.posterior_.draws_array()
    return made


def value_model(counts, spend):
    """A CLV of models that are fitted already."""
    clv = pc.CLV(clone(counts), clone(spend))
    clv.transactions_, clv.spend_ = counts, spend
    return clv


PAIRS = {
    "one column": ("counts", "spend"),
    "two columns": ("counts", "by country"),
    "spend of all": ("counts", "of all"),
    "counts of all": ("counts of all", "by country"),
}


@pytest.fixture(params=PAIRS)
def clv(request, models):
    counts, spend = PAIRS[request.param]
    return value_model(models[counts], models[spend])


@pytest.fixture(scope="module")
def predicted(rfm):
    """What a CLV of the models above says of all customers, worked out once."""
    made = {}

    def once(clv):
        key = id(clv.transactions_), id(clv.spend_)
        if key not in made:
            made[key] = clv.predict(rfm, HORIZON)
        return made[key]

    return once


@pytest.fixture(scope="module")
def crossed(models):
    return value_model(models["counts"], models["by country"])


def pieces(clv, rfm):
    """Customers by the segments of both models, with the CLV of each: worked out here anew."""
    table = pd.DataFrame({name: rfm.carried[name] for name in ("channel", "country")})
    for _, group in table.groupby(sorted({model.segment for model in (clv.transactions_, clv.spend_)} - {None})):
        rows, where = group.index.to_numpy(), group.iloc[0]
        counts, spend = (
            model.segments_[where[model.segment]] if model.segment else model
            for model in (clv.transactions_, clv.spend_)
        )
        yield value_model(counts, spend), rows


# Forecasts


def test_segments_are_ordinary_fitted_models(models, rfm):
    for model in (models["counts"], models["spend"]):
        assert list(model.segments_) == sorted(SIZES)
        for name, own in model.segments_.items():
            assert type(own) is type(model)
            assert own.get_params() == {**model.get_params(), "segment": None}
            assert own.segments_ == {}
            assert own.fingerprint_.n_customers == SIZES[name]
            assert list(own.posterior_.names) == [p.name for p in model.PARAMETERS]
            assert list(own.priors_) == own.posterior_.names
            assert own.posterior_.draws_array().shape == (1024, len(own.posterior_.names))
        spreads = [f"{p.name}_spread" for p in model.PARAMETERS]
        assert model.posterior_.names == [*own.posterior_.names, *spreads]
        table = model.summary
        assert list(dict.fromkeys(table["segment"])) == ["population", *sorted(SIZES)]
        assert table.notna().all(axis=None)
    assert models["by country"].segments_.keys() == {"DE", "FR"}


def test_forecasts_are_those_of_the_segments(clv, rfm, predicted):
    whole = predicted(clv)
    n = 0
    for part, rows in pieces(clv, rfm):
        own = part.predict(rfm[rows], HORIZON)
        pd.testing.assert_frame_equal(whole.iloc[rows].reset_index(drop=True), own)
        n += len(rows)
    assert n == len(rfm)


def test_counts_and_spend_alone_are_those_of_the_segments(models, rfm):
    counts, spend = models["counts"], models["by country"]
    by_model = {
        "predict": lambda model, some: model.predict(some, 39),
        "p_alive": lambda model, some: model.p_alive(some),
        "expected_purchases": lambda model, some: model.expected_purchases(some, 39, estimate="point"),
    }
    for forecast in by_model.values():
        whole = forecast(counts, rfm)
        for name, own in counts.segments_.items():
            rows = np.flatnonzero(rfm.carried["channel"] == name)
            pd.testing.assert_frame_equal(whole.iloc[rows].reset_index(drop=True), forecast(own, rfm[rows]))
    distribution = counts.purchase_distribution(rfm, 39)
    assert (distribution["customer_id"].drop_duplicates().to_numpy() == rfm.customer_id).all()
    for name, own in counts.segments_.items():
        some = rfm[np.flatnonzero(rfm.carried["channel"] == name)]
        mine = distribution[distribution["customer_id"].isin(some.customer_id)].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, own.purchase_distribution(some, 39))
    whole = spend.expected_spend(rfm)
    for name, own in spend.segments_.items():
        rows = np.flatnonzero(rfm.carried["country"] == name)
        pd.testing.assert_frame_equal(whole.iloc[rows].reset_index(drop=True), own.expected_spend(rfm[rows]))


def test_segments_do_differ(crossed, rfm):
    """Else the tests above could not tell whose parameters were taken."""
    forecasts = [part.new_customer(HORIZON) for part, _ in pieces(crossed, rfm)]
    values = [forecast["expected_clv"].item() for forecast in forecasts]
    assert len(set(values)) == 6
    assert max(values) > 1.2 * min(values)


def test_order_of_customers_changes_nothing(crossed, rfm, predicted):
    order = np.random.default_rng(5).permutation(len(rfm))
    expected = predicted(crossed).iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(crossed.predict(rfm[order], HORIZON), expected)
    for model in (crossed.transactions_, crossed.spend_):
        # Up to the order of sums, which the climb to the mode carries on.
        again = clone(model).fit(rfm[order])
        np.testing.assert_allclose(again.posterior_.point_array, model.posterior_.point_array, rtol=1e-4)
        assert again.score(rfm) == pytest.approx(model.score(rfm), rel=1e-6)


def test_score_is_the_mean_over_the_segments(crossed, rfm):
    counts = crossed.transactions_
    total = sum(own.score(part) * len(part) for own, part, _ in counts.parts(rfm))
    assert counts.score(rfm) == pytest.approx(total / len(rfm), rel=1e-12)


# Portfolio


def test_totals_are_the_sum_of_the_parts(clv, rfm, predicted):
    by_channel = clv.portfolio(rfm, HORIZON, by="channel", n_draws=256)
    columns = ["customers", "expected_buyers", "expected_purchases", "expected_clv"]
    np.testing.assert_allclose(by_channel[columns].iloc[:-1].sum(), by_channel[columns].iloc[-1], rtol=1e-12)
    table = predicted(clv)
    of_customers = table.groupby(rfm.carried["channel"])[["expected_purchases", "expected_clv"]].sum()
    np.testing.assert_allclose(by_channel.iloc[:-1][["expected_purchases", "expected_clv"]], of_customers, rtol=1e-9)
    added = sum(part.portfolio(rfm[rows], HORIZON, n_draws=256)[columns].iloc[-1] for part, rows in pieces(clv, rfm))
    np.testing.assert_allclose(added, by_channel[columns].iloc[-1], rtol=1e-9)
    assert list(by_channel["customers"]) == [*(SIZES[name] for name in sorted(SIZES)), len(rfm)]
    assert by_channel["share_of_value"].iloc[:-1].sum() == pytest.approx(1.0)


def test_the_mean_s_interval_is_of_sums_within_one_draw(clv, rfm):
    """Row i of every segment belongs together: what is not known of the population moves all segments at once."""
    n = 256
    sums, apart = np.zeros(n), []
    for part, rows in pieces(clv, rfm):
        some = rfm[rows]
        theta, theta_spend = paired_draws([part.transactions_.posterior_, part.spend_.posterior_], n)
        distinct, inverse = histories(some)
        bindings = part.transactions_.bindings
        purchases = bindings.discounted_expected_purchases(distinct.x, distinct.t_x, distinct.T, HORIZON, DELTA, theta)
        spend = expected_spend(some.frequency.astype(float), some.monetary_value, theta_spend)
        apart.append((purchases[:, inverse] * spend).sum(axis=1))
        sums += apart[-1]
    total = clv.portfolio(rfm, HORIZON, n_draws=n).iloc[-1]
    expected = np.quantile(sums, [0.05, 0.95], method="inverted_cdf")
    np.testing.assert_allclose(total[["expected_clv_low", "expected_clv_high"]].astype(float), expected, rtol=1e-9)
    # The sum of the parts' ends would be wider, so it is not what is taken.
    ends = np.sum([np.quantile(part, [0.05, 0.95], method="inverted_cdf") for part in apart], axis=0)
    assert np.diff(expected) < 0.99 * np.diff(ends)


def test_the_outcome_s_interval_adds_simulations_by_draw(crossed, rfm, monkeypatch):
    made, n = [], 512
    simulate_totals = portfolio.simulate_totals

    def spy(bindings, theta, theta_spend, customers, *arguments, seed):
        made.append((theta, theta_spend, len(customers.x), seed, simulate_totals(
            bindings, theta, theta_spend, customers, *arguments, seed=seed)))  # fmt: skip
        return made[-1][-1]

    monkeypatch.setattr(portfolio, "simulate_totals", spy)
    table = crossed.portfolio(rfm, HORIZON, by="country", n_draws=n)
    parts = list(pieces(crossed, rfm))
    assert len(made) == len(parts) == 6
    # Chance in one part is not that in another.
    assert len({seed for *_, seed, _ in made}) == 6
    for (part, rows), (theta, theta_spend, size, *_) in zip(parts, made, strict=True):
        assert size == len(rows)
        counts, spend = paired_draws([part.transactions_.posterior_, part.spend_.posterior_], n)
        np.testing.assert_array_equal(theta, counts)
        np.testing.assert_array_equal(theta_spend, spend)
    value = sum(totals.value for *_, totals in made)
    ends = np.quantile(value, [0.05, 0.95], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(table[["clv_low", "clv_high"]].T, ends, rtol=1e-12)
    # The simulated mean is the expected one; its standard error is 1 / sqrt(512) of a standard deviation.
    error = value[:, -1].std() / np.sqrt(n)
    assert abs(value[:, -1].mean() - table["expected_clv"].iloc[-1]) < 4 * error


def test_draws_of_segments_belong_to_those_of_the_population(models):
    """A small segment's draws go with the center's, row by row; in another order they would not."""
    for model in (models["counts"], models["spend"]):
        center = np.log(model.posterior_.draws_array()[:, 0])
        own = np.log(model.segments_["fair"].posterior_.draws_array()[:, 0])
        # By chance |correlation| is below 4 / sqrt(1024).
        assert np.corrcoef(center, own)[0, 1] > 4 / 32


# New customers


def test_new_customers_are_of_a_segment(clv, rfm, models):
    counts, spend = clv.transactions_, clv.spend_
    columns = {model.segment for model in (counts, spend)} - {None}
    where = {"channel": "fair", "country": "FR"}
    segment = where if len(columns) > 1 else where[columns.pop()]
    expected = value_model(
        *(model.segments_[where[model.segment]] if model.segment else model for model in (counts, spend))
    )
    pd.testing.assert_frame_equal(clv.new_customer(HORIZON, segment=segment), expected.new_customer(HORIZON))
    # A mapping may say more than is asked.
    pd.testing.assert_frame_equal(clv.new_customer(HORIZON, segment=where), expected.new_customer(HORIZON))


@pytest.mark.parametrize(
    "segment", [None, "kiosk", {"channel": "web"}, {"country": "DE"}, {"channel": "web", "country": "IT"}]
)
def test_new_customers_of_no_known_segment_are_refused(segment, crossed):
    with pytest.raises(ValueError, match=r"'segment' must name a segment of '(channel|country)', one of '.*'\. Got"):
        crossed.new_customer(HORIZON, segment=segment)


def test_new_customers_without_segments_have_none(models):
    with pytest.raises(ValueError, match=r"no segments\. Leave segment='web' out"):
        value_model(models["counts of all"], models["of all"]).new_customer(HORIZON, segment="web")


# Storage


@pytest.fixture
def saved(crossed, tmp_path):
    crossed.save(tmp_path / "model")
    return tmp_path / "model"


def test_round_trip_is_exact(clv, rfm, predicted, tmp_path):
    clv.save(tmp_path / "model")
    again = pc.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(rfm, HORIZON), predicted(clv))
    pd.testing.assert_frame_equal(again.summary, clv.summary)
    for mine, theirs in ((again.transactions_, clv.transactions_), (again.spend_, clv.spend_)):
        assert list(mine.segments_) == list(theirs.segments_)
        assert mine.get_params() == theirs.get_params()
        assert mine.priors_ == theirs.priors_
        assert mine.posterior_.diagnostics == theirs.posterior_.diagnostics
        for name, own in mine.segments_.items():
            assert own.fingerprint_ == theirs.segments_[name].fingerprint_
            assert own.get_params() == theirs.segments_[name].get_params()
            np.testing.assert_array_equal(own.posterior_.draws_array(), theirs.segments_[name].posterior_.draws_array())
    again.save(tmp_path / "again")
    for file in (tmp_path / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_holds_draws_of_every_segment_and_no_customers(saved, rfm):
    names = [f"transactions{i}.parquet" for i in ("", "-0", "-1", "-2")] + [
        f"spend{i}.parquet" for i in ("", "-0", "-1")
    ]
    assert sorted(p.name for p in saved.iterdir()) == sorted([*names, "model.json"])
    text = (saved / "model.json").read_text()
    assert str(int(rfm.customer_id[0])) not in json.loads(text)["models"]["transactions"]["segments"]
    # A thousand draws of eight numbers, and of four for each segment.
    assert sum(p.stat().st_size for p in saved.iterdir()) < 600_000


def test_a_single_model_alone(models, rfm, tmp_path):
    models["counts"].save(tmp_path / "counts")
    again = pc.load(tmp_path / "counts")
    pd.testing.assert_frame_equal(again.predict(rfm, 39), models["counts"].predict(rfm, 39))


def damaged(change):
    """Put something else into the manifest."""

    def damage(folder):
        manifest = json.loads((folder / "model.json").read_text())
        change(manifest["models"]["transactions"])
        (folder / "model.json").write_text(json.dumps(manifest))

    return damage


def without_a_file(folder):
    (folder / "transactions-1.parquet").unlink()


def with_an_altered_file(folder):
    content = bytearray((folder / "transactions-2.parquet").read_bytes())
    content[300] ^= 1
    (folder / "transactions-2.parquet").write_bytes(content)


def with_draws_of_another(folder):
    content = (folder / "spend-1.parquet").read_bytes()
    (folder / "transactions-1.parquet").write_bytes(content)
    manifest = json.loads((folder / "model.json").read_text())
    manifest["files"]["transactions-1.parquet"] = hashlib.sha256(content).hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest))


def without_segments(model):
    model["segments"] = {}


def with_a_list(model):
    model["segments"] = ["web"]


def with_one_more(model):
    model["segments"]["kiosk"] = model["segments"]["web"]


def without_one(model):
    del model["segments"]["web"]


def in_another_unit(model):
    model["segments"]["web"]["fingerprint"]["time_unit"] = "day"


def with_no_column(model):
    model["settings"]["segment"] = None


def with_a_strange_point(model):
    model["segments"]["web"]["posterior"]["point"][0] = -1.0


def without_a_prior(model):
    del model["segments"]["web"]["posterior"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_file, "missing or cannot be read"),
        (with_an_altered_file, "checksum"),
        (with_draws_of_another, r"draws are of \['p', 'q', 'gamma'\]"),
        (damaged(without_segments), "0 segments and 3 tables of their draws do not match"),
        (damaged(with_a_list), "damaged"),
        (damaged(with_one_more), "segments and 3 tables of their draws do not match"),
        (damaged(without_one), "2 segments and 3 tables of their draws do not match"),
        (damaged(in_another_unit), "was fitted in other units"),
        (damaged(with_no_column), "damaged"),
        (damaged(with_a_strange_point), "damaged"),
        (damaged(without_a_prior), "lacks 'posterior'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_damage_is_named(saved, damage, message):
    damage(saved)
    with pytest.raises(ModelFileError, match=message):
        pc.load(saved)


ODD = ["<b>bold</b>", "../up/and\\down", "🎈 & \"quoted\" 'names'", "Größe\u00a0№ 7", "a" * 300]


@pytest.mark.parametrize(
    "values",
    [ODD, [1, 2, 10], [True, False], [1.5, -2.0]],
    ids=["odd characters", "whole numbers", "flags", "numbers"],
)
def test_names_of_any_kind_survive(values, table, models, tmp_path):
    channel = np.array(values, dtype=object if isinstance(values[0], str) else None)[
        np.arange(len(table)) % len(values)
    ]
    rfm, names = summarize(table.assign(channel=channel)), list(map(str, sorted(values)))
    clv = value_model(models["counts of all"], pc.GammaGamma(**BG).fit(rfm))
    assert list(clv.spend_.segments_) == names
    clv.save(tmp_path / "model")
    again = pc.load(tmp_path / "model")
    assert list(again.spend_.segments_) == names
    pd.testing.assert_frame_equal(again.spend_.expected_spend(rfm), clv.spend_.expected_spend(rfm))
    assert list(again.portfolio(rfm, HORIZON, by="channel", n_draws=64)["segment"][:-1]) == names
    assert again.new_customer(HORIZON, segment=str(values[0])).notna().all(axis=None)


# Small and large segments, few and many


def population_s_draws(model, rng, n_each):
    """Unconstrained parameters of segments that are yet to come, (n_draws, n_each, n_parameters)."""
    draws = to_unconstrained(model.posterior_.parameters, model.posterior_.draws_array())
    center, log_spread = np.split(draws[:, np.newaxis], 2, axis=-1)
    return center + np.exp(log_spread) * rng.standard_normal((len(draws), n_each, center.shape[-1]))


@pytest.mark.parametrize("model", [pc.BGNBD, pc.GammaGamma])
@pytest.mark.parametrize("who", ["a repeat buyer", "a one-time buyer"])
def test_a_segment_of_one_is_the_population_s_updated_by_one(model, who, table):
    """Exactly so: draws of the population, each with segments to come, weighted by the likelihood of the customer."""
    alone = table[(table["frequency"] >= 3) if who == "a repeat buyer" else (table["frequency"] == 0)].index[0]
    rfm = summarize(table.assign(channel=np.where(table.index == alone, "alone", table["channel"])))
    with pytest.warns(ConvergenceWarning, match=r"fewer than 10 customers in 1 of 4 segments \(first: 'alone', 1\)"):
        fitted = model(**BG).fit(rfm)
    own = fitted.segments_["alone"]
    drawn = to_unconstrained(own.posterior_.parameters, own.posterior_.draws_array())
    before = population_s_draws(fitted, np.random.default_rng(1), 64)
    excess = np.exp(before).reshape(-1, before.shape[-1]) + [p.above for p in own.posterior_.parameters]
    weight = np.exp(own._likelihood(rfm[rfm.carried["channel"] == "alone"]).values(np.ascontiguousarray(excess)))
    weight = weight.reshape(before.shape[:2])
    # Draws of the population have seen this customer already: so each of them keeps its weight.
    weight /= weight.sum(axis=1, keepdims=True) * len(weight)
    mean = np.einsum("ds,dsi->i", weight, before)
    sd = np.sqrt(np.einsum("ds,dsi->i", weight, (before - mean) ** 2))
    # Standard errors of 1,024 draws in a mean, and in a standard deviation of tails this heavy; four of each.
    kurtosis = np.einsum("ds,dsi->i", weight, ((before - mean) / sd) ** 4)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean) / sd, 4 / 32)
    np.testing.assert_array_less(np.abs(drawn.std(axis=0) / sd - 1), 4 / 32 * np.sqrt((kurtosis - 1) / 4))
    if who == "a one-time buyer" and model is pc.GammaGamma:
        # Says nothing of spend.
        assert np.ptp(weight) < 1e-12


def test_a_segment_without_repeat_buyers_has_the_population_s_spend(table, models):
    quiet = table.assign(**{name: table[name].where(table["channel"] != "fair", 0) for name in
                            ("frequency", "recency", "monetary_value")})  # fmt: skip
    rfm = summarize(quiet)
    fitted = pc.GammaGamma(**BG).fit(rfm)
    own = fitted.segments_["fair"]
    assert own.fingerprint_.n_repeat_buyers == 0
    # Its likelihood is constant, so its mode is the center.
    np.testing.assert_allclose(own.posterior_.point_array, fitted.posterior_.point_array[:3], rtol=1e-6)
    drawn = to_unconstrained(own.posterior_.parameters, own.posterior_.draws_array())
    before = population_s_draws(fitted, np.random.default_rng(2), 16).reshape(-1, 3)
    for i in range(3):
        # Draws are spread more evenly than independent ones, so that the test lets less pass than it seems.
        assert stats.ks_2samp(drawn[:, i], before[:, i]).pvalue > 1e-3
    forecast = value_model(models["counts of all"], fitted).predict(rfm, HORIZON)
    assert np.isfinite(forecast.drop(columns="customer_id")).all(axis=None)


@pytest.mark.parametrize("model", [pc.BGNBD, pc.GammaGamma])
@pytest.mark.parametrize("n", [1, 2])
def test_few_segments_say_little_of_their_spread(model, n, table):
    """Two segments, or a single one, still make a posterior: the spread is then its prior."""
    channel = np.array(["one", "two"])[np.arange(len(table)) % n]
    with pytest.warns(ConvergenceWarning, match="there is one segment") if n == 1 else nullcontext():
        fitted = model(**BG).fit(summarize(table.assign(channel=channel)))
    names = fitted.posterior_.names
    spread = fitted.posterior_.draws_array()[:, names.index(f"{names[0]}_spread")]
    prior = fitted.priors_[f"{names[0]}_spread"]
    # One segment leaves the spread to the prior altogether; two that are alike pull it down somewhat.
    low = {1: 0.85, 2: 0.4}[n]
    assert low < np.median(spread) / prior.quantile(0.5) < 1.15
    if n == 1:
        whole = model(method="map").fit(summarize(table)).posterior_
        # The segment has the data; the spread widens its prior, which matters little to so many customers.
        own = fitted.segments_["one"].posterior_
        shift = np.log(own.point_array) - np.log(whole.point_array)
        assert (np.abs(shift) < 0.5 * np.sqrt(np.diag(whole.covariance_unconstrained))).all()


def distances(fitted, unconstrained):
    """Squared distance to the population's center, in spreads."""
    posterior = fitted.posterior_
    center, log_spread = np.split(to_unconstrained(posterior.parameters, posterior.point_array), 2)
    return float(np.sum(((unconstrained - center) / np.exp(log_spread)) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("model", [pc.BGNBD, pc.GammaGamma])
def test_large_segments_speak_for_themselves(model):
    sizes = {"large": 20_000, "middling": 300, "small": 60, "tiny": 25}
    rfm = summarize(simulate(sizes, 4))
    fitted = model(**BG).fit(rfm)
    for name, own in fitted.segments_.items():
        some = rfm[rfm.carried["channel"] == name]
        found = to_unconstrained(own.posterior_.parameters, own.posterior_.point_array)
        likelihood = replace(own._likelihood(some), parameters=own.posterior_.parameters)
        # The estimate is where the data's pull and the population's are equal.
        posterior = fitted.posterior_
        center, log_spread = np.split(to_unconstrained(posterior.parameters, posterior.point_array), 2)
        data = unconstrained_derivatives(likelihood, found)
        pull = (found - center) / np.exp(2 * log_spread)
        error = np.sqrt(np.diag(np.linalg.inv(np.diag(np.exp(-2 * log_spread)) - data.hessian)))
        np.testing.assert_array_less(np.abs(data.gradient - pull) * error, 1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            apart = (
                model(method="map", priors=None).fit(some).posterior_
                if len(some) > 1000
                else model().fit(some).posterior_
            )
        alone = to_unconstrained(own.posterior_.parameters, apart.point_array)
        if name == "large":
            errors = np.sqrt(np.diag(apart.covariance_unconstrained))
            print(model.__name__, "shift of the large one in standard errors:", ((found - alone) / errors).round(3))
            # 20,000 customers against spreads of 0.3: a tenth of a standard error or so, and never a whole one.
            assert (np.abs(found - alone) < 0.5 * errors).all()
        else:
            # No nearer to its own optimum, and nearer to the center, than that optimum itself.
            assert distances(fitted, found) < distances(fitted, alone)
            assert data.value <= unconstrained_derivatives(likelihood, alone).value


@pytest.mark.slow
@pytest.mark.parametrize(("model", "n"), [(pc.BGNBD, 60), (pc.GammaGamma, 20)])
def test_many_segments_take_seconds(model, n):
    sizes = {f"{size}-{i}": int(size) for i, size in enumerate(np.geomspace(5, 1000, n).astype(int))}
    rfm = summarize(simulate(sizes, 6))
    start = time.process_time()
    fitted = model(**BG).fit(rfm)
    fitted.posterior_.draws_array()
    seconds = time.process_time() - start
    print(f"{model.__name__}, {n} segments, {len(rfm):,} customers: {seconds:.1f} CPU-seconds")
    assert len(fitted.segments_) == n
    # Sixty take some 10 seconds where this was written; a machine four times slower passes.
    assert seconds < 40 * n / 60
    # Segments were drawn 0.3 apart in every log parameter of purchases (in gamma alone for spend).
    draws = fitted.posterior_.draws
    for parameter in ("r", "alpha") if model is pc.BGNBD else ("gamma",):
        low, high = draws[f"{parameter}_spread"].quantile([0.005, 0.995])
        assert low < 0.3 < high


# Bad input


@pytest.mark.parametrize("forecast", [
    lambda clv, rfm: clv.predict(rfm, HORIZON),
    lambda clv, rfm: clv.portfolio(rfm, HORIZON),
    lambda clv, rfm: clv.transactions_.p_alive(rfm),
    lambda clv, rfm: clv.spend_.expected_spend(rfm),
    lambda clv, rfm: clv.transactions_.score(rfm),
])  # fmt: skip
@pytest.mark.parametrize("case", ["unseen", "not carried", "missing"])
def test_customers_of_no_known_segment_are_refused(case, forecast, models, table):
    clv = value_model(models["counts"], models["spend"])
    channel = table["channel"].astype(object)
    if case == "unseen":
        rfm = summarize(table.assign(channel=channel.where(table.index < 588, "kiosk")))
        message = (
            rf"^2 of 590 customers are in segments of 'channel' that (BGNBD|GammaGamma) was not fitted on \(first: "
            rf"customer {table['customer_id'][588]}, 'kiosk'; known: 'fair', 'shop', 'web'\)"
        )
    elif case == "missing":
        rfm = summarize(table.assign(channel=channel.where(table.index != 7, None)))
        message = rf"^Column 'channel' is missing for 1 of 590 customers \(first: customer {table['customer_id'][7]}\)"
    else:
        rfm, message = (
            summarize(table.drop(columns="channel")),
            r"'channel' is no carried column; carried are: 'country'",
        )
    with pytest.raises(DataError, match=message):
        forecast(clv, rfm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="channel"), r"'channel' is no carried column.*Give carry=\['channel'\]"),
        (lambda t: t.assign(channel=t["channel"].where(t.index != 3)), "missing for 1 of 590 customers .first: "),
        (lambda t: t.assign(channel=None), "holds no value for any of the 590 customers"),
        (lambda t: t.assign(channel=t["channel"].replace("web", "population")), "is called 'population'.*Rename"),
        (lambda t: t.assign(channel=[1 if i % 2 else "1" for i in range(len(t))]), "(print alike|cannot be sorted)"),
    ],
)  # fmt: skip
def test_columns_that_make_no_segments_are_refused(change, message, table):
    for model in (pc.BGNBD, pc.GammaGamma):
        with pytest.raises(DataError, match=message):
            model(**BG).fit(summarize(change(table)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment": "channel"}, r"share strength through priors: segment= needs method='map', 'mcmc' or 'auto'"),
        ({"method": "map", "segment": 3}, r"'segment' must be the name of a carried column\. Got 3"),
        ({"method": "map", "segment": ["channel"]}, r"'segment' must be the name of a carried column\. Got \["),
        ({**BG, "priors": {"alpha_spreed": Gamma(0.4, 2.0)}}, r"'alpha_spreed'.*Did you mean 'alpha_spread'"),
        ({**BG, "priors": {"alpha_spread": "flat"}}, "'alpha_spread' must be proper"),
        ({**BG, "priors": {"alpha_spread": 0.3}}, "'alpha_spread' must be proper"),
        ({"method": "map", "priors": {"alpha_spread": Gamma(0.4, 2.0)}}, "has no parameter 'alpha_spread'"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(settings, message, rfm):
    with pytest.raises(ValueError, match=message):
        pc.BGNBD(**settings).fit(rfm)


@pytest.mark.parametrize("prior", [LogNormal(0.8, 0.3, above=0.5), Gamma(0.8, 3.0, above=0.5)])
def test_a_prior_of_a_spread_reaches_down_to_zero(prior, rfm):
    with pytest.raises(ValueError, match=r"'alpha_spread' must reach down to 0.*no above="):
        pc.BGNBD(**{**BG, "priors": {"alpha_spread": prior}}).fit(rfm)


def test_large_segments_leave_nothing_to_default_priors():
    """However few segments, and however vague their center."""
    table = pc.datasets.simulate_rfm(n_customers=4000, T=(10.0, 52.0), lattice=7, seed=5).rfm.to_pandas()
    channel = np.array(["one", "two"])[np.arange(len(table)) % 2]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*default priors")
        pc.BGNBD(method="map", segment="channel").fit(summarize(table.assign(channel=channel)))


def test_an_improper_prior_of_a_spread_cannot_be_made():
    with pytest.raises(ValueError, match=r"shape must be positive and finite, or the prior is improper\. Got 0\.0"):
        Gamma(0.4, 0.0)


def test_priors_of_spreads_are_heeded(rfm):
    """Hardly any spread is complete pooling, and a wide one leaves segments to themselves."""
    names = ("r", "alpha", "a", "b")
    alike, apart = (
        pc.BGNBD(**BG, priors={f"{name}_spread": LogNormal(size, 0.1) for name in names}).fit(rfm)
        for size in (1e-3, 3.0)
    )
    points = np.array([own.posterior_.point_array for own in alike.segments_.values()])
    np.testing.assert_allclose(points, np.tile(alike.posterior_.point_array[:4], (3, 1)), rtol=0.01)
    whole = pc.BGNBD(method="map").fit(rfm).posterior_
    np.testing.assert_allclose(points[0], whole.point_array, rtol=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        separate = pc.BGNBD().fit(rfm[rfm.carried["channel"] == "web"]).posterior_
    shift = np.log(apart.segments_["web"].posterior_.point_array / separate.point_array)
    assert (np.abs(shift) < 0.5 * np.sqrt(np.diag(separate.covariance_unconstrained))).all()


# What speaks of one population only


@pytest.mark.parametrize("use", [
    lambda clv, rfm: pc.checks.check_frequencies(clv.transactions_, rfm),
    lambda clv, rfm: pc.checks.check_recency(clv.transactions_, rfm),
    lambda clv, rfm: pc.checks.check_spend(clv.spend_, rfm),
    lambda clv, rfm: pc.checks.follow_customer(clv.transactions_, [0.0, 3.0], until=9.0),
    lambda clv, rfm: clv.transactions_.thetas(),
    lambda clv, rfm: clv.transactions_.predict_rows(np.ones(1), np.ones(1), np.full(1, 2.0), 3.0),
])  # fmt: skip
def test_what_speaks_of_one_population_asks_for_a_segment(use, crossed, rfm):
    with pytest.raises(ValueError, match=r"segments_\['\w+'\]"):
        use(crossed, rfm)


def test_plots_of_one_population_ask_for_a_segment(crossed):
    with pytest.raises(ValueError, match=r"segments_\['fair'\]"):
        pc.plots.plot_frequency_recency(crossed.transactions_)
    assert pc.plots.plot_frequency_recency(crossed.transactions_.segments_["fair"], max_frequency=5).collections


# The face of scikit-learn


def test_settings_follow_scikit_learn(models, rfm):
    model = models["counts"]
    assert model.get_params()["segment"] == "channel"
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "posterior_")
    assert "segment" in model._repr_html_()
    nested = pc.CLV(pc.BGNBD(**BG), pc.GammaGamma())
    assert nested.get_params()["transactions__segment"] == "channel"
    nested.set_params(transactions__segment=None, transactions__method="mle")
    assert nested.fit(rfm).transactions_.segments_ == {}
    # Fitted again without segments, nothing of them is left.
    again = clone(model).fit(rfm).set_params(segment=None).fit(rfm)
    assert again.segments_ == {}
    assert again.posterior_.names == ["r", "alpha", "a", "b"]
