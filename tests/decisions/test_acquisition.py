"""Acquisition: figures that follow from the draws, payback that is where the value comes to the cost, verdicts."""

from __future__ import annotations

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import predclv as pc
from predclv.decisions import assess_acquisition
from predclv.decisions.acquisition.assess import _payback
from predclv.decisions.acquisition.terms import BANDS
from predclv.decisions.report.acquisition import _title
from predclv.errors import DataError, DependenceWarning
from predclv.forecast.value_path import _discounted_path, path_times
from predclv.models.bg_family import BGFamily
from predclv.plots.acquisition import plot_ratios
from predclv.priors import LogNormal

CAC = {"<i>mail": 4.0, "search": 13.0, "social": 60.0}


@pytest.fixture(scope="module")
def rfm():
    log = pc.datasets.load_cdnow()
    log["channel"] = np.array(list(CAC))[log["customer_id"] % 3]
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1998-06-30", carry=["channel"])


@pytest.fixture(scope="module")
def clv(rfm):
    models = (each(method="map", segment="channel") for each in (pc.BGNBD, pc.GammaGamma))
    with pytest.warns(DependenceWarning):
        return pc.CLV(*models).fit(rfm)


@pytest.fixture(scope="module")
def found(clv):
    return assess_acquisition(clv, CAC, horizon="1 year", margin=0.3, n_draws=400)


@pytest.mark.parametrize("key", ["bg_nbd", "mbg_nbd", "pareto_nbd", "nbd", "bg_cnbd", "bg_bb"])
@pytest.mark.parametrize("horizon", [2.0, 52.0, 520.0])
def test_paths_by_parts_are_the_discounted_purchases(key, horizon):
    bindings = BGFamily(k=2, dropout_at_first=False) if key == "bg_cnbd" else pc.MODELS[key]().bindings
    theta = {"nbd": [0.38, 12.0], "pareto_nbd": [0.55, 10.6, 0.6, 11.7]}.get(key, [0.24, 4.4, 0.8, 2.4])
    theta = np.array([theta, 1.3 * np.array(theta)])
    zero, times = np.zeros(1), path_times(horizon, 8, 0.0, whole=key == "bg_bb")
    path = _discounted_path(bindings, times, 0.0018, theta)
    expected = [bindings.discounted_expected_purchases(zero, zero, zero, t, 0.0018, theta)[:, 0] for t in times]
    np.testing.assert_allclose(path, np.transpose(expected), rtol=1e-8)


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize(("horizon", "include_first"), [("26 weeks", True), ("26 weeks", False), (np.inf, True)])
def test_a_path_leads_to_the_new_customers_value(clv, horizon, include_first):
    options = {"segment": "search", "margin": 0.4, "include_first": include_first, "horizon": horizon}
    if horizon == np.inf:
        clv = clv.of_segment(options.pop("segment"))
    path = clv.new_customer_path(**options)
    expected = clv.new_customer(**options)
    assert path.center[-1] == pytest.approx(expected["expected_clv"].item(), rel=1e-8)
    low, high = np.quantile(path.draws[:, -1], [0.05, 0.95])
    # A 5 % quantile of 256 draws is off by 4 % of the width, one of 1,024 by 2 %: 3.5 standard errors.
    width = high - low
    assert low == pytest.approx(expected["expected_clv_low"].item(), abs=0.16 * width)
    assert high == pytest.approx(expected["expected_clv_high"].item(), abs=0.16 * width)
    assert (np.diff(path.draws, axis=1) > 0).all()
    assert (path.draws[:, 0] > path.start_draws).all()
    assert (path.start > 0) == include_first


def test_a_path_at_the_point_is_the_forecast_at_every_time(rfm):
    with pytest.warns(DependenceWarning):
        clv = pc.CLV().fit(rfm)
    path = clv.new_customer_path("40 weeks", n_times=4, n_draws=32)
    for time, value in zip(path.times, path.center, strict=True):
        assert value == pytest.approx(clv.new_customer(float(time))["expected_clv"].item(), rel=1e-8)


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize("include_first", [True, False])
@pytest.mark.parametrize("horizon", ["12 months", np.inf])
def test_a_contract_pays_every_period(horizon, include_first):
    clv = pc.CLV(pc.SBG()).fit(
        pc.Subscriptions.from_cohorts([1000, 869, 743, 653, 593, 551], period="month", price=10.0)
    )
    options = {"price": 10.0, "margin": 0.5, "include_first": include_first}
    path = clv.new_customer_path(horizon, **options)
    expected = clv.new_customer(horizon, **options)
    assert path.center[-1] == pytest.approx(expected["expected_clv"].item(), rel=1e-12)
    assert len(path.times) == (12 if horizon == "12 months" else 121)
    assert path.center[2] == pytest.approx(clv.new_customer("3 months", **options)["expected_clv"].item(), rel=1e-12)
    found = assess_acquisition(clv, 14.0, horizon=horizon, **options)
    assert found.table["channel"].tolist() == ["all"]
    # 5 at once or after a month, and less than 5 each month after.
    assert 2 < found.table["payback"].item() < 5


