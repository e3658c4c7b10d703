"""The report of a backtest: its answers, its figures, its words, and how a browser takes it."""

from __future__ import annotations

import datetime as dt
import html
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from backtest_tables import METHODS, stand_in
from predclv.backtesting.bootstrap import Draws
from predclv.backtesting.distributions import Counts
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.report.contest import NEGLIGIBLE, draw_customers, hold_contest, pair
from predclv.backtesting.report.page import write_backtest_report

TODAY = dt.date(2024, 5, 6)
HOSTILE = "<script>alert(1)</script>"
SECTIONS = [
    "answer",
    "nothing",
    "scores",
    "totals",
    "calibration",
    "ranking",
    "cost",
    "omissions",
    "reading",
    "settings",
]
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and the cells of tables by caption."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.tables, self._text, self._open = [], {}, [], []
        self._caption, self._cell = "", None
        self.feed(self.source)
        self.close()
        assert self._open == [], "tags left open"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td", "caption"):
            self._cell = []

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in ("th", "td", "caption"):
            text = re.sub(r"\s+", " ", "".join(self._cell)).strip()
            self._cell = None
            if tag == "caption":
                self._caption = text
            else:
                self._rows[-1].append(text)
        elif tag == "table":
            assert self._caption not in self.tables, self._caption
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        if not {"style", "svg"} & set(self._open):
            self._text.append(data)
            if self._cell is not None:
                self._cell.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self._text))

    def table(self, start):
        """Header, and rows by their first cell, of the only table whose caption begins so."""
        (rows,) = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return rows[0], {row[0]: row[1:] for row in rows[1:]}

    def section(self, anchor):
        start = self.source.index(f'<section id="{anchor}"')
        return html.unescape(self.source[start : self.source.index("</section>", start)])

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def write(folder):
    def write(name, result, **options):
        path = folder / f"{name}.html"
        write_backtest_report(path, result, made_on=TODAY, **options)
        return Page(path)

    return write


@pytest.fixture(scope="module")
def result():
    """Ten methods, three cut-offs, two horizons."""
    return stand_in()


@pytest.fixture(scope="module")
def page(result, write):
    return write("ten", result)


@pytest.fixture(scope="module")
def hostile_result():
    """Methods made from others, one that failed, groups, and a name that is an attack."""
    methods = ("bg_nbd", "pareto_nbd", "mbg_nbd", "naive", "zero", "bg_nbd_recalibrated", "combination")
    found = stand_in(methods, failed=("mbg_nbd",), segments=("ch<an>",), names={"pareto_nbd": HOSTILE})
    weights = [
        {"cutoff": cutoff, "horizon": horizon, "quantity": "purchases", "method": method, "weight": weight}
        for cutoff in found.settings["cutoffs"][1:]
        for horizon in found.settings["horizons"]
        for method, weight in (("bg_nbd", 0.75), (HOSTILE, 0.25), ("zero", 0.0))
    ]
    found.weights = pd.DataFrame(weights)
    found.settings |= {"recalibrate": "pit", "combine": True, "warnings": ["<b onclick=x>bold</b>"]}
    return found


@pytest.fixture(scope="module")
def hostile_page(hostile_result, write):
    return write("hostile", hostile_result, title="</title><script>alert('t')</script>")


@pytest.fixture(scope="module")
def small_result():
    """One cut-off, one horizon, no amounts, no method that gives nothing."""
    methods = ("bg_nbd", "lifetimes_bg_nbd", "naive")
    return stand_in(methods, ("1997-09-30",), ("26 weeks",), amounts=False, reference="bg_nbd")


@pytest.fixture(scope="module")
def small_page(small_result, write):
    return write("small", small_result)


def pooled(result, metric, quantity="purchases", horizon="26 weeks"):
    rows = result.scores.query("by == 'all' and cutoff == 'all' and quantity == @quantity and horizon == @horizon")
    return rows[rows["metric"] == metric].set_index("method")


def contest(result, quantity="purchases", horizon="26 weeks", **options):
    return hold_contest(result, draw_customers(result), quantity, horizon, **options)


