"""Plots of a backtest: the numbers of the tables, a look for each method, and room for ten of them."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from backtest_tables import METHODS, N_POOLED, stand_in
from predclv import plots

HORIZON = "26 weeks"


@pytest.fixture(scope="module")
def result():
    return stand_in()


@pytest.fixture(scope="module")
def styles(result):
    return plots.method_styles(result.settings["methods"], "naive")


@pytest.fixture
def ax():
    return Figure(figsize=(6.4, 5.2), layout="constrained").subplots()


DRAW = {
    "deciles": lambda r, **o: plots.plot_calibration_by_decile(r.deciles, **o),
    "tracking": lambda r, **o: plots.plot_method_tracking(r.tracks, totals=r.totals, **o),
    "totals": lambda r, **o: plots.plot_total_tracking(r.totals, **o),
    "gains": lambda r, **o: plots.plot_gains(r.gains, **o),
    "pit": lambda r, **o: plots.plot_pit(r.pit, **o),
    "reliability": lambda r, **o: plots.plot_reliability(r.reliability, **o),
    "scores": lambda r, **o: plots.plot_scores(r.scores, **o),
    "cost": lambda r, **o: plots.plot_score_against_cost(r.scores, r.runs, **o),
}
WITH_NAMES_ON_AXIS = ("pit", "scores")


@pytest.mark.parametrize("name", DRAW)
def test_draws_on_the_axes_given_and_nowhere_else(name, result, styles, ax):
    tables = {key: table.copy() for key, table in vars(result).items() if isinstance(table, pd.DataFrame)}
    open_figures, settings = plt.get_fignums(), mpl.rcParams.copy()
    assert DRAW[name](result, styles=styles, ax=ax) is ax
    ax.figure.draw_without_rendering()
    assert plt.get_fignums() == open_figures
    assert mpl.rcParams == settings
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel() or name in WITH_NAMES_ON_AXIS
    for key, table in tables.items():
        pd.testing.assert_frame_equal(getattr(result, key), table)


@pytest.mark.parametrize("name", DRAW)
def test_makes_axes_where_none_are_given(name, result):
    axes = DRAW[name](result)
    assert isinstance(axes, Axes)
    plt.close(axes.figure)


@pytest.mark.parametrize("name", DRAW)
def test_nothing_of_ten_methods_is_cut_off(name, result, styles, ax):
    """At the size in which a report draws, with the names of ten methods."""
    ax.figure.set_size_inches(5.0, 4.6)
    DRAW[name](result, styles=styles, ax=ax)
    ax.figure.draw_without_rendering()
    page, drawn = ax.figure.bbox, ax.figure.get_tightbbox().transformed(ax.figure.dpi_scale_trans)
    assert drawn.x0 >= page.x0 - 1
    assert drawn.x1 <= page.x1 + 1
    assert drawn.y0 >= page.y0 - 1
    assert drawn.y1 <= page.y1 + 1
    assert ax.bbox.height > 0.3 * page.height


@pytest.mark.parametrize("name", [name for name in DRAW if name not in (*WITH_NAMES_ON_AXIS, "cost")])
def test_the_legend_stands_outside_and_names_every_method(name, result, styles, ax):
    DRAW[name](result, styles=styles, ax=ax)
    ax.figure.draw_without_rendering()
    legend = ax.get_legend()
    assert legend.get_window_extent().y1 < ax.bbox.y0
    shown = [text.get_text().split(":")[0] for text in legend.get_texts()]
    known = set(result.reliability["method"]) if name == "reliability" else set(METHODS)
    assert set(shown) - {"actual", "as forecast", "at random", "with hindsight"} == known
    assert not legend.get_window_extent().overlaps(ax.xaxis.label.get_window_extent())


def test_styles_are_distinct_stable_and_quiet_where_nothing_is_shown_off():
    names = [f"method_{i}" for i in range(20)]
    styles = plots.method_styles([*names, "zero", "naive", "marginal"], reference="method_3")
    looks = [(look.color, str(look.linestyle)) for look in styles.values()]
    assert len(set(looks)) == len(looks)
    assert {name for name, look in styles.items() if look.quiet} == {"method_3", "zero", "naive", "marginal"}
    assert plots.method_styles([*names, "zero", "naive", "marginal"], reference="method_3") == styles
    assert len({look.marker for look in list(styles.values())[:12]}) == 12


def test_a_recalibrated_method_has_the_colour_of_its_own():
    styles = plots.method_styles(["a", "b", "a_recalibrated"])
    assert styles["a_recalibrated"].color == styles["a"].color != styles["b"].color
    assert styles["a_recalibrated"].linestyle != styles["a"].linestyle


def test_a_method_looks_alike_in_every_plot(result, styles):
    colours = set()
    for name in ("deciles", "tracking", "gains", "totals"):
        drawn = DRAW[name](result, styles=styles, ax=Figure().subplots())
        colours |= {line.get_color() for line in drawn.lines if line.get_label().startswith("gradient_boosting")}
    assert colours == {styles["gradient_boosting"].color}


def test_deciles_are_drawn_as_the_table_has_them(result, ax):
    plots.plot_calibration_by_decile(result.deciles, horizon=HORIZON, cutoff="1997-09-30", quantity="value", ax=ax)
    table = result.deciles.query("horizon == @HORIZON and cutoff == '1997-09-30' and quantity == 'value'")
    own = table[table["method"] == "bg_nbd"].sort_values("decile")
    line = next(line for line in ax.lines if line.get_label() == "bg_nbd")
    np.testing.assert_array_equal(line.get_xdata(), own["expected"])
    np.testing.assert_array_equal(line.get_ydata(), own["actual"])
    assert "from 1997-09-30" in ax.get_xlabel()
    # Equal steps of the root are equal lengths, on both axes.
    at = ax.transData.transform([(0, 0), (1, 1), (4, 4)])
    np.testing.assert_allclose(at[2] - at[0], 2 * (at[1] - at[0]), rtol=1e-12)


def test_tracking_draws_lines_points_and_what_happened(result, ax):
    plots.plot_method_tracking(result.tracks, cutoff="1997-09-30", totals=result.totals, ax=ax)
    tracks = result.tracks[result.tracks["cutoff"] == "1997-09-30"]
    own = tracks[tracks["method"] == "pareto_nbd"]
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["pareto_nbd"].get_ydata(), [0, *own["expected"]])
    np.testing.assert_array_equal(lines["actual"].get_ydata(), [0, *own["actual"]])
    totals = result.totals.query("cutoff == '1997-09-30' and method == 'lifetimes_bg_nbd' and quantity == 'purchases'")
    points = lines["lifetimes_bg_nbd"]
    assert points.get_linestyle() == "None"
    assert set(points.get_ydata()) == set(totals["expected"])
    ends = pd.to_datetime(["1997-09-30"] * 2) + pd.to_timedelta([13 * 7, 26 * 7], unit="D")
    assert list(points.get_xdata()) == list(ends)
    last = tracks.groupby("method").last()
    off = (last["expected"] / last["actual"] - 1).abs()
    assert f"closest: {off.idxmin()}" in ax.get_title(loc="left").replace("\n", " ")


def test_tracking_takes_totals_alone(result, ax):
    plots.plot_method_tracking(result.tracks.iloc[:0], totals=result.totals, ax=ax)
    assert {line.get_label() for line in ax.lines} == {*METHODS, "actual"}
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.plot_method_tracking(result.tracks.iloc[:0], ax=ax)


@pytest.mark.parametrize(
    ("horizon", "end"), [("6 months", "1998-03-30"), ("until 1998-06-30", "1998-06-30"), ("26 weeks", "1998-03-31")]
)
def test_points_stand_at_the_end_of_any_horizon(horizon, end, ax):
    one = {"horizon": horizon, "cutoff": "1997-09-30", "method": "a", "quantity": "purchases"}
    totals = pd.DataFrame([one | {"expected": 3.0, "actual": 4.0, "level": 0.9}])
    plots.plot_method_tracking(pd.DataFrame(columns=["cutoff", "method"]), totals=totals, ax=ax)
    line = next(line for line in ax.lines if line.get_label() == "a")
    assert list(line.get_xdata()) == [pd.Timestamp(end)]


def test_totals_are_ratios_with_their_interval(result, ax):
    plots.plot_total_tracking(result.totals, horizon=HORIZON, level=0.8, ax=ax)
    table = result.totals.query("horizon == @HORIZON and quantity == 'purchases' and level == 0.8")
    own = table[table["method"] == "bg_nbd"]
    line = next(line for line in ax.lines if line.get_label() == "bg_nbd")
    np.testing.assert_allclose(line.get_ydata(), own["expected"] / own["actual"])
    bars = [segment for part in ax.collections for segment in part.get_segments()]
    ends = sorted((segment[0, 1], segment[1, 1]) for segment in bars if len(segment))
    wanted = sorted(zip(own["low"] / own["actual"], own["high"] / own["actual"], strict=True))
    for low, high in wanted:
        assert any(abs(a - low) < 1e-12 and abs(b - high) < 1e-12 for a, b in ends)
    known = table[table["low"].notna()]
    held = int(known["inside"].astype(bool).sum())
    assert ax.get_title(loc="left").replace("\n", " ").startswith(f"{held} of {len(known)} totals of purchases")
    assert "80% interval" in ax.get_title(loc="left").replace("\n", " ")


def test_a_total_far_off_is_written_and_leaves_room(result, ax):
    wild = result.totals.assign(expected=np.where(result.totals["method"] == "naive", 9e4, result.totals["expected"]))
    plots.plot_total_tracking(wild, horizon=HORIZON, ax=ax)
    assert ax.get_ylim()[1] < 2.5
    rows = wild.query("horizon == @HORIZON and quantity == 'purchases' and level == 0.9 and method == 'naive'")
    assert [text.get_text() for text in ax.texts] == [f"{9e4 / actual:,.0f}×" for actual in rows["actual"]]
    assert "at most 200% drawn" in ax.get_xlabel()


def test_totals_of_nothing_are_counted_and_not_drawn(result, ax):
    none = result.totals.assign(actual=0.0)
    plots.plot_total_tracking(none, horizon=HORIZON, ax=ax)
    assert "30 totals of 0 not shown" in ax.get_xlabel()


def test_many_cutoffs_have_slanted_dates(result, ax):
    rows = result.totals[result.totals["cutoff"] == "1997-09-30"]
    many = pd.concat([rows.assign(cutoff=f"1997-{month:02d}-28") for month in range(1, 13)])
    plots.plot_total_tracking(many, ax=ax)
    assert ax.get_xticklabels()[0].get_text() == "97-01-28"
    assert ax.get_xticklabels()[0].get_rotation() == 45


def test_gains_read_the_curves_off(result, ax):
    plots.plot_gains(result.gains, horizon=HORIZON, ax=ax)
    table = result.gains.query("horizon == @HORIZON and cutoff == 'all' and quantity == 'purchases'")
    held = table[np.isclose(table["share_customers"], 0.2)].set_index("method")["share_actual"]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"bg_nbd: {held['bg_nbd']:.0%}" in labels
    assert "zero: 20%" in labels
    assert f"with hindsight: {held.pop('ideal'):.0%}" in labels
    title = ax.get_title(loc="left").replace("\n", " ")
    assert title == f"The top 20% by {held.idxmax()} brought {held.max():.0%} of the purchases"


def test_pit_is_an_image_of_ratios(result, styles, ax):
    plots.plot_pit(result.pit, horizon=HORIZON, customers=N_POOLED, styles=styles, ax=ax)
    shown = ax.images[0].get_array()
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [name for name in METHODS if name in set(result.pit["method"])]
    table = result.pit.query("horizon == @HORIZON and cutoff == 'all' and quantity == 'purchases'")
    for place, name in enumerate(names):
        own = table[table["method"] == name].sort_values("bin_low")
        np.testing.assert_allclose(shown[place], own["share"] * 20)
    noise = 1.645 * np.sqrt(0.05 * 0.95 / N_POOLED) / 0.05
    outside = int((np.abs(np.asarray(shown) - 1) > noise).sum())
    assert ax.get_title(loc="left").startswith(f"{outside} of {shown.size} bins")


def test_bins_of_a_forecast_that_holds_rarely_stand_out(ax):
    """At 90 %, one bin in ten: 400 bins of simulated uniform outcomes, at most four standard errors more."""
    rng = np.random.default_rng(3)
    counts = rng.multinomial(1000, [0.05] * 20, size=20)
    edges = np.linspace(0, 1, 21)
    parts = [
        pd.DataFrame({"method": f"m{i}", "bin_low": edges[:-1], "bin_high": edges[1:], "share": row / 1000})
        for i, row in enumerate(counts)
    ]
    pit = pd.concat(parts).assign(horizon="h", cutoff="all", quantity="purchases")
    plots.plot_pit(pit, customers=1000, ax=ax)
    outside = int(ax.get_title(loc="left").split()[0])
    assert 40 - 4 * 6 <= outside <= 40 + 4 * 6


def test_reliability_is_drawn_as_the_table_has_it(result, ax):
    plots.plot_reliability(result.reliability, horizon=HORIZON, ax=ax)
    table = result.reliability.query("horizon == @HORIZON and cutoff == 'all' and method == 'bg_nbd'")
    line = next(line for line in ax.lines if line.get_label() == "bg_nbd")
    np.testing.assert_array_equal(line.get_xdata(), table.sort_values("predicted")["predicted"])
    gap = np.average((table["predicted"] - table["observed"]).abs(), weights=table["customers"]) * 100
    plots.plot_reliability(result.reliability[result.reliability["method"] == "bg_nbd"], horizon=HORIZON, ax=ax)
    assert f"{gap:.1f} points off" in ax.get_title(loc="left")


@pytest.mark.parametrize("metric", ["crps", "spearman", "bias", "log_score", "pit_coverage_90"])
def test_scores_stand_best_first_with_their_verdicts_in_words(metric, result, ax):
    plots.plot_scores(result.scores, metric, horizon=HORIZON, ax=ax)
    rows = result.scores.query("horizon == @HORIZON and cutoff == 'all' and by == 'all' and quantity == 'purchases'")
    rows = rows[rows["metric"] == metric].set_index("method")
    loss = {"spearman": -rows["value"], "bias": rows["value"].abs(), "pit_coverage_90": (rows["value"] - 0.9).abs()}
    order = loss.get(metric, rows["value"]).sort_values(kind="stable", na_position="last").index
    assert [text.get_text() for text in ax.get_yticklabels()] == list(order)
    words = [text.get_text().split("  ")[1] for text in ax.texts]
    assert words == [rows.loc[name, "verdict"] or "not compared" for name in order]
    drawn = [segment[:, 0] for part in ax.collections for segment in part.get_segments() if len(segment)]
    ends = rows.loc[order, ["difference_low", "difference_high"]].dropna().to_numpy()
    assert len([d for d in drawn if np.isfinite(d).all()]) == len(ends)
    for low, high in ends:
        assert any(np.allclose(segment, (low, high)) for segment in drawn)


def test_verdicts_are_counted_in_the_title(result, ax):
    plots.plot_scores(result.scores, horizon=HORIZON, ax=ax)
    rows = result.scores.query("horizon == @HORIZON and cutoff == 'all' and by == 'all' and quantity == 'purchases'")
    counts = rows[rows["metric"] == "crps"]["verdict"].value_counts()
    title = ax.get_title(loc="left").replace("\n", " ")
    assert title.startswith(f"{counts['better']} better")
    assert f"{counts['within noise']} no different" in title
    assert title.endswith("worse than naive by CRPS")


def test_cost_is_all_seconds_and_names_do_not_cover_each_other(result, styles, ax):
    plots.plot_score_against_cost(result.scores, result.runs, horizon=HORIZON, styles=styles, ax=ax)
    ax.figure.draw_without_rendering()
    runs = result.runs[result.runs["method"] == "bg_nbd"]
    seconds = (runs["fit_cpu_seconds"] + runs["predict_cpu_seconds"]).sum()
    drawn = {line.get_color(): line.get_xdata()[0] for line in ax.lines}
    assert drawn[styles["bg_nbd"].color] == pytest.approx(seconds)
    texts = [text for text in ax.texts if text.get_text()]
    assert {text.get_text() for text in texts} == set(METHODS)
    # The layout may move by a pixel after names were placed.
    boxes = [text.get_window_extent().padded(-1.5) for text in texts]
    assert not [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes) if i < j and a.overlaps(b)]
    marks = [Bbox.from_bounds(*(ax.transData.transform(line.get_xydata()[0]) - 2), 4, 4) for line in ax.lines]
    assert not [1 for box in boxes for mark in marks if box.overlaps(mark)]


def test_what_took_no_time_is_drawn_at_a_millisecond(result, ax):
    quick = result.runs.assign(fit_cpu_seconds=0.0, predict_cpu_seconds=0.0)
    plots.plot_score_against_cost(result.scores, quick, ax=ax)
    assert {line.get_xdata()[0] for line in ax.lines} == {0.001}
    assert "10 below 0.001 drawn there" in ax.get_xlabel()


@pytest.mark.parametrize("name", DRAW)
def test_names_are_drawn_as_they_are(name, ax):
    hostile = stand_in(("bg_nbd", "naive"), horizons=("13 weeks",), names={"bg_nbd": "$a_b$\u202e<b>" + "x" * 60})
    DRAW[name](hostile, ax=ax)
    ax.figure.draw_without_rendering()
    texts = [text.get_text() for text in ax.findobj(mpl.text.Text)]
    drawn = [text for text in texts if r"\$a_b\$" in text]
    assert drawn
    assert not [text for text in texts if "\u202e" in text]


def test_what_is_not_there_is_said(result, ax):
    with pytest.raises(ValueError, match="no horizon '9 weeks'; the table has '13 weeks', '26 weeks'"):
        plots.plot_gains(result.gains, horizon="9 weeks", ax=ax)
    with pytest.raises(ValueError, match="no quantity 'spend' for metric 'crps'"):
        plots.plot_scores(result.scores, quantity="spend", ax=ax)
    with pytest.raises(ValueError, match="no rows"):
        plots.plot_pit(result.pit.iloc[:0], ax=ax)