def test_a_horizon_within_the_first_period_has_the_first_payment_alone():
    clv = pc.CLV(pc.SBG()).fit(pc.Subscriptions.from_cohorts([100, 80, 70, 65], period="month", price=10.0))
    path = clv.new_customer_path("2 weeks", price=10.0)
    assert path.center[-1] == pytest.approx(clv.new_customer("2 weeks", price=10.0)["expected_clv"].item())
    assert path.center[-1] == path.start == 10
    with pytest.raises(ValueError, match="'n_times' must be a whole number from 2 on"):
        clv.new_customer_path("2 months", price=10.0, n_times=0)


def test_every_figure_follows_from_the_draws(found):
    for row in found.table.to_dict("records"):
        value, cac = found.draws[row["channel"]], row["cac"]
        assert row["ratio"] == row["expected_clv"] / cac
        for band in (1, 3, 5):
            assert row[f"p_above_{band}"] == np.mean(value > band * cac)
        low, high = np.quantile(value, [0.05, 0.95], method="inverted_cdf")
        assert (row["clv_low"], row["clv_high"]) == (low, high)
        # What may be paid is brought back, or thrice, with the confidence asked for, and no more is promised.
        assert np.mean(value >= row["break_even_cac"]) >= 0.9
        assert np.mean(value > row["break_even_cac"]) < 0.9
        assert row["target_cac"] == row["break_even_cac"] / 3
    verdicts = found.table.set_index("channel")["verdict"]
    assert verdicts["<i>mail"] == "under-investing"
    assert verdicts["social"] == "critical"
    assert "social" in found.say().split(";")[-1]
    ceilings = found.commission_ceiling().set_index("channel")
    path = found.paths["search"]
    share = ceilings.loc["search", "of_first_purchase"]
    assert np.mean(found.draws["search"] >= 3 * share * path.first_spend_draws) >= 0.9
    assert ceilings.loc["search", "of_revenue"] == pytest.approx(0.1)


def test_payback_is_where_the_value_comes_to_the_cost(clv, found):
    table = found.table.set_index("channel")
    assert table.loc["<i>mail", "payback"] == 0
    assert np.isinf(table.loc["social", "payback"])
    time = table.loc["search", "payback"]
    assert table.loc["search", "payback_low"] < time < table.loc["search", "payback_high"]
    # Between two of 24 times the line lies a little below the curve.
    value = clv.new_customer(time, segment="search", margin=0.3)["expected_clv"].item()
    assert value == pytest.approx(13.0, rel=0.01)
    curve = found.payback[found.payback["channel"] == "search"]
    assert curve["time"].iloc[[0, -1]].tolist() == pytest.approx([0, 365.25 / 7])
    assert (np.diff(curve["value"]) > 0).all()
    assert ((curve["low"] < curve["value"]) & (curve["value"] < curve["high"])).all()


@pytest.mark.parametrize(
    ("start", "value", "cac", "expected"),
    [
        (2.0, [4.0, 6.0], 1.0, 0.0),
        (2.0, [4.0, 6.0], 2.0, 0.0),
        (2.0, [4.0, 6.0], 3.0, 5.0),
        (2.0, [4.0, 6.0], 5.0, 15.0),
        (2.0, [4.0, 6.0], 6.0, 20.0),
        (2.0, [4.0, 6.0], 7.0, np.inf),
        (2.0, [np.inf, np.inf], 7.0, 0.0),
    ],
)
def test_payback_of_a_path(start, value, cac, expected):
    assert _payback(np.array([10.0, 20.0]), np.array(value), start, cac) == expected


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
def test_payback_soon_after_the_first_purchase_is_no_matter_of_the_grid(clv):
    options = {"horizon": "3 years", "margin": 0.3, "n_draws": 64}
    one = clv.of_segment("search")
    fine = one.new_customer_path(**options, n_times=2_000)
    cac = 1.05 * fine.start
    found = assess_acquisition(one, cac, **options).table["payback"].item()
    # Of a week: three hours.
    assert found == pytest.approx(_payback(fine.times, fine.center, fine.start, cac), abs=0.02)