def test_has_its_sections_in_order(page, hostile_page, small_page):
    anchors = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert anchors == SECTIONS
    assert [a["id"] for t, a in small_page.tags if t == "section"] == SECTIONS
    with_learning = [attrs["id"] for tag, attrs in hostile_page.tags if tag == "section"]
    assert with_learning == [*SECTIONS[:6], "learning", *SECTIONS[6:]]
    wanted = [target[1:] for target in page.attributes("href") if target.startswith("#")]
    assert wanted[: len(anchors)] == anchors


def test_names_the_best_with_its_distance_from_reference_and_next(page, result):
    found = contest(result)
    crps = pooled(result, "crps")["value"]
    assert found.winner == crps.idxmin()
    lead = re.search(r'<p class="lead">(.*?)</p>', page.source, re.S)[1]
    below = 1 - crps.min() / crps["naive"]
    assert found.tied
    assert f"{found.winner} has the lowest CRPS: {crps.min():.3f} purchases a customer" in lead
    assert f"{below:.1%} below that of naive, the reference ({crps['naive']:.3f}), which is more than noise" in lead
    header, rows = page.table("The lowest CRPS")
    assert header[4] == "Against naive"
    row = rows["Purchases, 26 weeks"]
    assert row[:3] == ["3 of 3", found.winner, f"{crps.min():.3f}"]
    assert row[3] == f"−{below:.0%}, more than noise"
    following = crps.sort_values().index[1]
    assert row[4].startswith(following)
    assert set(rows) == {f"{what}, {h} weeks" for what in ("Purchases", "Value") for h in (13, 26)}


def test_ties_are_named_as_ties(page, result):
    found = contest(result)
    assert 0 < len(found.tied) < 9
    assert "naive" not in found.tied
    lead = re.search(r'<p class="lead">(.*?)</p>', page.source, re.S)[1]
    assert "Within noise of it" in lead
    assert "These are tied" in lead
    for method in found.tied[:2]:
        assert method in lead
    quick = result.runs.assign(s=result.runs["fit_cpu_seconds"] + result.runs["predict_cpu_seconds"])
    quick = quick[quick["method"].isin([found.winner, *found.tied])].groupby("method")["s"].sum()
    assert f"({quick.idxmin()} takes the least time)" in lead


def test_a_clear_winner_is_called_one(write):
    clear = write("clear", stand_in(("bg_nbd", "naive", "zero"), horizons=("26 weeks",)))
    lead = re.search(r'<p class="lead">(.*?)</p>', clear.source, re.S)[1]
    assert "and the difference is more than noise" in lead
    assert "tied" not in lead
    assert clear.table("The lowest CRPS")[1]["Purchases, 26 weeks"][-1] == "none"


def test_the_contests_intervals_are_those_of_the_scores(result):
    """Same resamples, same customers: where the reference is in the pair, the two agree to rounding."""
    draws = draw_customers(result)
    crps = pooled(result, "crps")
    for method in ("bg_nbd", "zero", "marginal"):
        paired = pair(result, draws, "purchases", "26 weeks", method, "naive")
        row = crps.loc[method]
        assert paired.difference == pytest.approx(row["difference"], rel=1e-9)
        assert (paired.low, paired.high) == pytest.approx((row["difference_low"], row["difference_high"]), rel=1e-9)
        assert paired.verdict == row["verdict"]
        assert paired.n_rows == row["customers"]
    bias = pooled(result, "bias")["value"]
    assert paired.bias == pytest.approx(bias["marginal"], rel=1e-12)
    assert paired.other_bias == pytest.approx(bias["naive"], rel=1e-12)


def test_a_difference_of_next_to_nothing_is_a_tie_even_if_it_is_sure(result):
    """The same forecast, but worse by a quarter of a percent for every customer."""
    twin = [
        replace(block, method="twin", crps=block.crps * (1 + NEGLIGIBLE / 2))
        for block in result.blocks
        if block.method == "pareto_nbd"
    ]
    settings = result.settings | {"methods": [*result.settings["methods"], "twin"]}
    both = SimpleNamespace(**{**vars(result), "blocks": [*result.blocks, *twin], "settings": settings})
    paired = pair(both, draw_customers(both), "purchases", "26 weeks", "twin", "pareto_nbd")
    assert paired.verdict == "worse"
    assert paired.is_tied


