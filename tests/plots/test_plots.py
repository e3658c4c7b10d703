"""What is drawn: the numbers, the words, and nothing beside the axes."""

from __future__ import annotations

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import predclv as pc
from predclv import checks, plots
from predclv.data.timeline import purchase_timeline
from predclv.plots import style


@pytest.fixture(scope="module")
def tracking(bg):
    return checks.track_purchases(bg, purchase_timeline(pc.datasets.load_cdnow(), by="day"))


@pytest.fixture(scope="module")
def customers(clv, cdnow):
    return clv.predict(cdnow, 39)


@pytest.fixture(scope="module")
def portfolio():
    return pd.DataFrame(
        {
            "segment": ["b", "a", "existing customers"],
            "customers": [5, 6, 11],
            "expected_clv": [10.0, 30.0, 40.0],
            "clv_low": [4.0, 20.0, 30.0],
            "clv_high": [20.0, 41.0, 55.0],
            "share_of_value": [0.25, 0.75, 1.0],
        }
    )


@pytest.fixture
def ax():
    return Figure().subplots()


PLOTS = [
    "tracking",
    "rate",
    "frequencies",
    "groups",
    "recency",
    "spend",
    "p_values",
    "values",
    "lorenz",
    "alive",
    "expected",
    "history",
    "portfolio",
]


@pytest.fixture(scope="module")
def draw(bg, clv, cdnow, cdnow_split, tracking, customers, portfolio):
    frequencies, groups = checks.check_frequencies(bg, cdnow), checks.check_holdout(bg, cdnow_split)
    recency, spend = checks.check_recency(bg, cdnow), checks.check_spend(clv.spend_, cdnow)
    history = checks.follow_customer(bg, ["1997-01-01", "1997-02-03"], until="1997-09-30")
    return {
        "tracking": lambda **o: plots.plot_tracking(tracking, **o),
        "rate": lambda **o: plots.plot_tracking(tracking, cumulative=False, **o),
        "frequencies": lambda **o: plots.plot_frequency_histogram(frequencies, **o),
        "groups": lambda **o: plots.plot_calibration(groups, **o),
        "recency": lambda **o: plots.plot_recency(recency, **o),
        "spend": lambda **o: plots.plot_spend_density(spend, **o),
        "p_values": lambda **o: plots.plot_p_values(frequencies, recency, spend, tracking, groups, **o),
        "values": lambda **o: plots.plot_value_distribution(customers, currency="USD", **o),
        "lorenz": lambda **o: plots.plot_lorenz_curve(customers, **o),
        "alive": lambda **o: plots.plot_frequency_recency(bg, **o),
        "expected": lambda **o: plots.plot_frequency_recency(bg, horizon="39 weeks", **o),
        "history": lambda **o: plots.plot_alive_history(history, name=7, **o),
        "portfolio": lambda **o: plots.plot_portfolio(portfolio, currency="USD", **o),
    }


@pytest.mark.parametrize("name", PLOTS)
def test_draws_on_the_axes_given_and_nowhere_else(name, draw, ax):
    open_figures, settings = plt.get_fignums(), mpl.rcParams.copy()
    assert draw[name](ax=ax) is ax
    ax.figure.canvas.draw()
    assert plt.get_fignums() == open_figures
    assert mpl.rcParams == settings
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel() or name in ("portfolio", "p_values")


@pytest.mark.parametrize("name", PLOTS)
def test_makes_axes_where_none_are_given(name, draw):
    axes = draw[name]()
    assert isinstance(axes, Axes)
    plt.close(axes.figure)


def test_every_plot_is_exported_and_listed():
    exported = {name for name in plots.__all__ if name.startswith("plot_")}
    assert exported == {name for name in dir(plots) if name.startswith("plot_")}