def test_an_interval_over_bands_is_uncertain(clv, found):
    middle = found.table.set_index("channel").loc["search", "expected_clv"]
    near = assess_acquisition(clv, {**CAC, "search": middle / 3}, horizon="1 year", margin=0.3, n_draws=200)
    row = near.table.set_index("channel").loc["search"]
    assert row["verdict"] == "uncertain (from insufficient to healthy)"
    assert 0.2 < row["p_above_3"] < 0.8
    own = assess_acquisition(clv, CAC, horizon="1 year", margin=0.3, n_draws=200, bands={0: "lose", 2.5: "gain"})
    assert [name for name in own.table if name.startswith("p_")] == ["p_above_2.5"]
    assert set(own.table["verdict"]) <= {"lose", "gain"}


def test_channels_are_told_apart_by_covariates(rfm):
    model = pc.BGNBD(purchase_covariates=["channel"], penalty=1.0)
    with pytest.warns(DependenceWarning):
        clv = pc.CLV(model).fit(rfm)
    profiles = {name: {"channel": name} for name in CAC}
    found = assess_acquisition(clv, CAC, profiles=profiles, horizon="1 year", n_draws=100)
    expected = clv.new_customer("1 year", covariates=profiles["search"])["expected_clv"].item()
    assert found.table.set_index("channel").loc["search", "expected_clv"] == pytest.approx(expected, rel=1e-8)
    with pytest.raises(DataError, match="'cac' lacks 1 of 3 channels"):
        assess_acquisition(clv, {"search": 1, "social": 2}, profiles=profiles)


@pytest.mark.parametrize(
    ("cac", "options", "error", "message"),
    [
        ({"search": 1, "social": 1}, {}, DataError, r"'cac' lacks 1 of 3 channels \(first: '<i>mail'\)"),
        ({**CAC, "serch": 1}, {}, DataError, r"1 of 4 channels .*'serch'.* Did you mean 'search'"),
        ({**CAC, "social": 0}, {}, DataError, r"CAC of 'social' is 0: it must be a number above 0"),
        ({**CAC, "social": -3}, {}, DataError, r"CAC of 'social' is -3"),
        ({**CAC, "social": None}, {}, DataError, r"CAC of 'social' is None"),
        ({**CAC, "social": np.nan}, {}, DataError, r"CAC of 'social' is nan"),
        ({**CAC, "social": "12"}, {}, DataError, r"CAC of 'social' is '12'"),
        (pd.Series(CAC).iloc[:2], {}, DataError, r"'social'"),
        (CAC, {"margin": 1.2}, ValueError, r"at most 1"),
        (CAC, {"margin": {"search": 0.2}}, DataError, r"'margin' lacks 2 of 3 channels"),
        (CAC, {"confidence": 90}, ValueError, r"did you mean 0\.9"),
        (CAC, {"target": 0}, ValueError, r"'target' must be above 0"),
        (CAC, {"bands": {1: "a", 3: "b"}}, ValueError, r"'bands' must say where each begins"),
        (CAC, {"level": 0}, ValueError, r"'level'"),
    ],
)
def test_what_means_nothing_is_refused(clv, cac, options, error, message):
    with pytest.raises(error, match=message):
        assess_acquisition(clv, cac, **{"horizon": "1 year", "n_draws": 16, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"margin": {**dict.fromkeys(CAC, 0.3), "tv": 0.3}}, DataError, r"'margin' names 1 of 4 channels"),
        ({"bands": {0: "low", np.nan: "high"}}, ValueError, "'bands' must be a finite number"),
        ({"bands": [0, 1, 3]}, ValueError, "'bands' must say where each begins"),
        ({"bands": {0: "low", "1": "high"}}, ValueError, "'bands' must be a finite number"),
        ({"min_customers": -1}, ValueError, "'min_customers' must be a whole number"),
    ],
)
def test_terms_by_channel_are_checked(clv, options, error, message):
    with pytest.raises(error, match=message):
        assess_acquisition(clv, CAC, horizon="1 year", n_draws=64, **options)


def test_a_channel_of_hardly_any_customers_gets_no_verdict(rfm):
    """One customer's channel has the figures of the others, and a cheap customer would make it look good."""
    few = rfm[:300]
    channel = few.carried["channel"].copy()
    channel[0] = "solo"
    few = replace(few, carried={**few.carried, "channel": channel})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clv = pc.CLV(*(each(method="map", segment="channel") for each in (pc.BGNBD, pc.GammaGamma))).fit(few)
    cac = {**CAC, "solo": 1.0}
    found = assess_acquisition(clv, cac, horizon="1 year", n_draws=64).table.set_index("channel")
    assert found.loc["solo", "ratio_low"] > 1
    assert found.loc["solo", "verdict"] == "not enough to say"
    assert found["customers"].tolist() == [int((channel == name).sum()) for name in found.index]
    title = _title(found.reset_index())
    assert "of 1, with too few customers, there is not enough to say" in title
    told = assess_acquisition(clv, cac, horizon="1 year", n_draws=64, min_customers=0).table
    assert not (told["verdict"] == "not enough to say").any()