def test_ranks_over_the_cutoffs_that_every_method_has(hostile_result, hostile_page):
    found = contest(hostile_result)
    assert found.cutoffs == ["1997-09-30", "1997-12-31"]
    assert found.partial == []
    whole = contest(hostile_result, pooled=False)
    assert whole.n_cutoffs == 3
    assert {rival.method for rival in whole.partial} == {"bg_nbd_recalibrated", "combination"}
    _, rows = hostile_page.table("The lowest CRPS")
    assert rows["Purchases, 26 weeks"][0] == "2 of 3"
    _, rows = hostile_page.table("The same over all 3 cut-offs")
    assert rows["Purchases, 26 weeks"][:2] == ["3 of 3", whole.winner]
    assert "2 of 3 cut-offs (1997-09-30, 1997-12-31), where every method has a forecast" in hostile_page.text


def test_methods_that_share_no_cutoff_with_all_stand_last(write):
    found = stand_in(("bg_nbd", "naive", "zero", "bg_nbd_recalibrated"), horizons=("26 weeks",))
    late = dt.date(1997, 12, 31)
    # One that failed late and one that starts late: no cut-off has all.
    found.blocks = [b for b in found.blocks if not (b.method == "zero" and b.cutoff > dt.date(1997, 6, 30))]
    found.blocks = [b for b in found.blocks if not (b.method == "bg_nbd_recalibrated" and b.cutoff < late)]
    ranked = contest(found)
    assert ranked.order[-2:] == ["bg_nbd_recalibrated", "zero"] or ranked.order[-2:] == ["zero", "bg_nbd_recalibrated"]
    _, rows = write("late", found).table("Purchases within 26 weeks, over the cut-offs that each method has; CRPS")
    assert next(iter(rows)) in ("bg_nbd", "naive (reference)")
    assert {"zero (1 of 3 cut-offs)", "bg_nbd_recalibrated (1 of 3 cut-offs)"} == set(list(rows)[-2:])


def test_says_why_the_error_of_nothing_means_nothing(page, result):
    mae, crps = (pooled(result, metric)["value"] for metric in ("mae", "crps"))
    best = contest(result).winner
    text = page.section("nothing")
    of = result.customers[result.customers["horizon"] == "26 weeks"]
    assert f"wrong by {mae['zero']:.3f} purchases a customer" in text
    assert f"{best} by {mae[best]:.3f}" in text
    assert (
        f"{1 - of['buyers'].sum() / of['customers'].sum():.0%} of the customers bought nothing within 26 weeks" in text
    )
    header, rows = page.table("Predicting nothing beside a forecast")
    assert header[1:3] == ["zero", best]
    assert rows["Bias of the total"][0] == "−100.0%"
    assert rows["Rank correlation"][0] == "–"
    assert rows["Top 20% capture"][0] == "20.0%"
    assert rows["CRPS"][:2] == [f"{crps['zero']:.3f}", f"{crps[best]:.3f}"]


def test_nothing_is_scored_even_if_it_was_not_run(small_page, small_result):
    """The scores of a forecast of zero follow from the outcomes alone."""
    of = small_result.customers.iloc[0]
    assert "it was not run; these follow without running it" in small_page.text
    _, rows = small_page.table("Predicting nothing beside a forecast")
    assert rows["Mean absolute error"][0] == f"{of['purchases'] / of['customers']:.3f}"
    assert rows["Brier score"][0] == f"{of['buyers'] / of['customers']:.3f}"


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.05, "zero even wins"), (1.0, "looks like a draw"), (0.5, "gap is wide")]
)
def test_words_on_the_error_of_nothing_follow_the_figures(ratio, words):
    from predclv.backtesting.report.answer import _closeness

    assert words in _closeness(ratio)