def test_tracking_draws_both_curves_and_the_band(tracking, ax):
    plots.plot_tracking(tracking, ax=ax)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(lines["actual"], tracking.table["cumulative_actual"])
    np.testing.assert_array_equal(lines["expected by the model"], tracking.table["cumulative_expected"])
    band = ax.collections[0].get_paths()[0].get_extents()
    assert band.ymax == tracking.table["cumulative_high"].max()
    assert ax.get_title(loc="left").replace("\n", " ") == "1,882 repeat purchases after the fit, 1,667 expected (−11%)"
    assert "90% band" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_cut_week_is_scaled_to_a_whole_one(tracking, ax):
    cut = tracking.table.iloc[:1].assign(actual=6, end=tracking.table["start"].iloc[0] + pd.Timedelta(days=3))
    short = dataclasses.replace(tracking, table=cut, simulated=tracking.simulated[:, :1])
    plots.plot_tracking(short, cumulative=False, ax=ax)
    assert ax.lines[1].get_ydata() == pytest.approx([14.0])


def test_frequency_histogram_draws_bars_and_expectations(bg, cdnow, ax):
    check = checks.check_frequencies(bg, cdnow)
    table = check.table
    plots.plot_frequency_histogram(check, ax=ax)
    assert [bar.get_height() for bar in ax.patches] == table["actual"].tolist()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), table["expected"])
    assert ax.get_title(loc="left").replace("\n", " ") == "The model reproduces how often customers came back"


def test_frequency_histogram_says_where_the_model_fails(tracking, ax):
    table = pd.DataFrame(
        {"repeat_purchases": ["0", "1+"], "actual": [50, 10], "expected": [30, 30], "low": [25, 8], "high": [35, 35]}
    )
    plots.plot_frequency_histogram(dataclasses.replace(tracking, table=table), ax=ax)
    assert ax.get_title(loc="left").startswith("1 of 2 counts of customers lie outside")


def test_calibration_draws_the_groups(bg, cdnow_split, ax):
    check = checks.check_holdout(bg, cdnow_split)
    table = check.table
    plots.plot_calibration(check, ax=ax)
    actual = next(line for line in ax.lines if line.get_label() == "actual")
    np.testing.assert_array_equal(actual.get_ydata(), table["actual"])
    inside = int(((table["actual"] >= table["low"]) & (table["actual"] <= table["high"])).sum())
    assert f"in {inside} of 8 groups" in ax.get_title(loc="left").replace("\n", " ")


def test_value_distribution_counts_every_positive_customer(customers, ax):
    plots.plot_value_distribution(customers, ax=ax)
    assert sum(bar.get_height() for bar in ax.patches) == 2357
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        f"{name} {value:.2f}"
        for name, value in (("median", customers["expected_clv"].median()), ("mean", customers["expected_clv"].mean()))
    ]


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0], [5.0, 5.0], [0.0, 3.0, np.inf], [1e-9, 1e9]])
def test_value_plots_take_odd_bases(values, ax):
    frame = pd.DataFrame({"expected_clv": values})
    plots.plot_value_distribution(frame, ax=ax)
    shown = sum(bar.get_height() for bar in ax.patches)
    assert shown == sum(0 < value < np.inf for value in values)
    ax.figure.canvas.draw()
    if np.isfinite(values).all():
        plots.plot_lorenz_curve(frame, ax=Figure().subplots())


def test_lorenz_curve_says_the_share_of_the_top_fifth(customers, ax):
    plots.plot_lorenz_curve(customers, ax=ax)
    ordered = customers["expected_clv"].sort_values(ascending=False).to_numpy()
    share = ordered[:471].sum() / ordered.sum()
    assert f"top 20% of the customers hold {share:.0%}" in ax.get_title(loc="left").replace("\n", " ")


def test_heat_map_shows_the_models_probabilities(bg, ax):
    plots.plot_frequency_recency(bg, T=39, max_frequency=12, ax=ax)
    shown = ax.collections[0].get_array()
    assert shown.shape == (12, 60)
    summary = pc.RFMSummary.from_frame(
        pd.DataFrame({"frequency": [1, 12], "recency": [39.0, 0.5], "T": [39.0, 39.0]}), time_unit="week"
    )
    assert shown[0, 0] == pytest.approx(bg.p_alive(summary)["p_alive"][0], rel=1e-9)
    assert shown[11, -1] < 1e-6
    assert ax.collections[0].get_clim() == (0.0, 1.0)