def test_channels_need_models_that_know_them(rfm):
    with pytest.warns(DependenceWarning):
        clv = pc.CLV().fit(rfm)
    with pytest.raises(DataError, match="know no channels"):
        assess_acquisition(clv, CAC)
    with pytest.raises(TypeError, match="fitted CLV"):
        assess_acquisition(clv.transactions_, 3.0)
    whole = assess_acquisition(clv, 20.0, horizon="1 year", n_draws=64)
    assert whole.table["channel"].tolist() == ["all"]


def test_plots_show_every_channel(found):
    ax = found.plot_ratios()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["social", "search", "<i>mail"]
    assert {text.get_text() for text in ax.texts} == {"critical", "insufficient", "healthy", "under-investing"}
    ax = found.plot_payback()
    assert "2 of 3 channels" in ax.get_title(loc="left")
    assert "<i>" not in found._repr_html_()
    plt.close("all")


def test_names_of_narrow_bands_end_below_the_lowest_bar():
    """As large as in a report, beside long names."""
    ratios = {"ratio_low": [6.4, 3.4, 2.0], "ratio": [7.2, 3.8, 2.3], "ratio_high": [8.2, 4.3, 2.6]}
    channels = ["shop", "a name of some length", "another such name"]
    table = pd.DataFrame({"channel": channels, **ratios, "verdict": ["under-investing", "healthy", "insufficient"]})
    canvas = Figure(figsize=(5.6, 2.78), dpi=72, layout="constrained")
    ax = plot_ratios(table, BANDS, ax=canvas.subplots())
    canvas.draw_without_rendering()
    lowest = ax.transData.transform((0.0, 0.0))[1]
    assert any(text.get_rotation() for text in ax.texts)
    assert all(text.get_window_extent().y1 < lowest - 4 for text in ax.texts)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_the_chance_that_a_channel_is_worth_it_is_right_for_200_channels():
    """Channels drawn from a population that the priors describe; parameters fitted to 150 customers of each."""
    margin, spread, rng, rows = 0.4, 0.25, np.random.default_rng(3), []
    center = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.5, "p": 6.0, "q": 4.0, "gamma": 15.0}
    above = {name: float(name == "q") for name in center}
    priors = {name: LogNormal(value, spread, above=above[name]) for name, value in center.items()}
    names = ("r", "alpha", "a", "b"), ("p", "q", "gamma")
    zero, delta = np.zeros(1), np.log(1.1) / (365.25 / 7)
    usual = margin * 2.1 * 30.0
    for channel in range(200):
        own = {
            name: above[name] + (value - above[name]) * np.exp(spread * rng.standard_normal())
            for name, value in center.items()
        }
        counts, spend = ({name: own[name] for name in some} for some in names)
        drawn = pc.datasets.simulate_rfm(
            n_customers=150, parameters=counts, spend=spend, T=(20.0, 78.0), lattice=7, seed=channel
        )
        theta = np.array([list(counts.values())])
        bought = pc.BGNBD().bindings.discounted_expected_purchases(zero, zero, zero, 26.0, delta, theta)[0, 0]
        truth = margin * (1 + bought) * own["p"] * own["gamma"] / (own["q"] - 1)
        models = (
            each(method="map", priors={name: priors[name] for name in some})
            for each, some in zip((pc.BGNBD, pc.GammaGamma), names, strict=True)
        )
        cac = usual / 3 * np.exp(0.15 * rng.standard_normal())
        found = assess_acquisition(pc.CLV(*models).fit(drawn.rfm), cac, horizon="26 weeks", margin=margin, n_draws=256)
        rows.append(found.table.assign(truth=truth))
    table = pd.concat(rows)
    worth_it, chance = table["truth"] > 3 * table["cac"], table["p_above_3"]
    assert 40 < worth_it.sum() < 160
    for group in (chance < 0.3, chance.between(0.3, 0.7), chance > 0.7, chance >= 0):
        deviation = np.sqrt((chance * (1 - chance))[group].sum())
        assert abs((worth_it[group] - chance[group]).sum()) < 3.3 * deviation + 0.5
    inside = ((table["clv_low"] <= table["truth"]) & (table["truth"] <= table["clv_high"])).sum()
    assert abs(inside - 180) < 3.3 * np.sqrt(200 * 0.9 * 0.1)
    # And it tells channels apart: who knows nothing has .25.
    assert ((worth_it - chance) ** 2).mean() < 0.15