def test_scores_are_the_tables_with_their_verdicts_in_words(page, result):
    header, rows = page.table("Purchases within 26 weeks, over all 3 cut-offs; CRPS")
    assert header == [
        *("Method", "CRPS", "MAE", "RMSE", "Bias of the total", "Rank correlation", "Top 20% capture"),
        *("Brier score", "90% coverage"),
    ]
    crps = pooled(result, "crps")
    marks = {"better": " ▲better", "worse": " ▼worse", "within noise": " ≈within noise", "reference": "", "": ""}
    assert set(crps["verdict"]) == {"better", "worse", "within noise", "reference"}
    for method, row in crps.iterrows():
        titled = "naive (reference)" if method == "naive" else method
        assert rows[titled][0] == f"{row['value']:.3f}{marks[row['verdict']]}"
    order = [name.removesuffix(" (reference)") for name in rows]
    assert order == list(crps.sort_values("value").index)
    assert rows["zero"][4] == "–"
    assert rows["naive (reference)"][6:] == ["–", "–"]
    value = page.table("Value within 26 weeks, over all 3 cut-offs; CRPS")
    assert "Brier score" not in value[0]
    assert "CRPS, MAE and RMSE in USD" in page.text
    assert len(re.findall(r'<span aria-hidden="true">[▲▼≈]</span><span class="said">', page.source)) > 50


def test_all_metrics_stand_in_the_folds_with_their_intervals(page, result):
    header, rows = page.table("Purchases within 13 weeks, over all 3 cut-offs, with 90% intervals")
    column = header.index("zero") - 1
    row = pooled(result, "rmse", horizon="13 weeks").loc["zero"]
    assert rows["RMSE"][column].startswith(f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})")
    assert rows["Log score"][column].startswith("∞")
    metrics = result.scores.query("by == 'all' and quantity == 'purchases'")["metric"].nunique()
    assert len(rows) == metrics
    apart = page.table("CRPS of purchases within 26 weeks")
    one = result.scores.query("by == 'all' and cutoff == '1997-09-30' and metric == 'crps' and method == 'bg_nbd'")
    one = one.query("quantity == 'purchases' and horizon == '26 weeks'").iloc[0]
    assert apart[1]["bg_nbd"][1].startswith(f"{one['value']:.3f}")


def test_totals_stand_by_cutoff_with_what_held(page, result):
    header, rows = page.table("Purchases within 26 weeks of each cut-off")
    assert header == ["Total", *result.settings["cutoffs"], "Inside"]
    table = result.totals.query("horizon == '26 weeks' and quantity == 'purchases' and level == 0.9")
    own = table[table["method"] == "bg_nbd"]
    assert rows["actual"][:3] == [f"{actual:,.0f}" for actual in own["actual"]]
    for cell, row in zip(rows["bg_nbd"], own.itertuples(), strict=False):
        assert cell.startswith(f"{row.expected:,.0f} (")
    assert rows["bg_nbd"][3] == f"{int(own['inside'].astype(bool).sum())} of 3"
    assert rows["naive"][3] == "no interval"
    assert not re.search(r"−0%", page.text)


def test_coverage_stands_beside_the_raw_one_and_by_group(page, result, hostile_page):
    header, rows = page.table("Share of outcomes inside central intervals, purchases within 26 weeks")
    assert header[5:7] == ["90%", "90% raw"]
    pit, raw = (pooled(result, f"{kind}_coverage_90")["value"]["bg_nbd"] for kind in ("pit", "raw"))
    assert rows["bg_nbd"][4:6] == [f"{pit:.1%}", f"{raw:.1%}"]
    assert "naive" not in rows
    header, _ = page.table("90% raw coverage by repeat purchases until the cut-off, purchases within 26 weeks")
    assert header[1].startswith("0 (")
    assert "Bias and coverage by ch<an>" in html.unescape(hostile_page.source)
    assert "b<i>" in hostile_page.text


def test_ranking_reads_captures(page, result):
    _, rows = page.table("Purchases within 26 weeks: what the customers")
    capture = pooled(result, "capture_20")["value"]
    for method, value in capture.items():
        titled = "naive (reference)" if method == "naive" else method
        assert rows[titled][1].startswith(f"{value:.1%}")