def test_heat_map_of_expected_purchases_names_the_horizon(bg, ax):
    plots.plot_frequency_recency(bg, horizon="1 year", ax=ax)
    labels = [axes.get_ylabel() for axes in ax.figure.axes]
    assert "Expected purchases, 1 year" in labels


def test_portfolio_is_sorted_and_leaves_the_total_out(portfolio, ax):
    plots.plot_portfolio(portfolio, ax=ax)
    assert [bar.get_width() for bar in ax.patches] == [30.0, 10.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_title(loc="left") == "a holds 75% of the value"


def test_portfolio_of_many_segments_shows_twenty(ax):
    n = 30
    rows = pd.DataFrame({"segment": [f"s{i}" for i in range(n)] + ["existing customers"]})
    rows = rows.assign(expected_clv=1.0, clv_low=0.5, clv_high=2.0, share_of_value=1 / n)
    plots.plot_portfolio(rows, ax=ax)
    assert len(ax.patches) == 20
    assert "10 smaller ones not shown" in ax.get_xlabel()


def test_names_are_drawn_as_they_are(portfolio, ax):
    hostile = portfolio.assign(segment=["$x_1$", "a\u202eb\x00\nc" + "d" * 99, "existing customers"])
    plots.plot_portfolio(hostile, currency="$", ax=ax)
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[1] == r"\$x_1\$"
    assert labels[0].startswith("a�b� cdd")
    assert len(labels[0]) == 32


def test_inputs_are_unchanged(clv, cdnow, customers, portfolio, tracking, ax):
    before = customers.copy(), portfolio.copy(), tracking.table.copy(), cdnow.to_pandas()
    plots.plot_value_distribution(customers, ax=ax)
    plots.plot_lorenz_curve(customers, ax=Figure().subplots())
    plots.plot_portfolio(portfolio, ax=Figure().subplots())
    plots.plot_tracking(tracking, cumulative=False, ax=Figure().subplots())
    plots.plot_spend_density(checks.check_spend(clv.spend_, cdnow), ax=Figure().subplots())
    for left, right in zip(before, (customers, portfolio, tracking.table, cdnow.to_pandas()), strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_a_polars_result_is_drawn_as_it_comes(customers, ax):
    pl = pytest.importorskip("polars")
    plots.plot_lorenz_curve(pl.from_pandas(customers), ax=ax)
    assert ax.lines


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1234567.8, "USD", "1,234,568 USD"),
        (12.345, "EUR", "12.35 EUR"),
        (0.0, None, "0"),
        (250.4, "$", "$250"),
        (np.inf, "USD", "∞"),
        (np.nan, None, "–"),
    ],
)
def test_money_is_written_for_readers(amount, currency, text):
    assert style.money(amount, currency) == text


def test_shares_have_a_minus_sign():
    assert style.percent(-0.123, sign=True) == "−12%"
    assert style.percent(0.5, sign=True) == "+50%"
    assert style.percent(float("nan")) == "–"


def test_small_shares_keep_their_digits_and_zeros_no_sign():
    assert [style.percent(share) for share in (0.0043, 0.00043, 1e-9, 0.0, 0.0099)] == [
        "0.43%", "0.043%", "0%", "0%", "0.99%",
    ]  # fmt: skip
    assert [style.percent(share, sign=True) for share in (-0.003, -1e-9, 0.003)] == ["−0.3%", "0%", "+0.3%"]
    assert [style.points(share) for share in (0.0131, -0.0004, 1e-7, float("nan"))] == ["+1.3", "−0.04", "0", "–"]
    assert style.share_range(0.7931, 0.8012) == "79% to 80%"
    assert style.share_range(0.9161, 0.9233) == "91.6% to 92.3%"
    assert style.share_range(0.25, 0.25) == "25% to 25%"
    assert [style.chance(share) for share in (0.001, 0.31, 0.999)] == ["below 1%", "31%", "above 99%"]


def test_periods_are_named_as_people_say():
    named = ("1997-03", "1997Q2", "1997-03-03/1997-03-09", "1997")
    assert [style.period_name(period) for period in named] == [
        "March 1997", "quarter 2 of 1997", "the week from 1997-03-03", "1997",
    ]  # fmt: skip
    assert style.period_name(pd.Period("2024-12", freq="M")) == "December 2024"