def test_recalibration_says_whether_it_helped(hostile_result, hostile_page):
    draws = draw_customers(hostile_result)
    cases = [(quantity, horizon) for quantity in ("purchases", "value") for horizon in ("26 weeks", "13 weeks")]
    pairs = [pair(hostile_result, draws, *case, "bg_nbd_recalibrated", "bg_nbd") for case in cases]
    verdicts = Counter(paired.verdict for paired in pairs)
    text = hostile_page.section("learning")
    assert f"lowered CRPS by more than noise in {verdicts['better']} of 4 cases" in text
    assert f"raised it by more than noise in {verdicts['worse']}" in text
    assert ("It did not help here." in text) == (verdicts["better"] == 0)
    rows = hostile_page.tables["Before → after recalibration, over the cut-offs that have both"][1:]
    for row, paired in zip(rows, pairs, strict=True):
        assert row[2] == f"{_three(paired.other_crps)} → {_three(paired.crps)}"
        words = {"better": "helped", "worse": "made it worse", "within noise": "within noise"}
        assert row[4] == words[paired.verdict]
        assert row[6] == ("nearer 0" if abs(paired.bias) < abs(paired.other_bias) else "no nearer 0")
        assert row[7] == "2"


def test_the_combination_is_beside_the_best_single_method_and_its_weights(hostile_result, hostile_page):
    _, rows = hostile_page.table("The combination beside the best single method")
    draws = draw_customers(hostile_result)
    pairs = [
        pair(hostile_result, draws, "purchases", "26 weeks", "combination", method)
        for method in ("bg_nbd", HOSTILE, "naive", "zero")
    ]
    best = min(pairs, key=lambda paired: paired.other_crps)
    assert rows["Purchases, 26 weeks"][:2] == [f"{best.crps:.3f}", f"{best.other} ({best.other_crps:.3f})"]
    header, rows = hostile_page.table("Weights in the combination, purchases within 26 weeks (1 more")
    assert header == ["Method", "1997-09-30", "1997-12-31"]
    assert rows == {"bg_nbd": ["75.0%", "75.0%"], HOSTILE: ["25.0%", "25.0%"]}


def test_what_was_asked_for_and_could_not_be_learnt_is_said(small_result, write):
    asked = stand_in(("bg_nbd", "naive"), ("1997-09-30",), ("26 weeks",), amounts=False)
    asked.settings |= {"recalibrate": "pit", "combine": True}
    text = write("unlearnt", asked).section("learning")
    assert "Nothing was recalibrated" in text
    assert "No combination was made" in text


def test_cost_is_of_all_cutoffs(page, result):
    _, rows = page.table("All cut-offs together")
    own = result.runs[result.runs["method"] == "random_forest"]
    wanted = [own["fit_cpu_seconds"].sum(), own["predict_cpu_seconds"].sum()]
    assert rows["random_forest"][:2] == [_three(value) for value in wanted]
    assert rows["random_forest"][2] == f"{own['peak_memory_mb'].max():,.0f}"


def test_what_failed_is_shown_with_its_error(hostile_page, page):
    rows = hostile_page.tables["Runs that gave no forecast"][1:]
    assert rows == [
        ["mbg_nbd", cutoff, "failed", "ValueError: mbg_nbd met <NaN> & stopped."]
        for cutoff in ("1997-06-30", "1997-09-30", "1997-12-31")
    ]
    assert "mbg_nbd failed in 3 of 15 runs" in hostile_page.section("answer")
    assert "Every method ran at every cut-off." in page.section("omissions")
    assert "Not every method ran" not in page.text
    assert "learnt from 19.5 weeks of outcomes" in page.text
    _, rows = page.table("Customers forecast, and customers who came")
    assert rows["1997-06-30, 26 weeks"][-2:] == ["12", "19"]


def test_says_what_the_intervals_do_not_hold(page, small_page):
    text = page.section("reading")
    assert "90% percentile intervals over 100 resamples of customers" in text
    assert "paired bootstrap, clustered by customer" in text
    assert "That noise between periods is not in the intervals" in text
    assert "3 cut-offs: noise between periods is not in these verdicts" in page.section("answer")
    assert "1 cut-off: noise between periods" in small_page.section("answer")
    assert "one cut-off shows little of that" in small_page.section("answer")


def test_a_log_without_amounts_speaks_of_purchases_only(small_page):
    assert not [caption for caption in small_page.tables if caption.startswith(("Value", "Spend"))]
    assert "none: purchases only" in small_page.section("settings")
    assert "units of money" not in small_page.text
    assert "USD" not in small_page.text


def test_the_reference_may_be_the_best(small_page, small_result):
    assert contest(small_result).winner == "bg_nbd"
    lead = re.search(r'<p class="lead">(.*?)</p>', small_page.source, re.S)[1]
    assert "and it is itself the reference" in lead
    assert small_page.table("The lowest CRPS")[1]["Purchases, 26 weeks"][3] == "is the reference"


def test_names_come_out_as_text(hostile_page):
    assert not [tag for tag, _ in hostile_page.tags if tag in ("script", "b", "i", "an")]
    assert HOSTILE in hostile_page.text
    assert "</title><script>alert('t')</script>" in hostile_page.text
    assert "<b onclick=x>bold</b>" in hostile_page.text
    drawn = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", hostile_page.source)]
    assert HOSTILE in drawn


def test_fetches_nothing_and_is_accessible(page, hostile_page, small_page):
    for each in (page, hostile_page, small_page):
        tags = {tag for tag, _ in each.tags}
        assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
        assert not re.search(r"https?:", each.source)
        ids = Counter(each.attributes("id"))
        assert max(ids.values()) == 1
        targets = [target for target in each.attributes("href") if not target.startswith("data:image/png;base64,")]
        assert all(target.startswith("#") for target in targets)
        wanted = [target[1:] for target in targets]
        wanted += re.findall(r"url\(#([^)]+)\)", each.source)
        assert set(wanted) <= set(ids)
        figures = [attrs for tag, attrs in each.tags if tag == "svg"]
        assert len(figures) >= 6
        assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
        assert not re.search(r"\b(nan|NaN|inf|None|NaT)\b", re.sub("<NaN>", "", each.text))


def test_methods_without_odds_have_a_report_too(write):
    points = stand_in(("naive", "historical_average", "lifetimes_bg_nbd"), horizons=("26 weeks",))
    found = write("points", points)
    assert "Without odds, so not in all figures: naive, historical_average, lifetimes_bg_nbd." in found.text
    assert "No method of this run gives an interval of the total." in found.text
    assert not [caption for caption in found.tables if caption.startswith("Share of outcomes inside")]


def test_a_reference_that_failed_is_no_reference(write):
    found = stand_in(("bg_nbd", "naive", "zero"), horizons=("26 weeks",), failed=("naive",))
    text = write("unreferred", found)
    assert "naive, the reference, has no such forecast" in text.text
    assert text.table("The lowest CRPS")[1]["Purchases, 26 weeks"][3] == "–"
    assert not re.search(r'<span class="said">', text.source)


def test_same_result_same_bytes(small_result, small_page, folder):
    write_backtest_report(folder / "again.html", small_result, made_on=TODAY)
    assert (folder / "again.html").read_bytes() == (folder / "small.html").read_bytes()


def test_the_result_is_unchanged(small_result, folder):
    before = {name: table.copy() for name, table in vars(small_result).items() if isinstance(table, pd.DataFrame)}
    write_backtest_report(folder / "unchanged.html", small_result, made_on=TODAY)
    for name, table in before.items():
        pd.testing.assert_frame_equal(getattr(small_result, name), table)


def test_a_missing_jinja2_is_named(small_result, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'predclv[report]'")):
        write_backtest_report(folder / "no.html", small_result)
    assert not (folder / "no.html").exists()


def test_resamples_are_drawn_over_all_customers(result):
    draws = draw_customers(result)
    assert isinstance(draws, Draws)
    assert (draws.n_customers, draws.n_resamples, draws.seed) == (600, 100, 0)
    assert set(METHODS) == set(contest(result).order)


CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]


def browse(needs, profile, url):
    command = [needs("chromium"), *CHROMIUM, f"--user-data-dir={profile}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_a_browser_opens_it_without_a_complaint(name, needs, tmp_path, request, folder):
    page = request.getfixturevalue(name)
    path = folder / {"page": "ten.html", "hostile_page": "hostile.html"}[name]
    done = browse(needs, tmp_path / "profile", path.as_uri())
    assert "CONSOLE" not in done.stderr
    assert "<script" not in done.stdout
    assert done.stdout.count("<svg") == page.source.count("<svg")
    assert "What was asked" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_nothing_sticks_out_to_the_right(name, width, needs, tmp_path, request):
    page = request.getfixturevalue(name)
    inner = re.sub(r"<meta http-equiv=[^>]*>", "", page.source).replace("<details>", "<details open>")
    path = tmp_path / "framed.html"
    path.write_text(
        f"""<!doctype html><meta charset="utf-8"><title></title>
        <iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{html.escape(inner)}" onload="
          const page = contentDocument.documentElement;
          document.title = page.scrollWidth + ' of ' + page.clientWidth;"></iframe>""",
        encoding="utf-8",
    )
    done = browse(needs, tmp_path / "profile", path.as_uri())
    needed, available = map(int, re.search(r"<title>(\d+) of (\d+)</title>", done.stdout).groups())
    assert needed <= available <= width


def _three(value):
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    assert np.isfinite(value)
    return f"{value:,.{digits}f}"


class Rate:
    """The same rate for everybody, as a point or with Poisson counts; value with a point alone."""

    def __init__(self, rate, odds=False):
        self.rate, self.odds = rate, odds

    def fit(self, rfm, log):
        return self

    def predict(self, rfm, log, horizon):
        mean = self.rate * horizon * (1 + rfm.frequency)
        return Forecast(mean, Counts.poisson(mean) if self.odds else None, expected_value=30 * mean)


@pytest.fixture(scope="module")
def contested(write):
    """Reports on methods by name, on one small log."""
    log = pc.datasets.simulate(n_customers=200, births="10 weeks", observed="40 weeks", seed=4).log

    def contested(name, methods, **options):
        asked = {"cutoffs": ["2024-05-26"], "horizons": ["13 weeks"], "n_bootstrap": 50, "progressbar": False}
        return write(name, pc.backtest(log, methods=methods, **asked | options))

    return contested


def test_a_forecast_of_nothing_is_never_the_one_to_trust(contested):
    page = contested("nothing", {"high": Rate(0.5), "zero": "zero"})
    said = page.section("answer")
    assert "no method can be trusted: zero, which forecasts nothing of anybody" in said
    assert "The best of those that forecast anything is high" in said
    assert "zero forecasts best" not in page.text
    _, rows = page.table("The lowest CRPS")
    assert rows["Purchases, 13 weeks"][1] == "none (zero)"
    assert "its absolute error again: high gives no odds" in page.section("nothing")


def test_nobody_is_sent_to_a_forecast_of_nothing_as_the_cheapest(contested):
    methods = {"low": Rate(0.01, odds=True), "zero": "zero"}
    page = contested("cheapest", methods, cutoffs=["2024-09-10"], horizons=["1 week"])
    said = page.section("answer")
    assert "low has the lowest CRPS: " in said
    assert "forecasts best" not in said
    assert "Within noise" in said
    assert "cannot tell it from a forecast of nothing, which is no choice" in said
    assert "takes the least time" not in said


def test_a_winner_without_odds_is_doubted(contested):
    said = contested("doubted", {"low": Rate(0.005), "high": Rate(0.5)}).section("answer")
    assert "The best has no odds" in said
    assert re.search(r"13 weeks: low, whose total is off by −\d", said)


def test_odds_of_one_quantity_are_not_odds_of_all(contested):
    page = contested("half", {"half": Rate(0.01, odds=True), "none": Rate(0.02)}, amount="amount")
    assert "so that its CRPS is its MAE: half (value), none." in page.text


def test_chance_verdicts_follow_the_level(contested):
    said = contested("level", {"low": Rate(0.01, odds=True)}, level=0.8).section("reading")
    assert "given in about 20% of comparisons" in said


def test_a_small_lead_is_not_nothing(contested):
    methods = {"one": Rate(0.01, odds=True), "other": Rate(0.009999, odds=True)}
    found = {name: contested(name, methods, reference=name).section("answer") for name in methods}
    assert any(re.search(r"0\.0[0-9]% below that of", said) for said in found.values())
