"""The report: facts, escapes, self-containment, and how a browser takes it."""

from __future__ import annotations

import datetime as dt
import html
import math
import re
import subprocess
import sys
import warnings
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.data.timeline import purchase_timeline
from predclv.errors import DataError, HorizonWarning, PredCLVWarning

TODAY = dt.date(2024, 5, 6)
HOSTILE = [
    "<script>alert(1)</script>",
    "None",
    "nan",
    "日本語 🚀",
    "$a_b$",
    "\u202egpj.exe",
    "x\" onload='y",
    "&amp;",
    "]]>",
    "<!--",
    "http://evil.example/a.js",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\x0bc",
    "é" * 150,
]
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self._text, self._open = [], [], []
        self.feed(self.source)
        self.close()
        assert self._open == [], "tags left open"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not {"style", "svg"} & set(self._open):
            self._text.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self._text))

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]

    def named(self, tag):
        return [attrs for found, attrs in self.tags if found == tag]


@pytest.fixture(scope="module")
def timeline():
    return purchase_timeline(pc.datasets.load_cdnow(), by="day", amount="amount")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def cdnow_page(folder, clv, cdnow_split, timeline):
    """The report that `predclv demo` writes, but for 39 weeks, which CDNOW's customers were observed for."""
    path = folder / "cdnow.html"
    pc.write_report(
        path,
        clv=clv,
        rfm=cdnow_split.calibration,
        horizon="38 weeks",
        timeline=timeline,
        holdout=cdnow_split,
        title="CDNOW",
        warnings=["Mind the gap."],
        made_on=TODAY,
    )
    return Page(path)


@pytest.fixture(scope="module")
def hostile(folder):
    """A log in which every name is an attack."""
    log = pc.datasets.load_cdnow()
    log = log[log["customer_id"] % 6 == 0]
    suffix = log["customer_id"].astype(str)
    log = log.assign(
        customer_id=[HOSTILE[i % len(HOSTILE)] for i in log["customer_id"]] + suffix,
        **{"ch<an>nel": [HOSTILE[i // 6 % len(HOSTILE)] for i in log["customer_id"]]},
    )
    rfm = pc.RFMSummary.from_transactions(
        log, amount="amount", observation_end="1997-09-30", carry=["ch<an>nel"], currency="USD"
    )
    path = folder / "hostile.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        pc.write_report(
            path,
            clv=pc.CLV().fit(rfm),
            rfm=rfm,
            horizon="26 weeks",
            margin=0.4,
            by="ch<an>nel",
            title="</title><script>alert('t')</script>",
            warnings=["<b onclick=x>bold</b>"],
            made_on=TODAY,
        )
    return Page(path)


@pytest.fixture(scope="module")
def few(cdnow):
    # An infinite horizon costs time for each distinct number of purchases.
    return cdnow[np.flatnonzero(cdnow.frequency <= 1)[:60]]


@pytest.fixture(scope="module")
def endless_page(folder, clv, few):
    path = folder / "endless.html"
    with pytest.warns(HorizonWarning, match="infinite"):
        pc.write_report(path, clv=clv, rfm=few, horizon=math.inf, made_on=TODAY)
    return Page(path)


@pytest.fixture(scope="module")
def tiny_page(folder):
    """Ten customers, a model at its edge, and dates that are not known."""
    table = pd.DataFrame(
        {
            "frequency": [0, 0, 0, 0, 0, 1, 1, 2, 2, 7],
            "recency": [0, 0, 0, 0, 0, 5.0, 1.7, 30.4, 35.9, 29.4],
            "T": 38.86,
            "monetary_value": [0, 0, 0, 0, 0, 11.8, 30.1, 22.3, 25.6, 73.7],
        }
    )
    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    path = folder / "tiny.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        pc.write_report(path, clv=pc.CLV().fit(rfm), rfm=rfm, horizon="30 weeks", made_on=TODAY)
    return Page(path)


PAGES = ["cdnow_page", "hostile", "endless_page", "tiny_page"]


@pytest.fixture(params=PAGES)
def page(request):
    return request.getfixturevalue(request.param)


def test_fetches_nothing(page):
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
    assert page.attributes("src") == page.attributes("srcset") == []
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in page.attributes("href"))
    styles = page.source[page.source.index("<style>") : page.source.index("</style>")] + " ".join(
        page.attributes("style")
    )
    assert "@import" not in styles
    assert "url(" not in styles.replace("url(#", "")
    assert not [a for a in page.attributes("clip-path") if not a.startswith("url(#")]
    policy = next(attrs for attrs in page.named("meta") if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy["content"]


def test_speaks_of_no_address_on_the_net(cdnow_page, endless_page, tiny_page):
    for page in (cdnow_page, endless_page, tiny_page):
        assert not re.search(r"https?:|[\"'(]//", page.source)


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = Counter(page.attributes("id"))
    assert max(ids.values()) == 1
    wanted = [t[1:] for t in page.attributes("href") if t.startswith("#")]
    wanted += re.findall(r"url\(#([^)]+)\)", page.source)
    assert set(wanted) <= set(ids)


def test_is_accessible(page):
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("h1")) == 1
    assert all(attrs["scope"] in ("col", "row") for attrs in page.named("th"))
    figures = [attrs for attrs in page.named("svg")]
    assert len(figures) >= 4
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
    assert len(page.named("caption")) == len(page.named("table"))
    assert any(attrs.get("name") == "viewport" for attrs in page.named("meta"))


def test_names_come_out_as_text(hostile):
    assert hostile.named("b") == []
    assert "<script>alert(1)</script>" in hostile.text
    assert "</title><script>alert('t')</script>" in hostile.text
    assert "By ch<an>nel" in hostile.text
    assert "{{ 7 * 7 }}{% raw %}" in hostile.text
    assert "<b onclick=x>bold</b>" in hostile.text
    assert "日本語 🚀" in hostile.text
    assert "\u202e" not in hostile.source
    assert "\x00" not in hostile.source
    drawn = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", hostile.source)]
    assert "$a_b$" in drawn
    assert "<script>alert(1)</script>" in drawn


def test_says_what_the_base_is_worth_and_how_sure(cdnow_page, clv, cdnow):
    total = clv.portfolio(cdnow, "38 weeks").iloc[-1]
    for name in ("expected_clv", "clv_low", "clv_high", "expected_buyers", "expected_purchases"):
        assert f"{total[name]:,.0f}" in cdnow_page.text, name
    assert "The 2,357 customers you have" in cdnow_page.text
    assert "revenue, discounted at 10% a year" in cdnow_page.text
    assert "as of 1997-09-30, horizon 38 weeks" in cdnow_page.text
    assert "probability to a total between" in cdnow_page.text


def test_names_the_top_customers(cdnow_page, clv, cdnow):
    table = clv.predict(cdnow, "38 weeks").nlargest(10, "expected_clv")
    section = _section(cdnow_page, "top")
    for row in table.itertuples():
        assert f"<bdi>{row.customer_id}</bdi>" in section
        assert f">{row.clv_low:,.0f} to {row.clv_high:,.0f}<" in section


def test_ranks_the_slipping_by_value_at_stake(cdnow_page, clv, cdnow):
    table = clv.predict(cdnow, "38 weeks")
    doubtful = (cdnow.frequency >= 2) & table["p_alive"].between(0.1, 0.6, inclusive="left").to_numpy()
    at_stake = table["expected_clv"] * (1 / table["p_alive"] - 1)
    ranked = at_stake[doubtful].sort_values(ascending=False)
    section = _section(cdnow_page, "slipping")
    assert f"{doubtful.sum()} customers who bought at least three times" in section
    assert f"{ranked.sum():,.0f} more" in section
    names = re.findall(r"<bdi>(\d+)</bdi>", section)
    assert names == table.loc[ranked.index[:10], "customer_id"].astype(str).tolist()
    gone = int(((cdnow.frequency >= 2) & (table["p_alive"] < 0.1)).sum())
    assert f"{gone} more are probably gone already" in section


def test_alive_is_not_buying(cdnow_page, clv, cdnow, cdnow_split):
    section = _section(cdnow_page, "distrust")
    table = clv.predict(cdnow, "38 weeks")
    assert f"add up to {table['p_alive'].sum():,.0f} of 2,357" in section
    assert "1,917" in section
    assert f"only {table['p_purchase'].sum():,.0f} are expected to buy" in section
    assert "For 1,411 customers who bought once the model says p_alive = 1" in section
    assert "684 bought again" in section
    expected = clv.transactions_.predict(cdnow, cdnow_split.duration)["p_purchase"].sum()
    assert f"({expected:,.0f} expected by p_purchase)" in section


def test_what_came_true(cdnow_page, clv, cdnow, cdnow_split):
    section = _section(cdnow_page, "holdout")
    total = clv.portfolio(cdnow, cdnow_split.duration, discount_rate=0.0).iloc[-1]
    for number in (1882, 684, 1653, *total[["purchases_low", "purchases_high", "expected_clv"]]):
        assert f"{number:,.0f}" in section
    assert "70,976" in section
    for error in ("−12%", "0.785", "1.608", "0.626", "+56%", "1.024", "2.212"):
        assert error in section
    assert "12% too low" in _section(cdnow_page, "worth")


def test_what_to_distrust_on_cdnow(cdnow_page):
    section = _section(cdnow_page, "distrust")
    assert "The rank correlation of frequency and spend is 0.206 over 946 repeat buyers" in section
    assert "Too short a history to tell a season" in section
    assert "February 1997" in section
    assert "All 2,357 customers joined until 1997-03-25" in section
    assert "Mind the gap." in section
    assert "The horizon is longer" not in section
    assert "The forecast missed where the sequel is known" in section


def test_what_was_dropped_and_where_it_comes_from(cdnow_page):
    data = _section(cdnow_page, "data")
    assert "6,919" in data
    assert "1,959 of 6,919 rows" in data
    provenance = _section(cdnow_page, "provenance")
    for fact in (
        "2024-05-06",
        pc.__version__,
        "1997-09-30",
        "BGNBD and GammaGamma",
        "mle",
        "946 of them repeat buyers",
    ):
        assert fact in provenance


def test_parameters_stand_with_their_meaning(cdnow_page, clv):
    section = _section(cdnow_page, "fit")
    for row in clv.summary.itertuples():
        assert f"{row.model}: {row.parameter}" in section
        assert f"{row.estimate:.4g}" in section
        assert row.meaning in section


def test_an_endless_horizon_shows_the_share_beyond_three_years(endless_page, clv, few):
    with pytest.warns(HorizonWarning, match="infinite"):
        share = clv.portfolio(few, math.inf)["share_beyond_3_years"].iloc[-1]
    assert f"{share:.0%} of this value lies more than three years ahead" in endless_page.text
    assert "Most of forever has not been seen" in endless_page.text
    assert not re.search(r"\b(nan|NaN|inf)\b", endless_page.text)
    assert "Seasons and trends are not checked" in endless_page.text
    assert 'id="holdout"' not in endless_page.source


def test_segments_are_told_with_their_total(hostile):
    section = _section(hostile, "segments")
    assert "existing customers" in section
    assert "40% of revenue in USD" in hostile.text
    assert "expected contribution" in hostile.text


def test_a_tiny_base_is_told_to_be_one(tiny_page):
    section = _section(tiny_page, "distrust")
    assert "Few customers inform the model" in section
    assert "The data do not determine BGNBD" in section
    assert "Too few repeat buyers to tell whether spend goes with frequency" in section
    assert "ready table" in _section(tiny_page, "data")
    # A parameter at the edge has an estimate, and neither standard error nor interval.
    assert "not determined" in _section(tiny_page, "fit")
    assert not re.search(r"\b(nan|NaN|inf)\b", tiny_page.text)


def test_same_inputs_same_bytes(folder, clv, few):
    for name in ("one", "two"):
        pc.write_report(folder / name, clv=clv, rfm=few, horizon=20, made_on=TODAY)
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()


def test_results_that_are_ready_are_taken(folder, clv, cdnow):
    few = cdnow[:50]
    customers, portfolio = clv.predict(few, 20), clv.portfolio(few, 20)
    before = customers.copy(), portfolio.copy()
    pc.write_report(folder / "three", clv=clv, rfm=few, customers=customers, portfolio=portfolio, horizon=20)
    pd.testing.assert_frame_equal(customers, before[0])
    pd.testing.assert_frame_equal(portfolio, before[1])
    assert f"{portfolio['expected_clv'].iloc[-1]:,.0f}" in Page(folder / "three").text


def test_tables_of_other_customers_are_refused(folder, clv, cdnow, cdnow_split):
    few = cdnow[:50]
    with pytest.raises(DataError, match="not of the same customers"):
        pc.write_report(folder / "no", clv=clv, rfm=few, customers=clv.predict(cdnow[1:51], 20), horizon=20)
    with pytest.raises(DataError, match="split of other customers"):
        pc.write_report(folder / "no", clv=clv, rfm=few, holdout=cdnow_split, horizon=20)
    assert not (folder / "no").exists()


def test_a_missing_jinja2_is_named(folder, clv, cdnow, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'predclv[report]'")):
        pc.write_report(folder / "no", clv=clv, rfm=cdnow)
    assert not (folder / "no").exists()


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


def browse(needs, profile, url, *options):
    command = [needs("chromium"), *CHROMIUM, f"--user-data-dir={profile}", *options, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cdnow_page", "hostile"])
def test_a_browser_opens_it_without_a_complaint(name, needs, tmp_path, request, folder):
    """The page's own policy forbids every fetch, so that an attempt would be a message on the console."""
    request.getfixturevalue(name)
    path = folder / f"{name.removesuffix('_page')}.html"
    done = browse(needs, tmp_path / "profile", path.as_uri())
    assert "CONSOLE" not in done.stderr
    opened = tmp_path / "opened.html"
    opened.write_text(done.stdout, encoding="utf-8")
    assert "<script" not in done.stdout
    assert done.stdout.count("<svg") == path.read_text(encoding="utf-8").count("<svg")
    assert "Where this comes from" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_sticks_out_to_the_right(width, needs, tmp_path, hostile, cdnow_page):
    for number, page in enumerate((hostile, cdnow_page)):
        # A copy without the policy, with everything unfolded, in a frame of that width that is then measured.
        inner = re.sub(r"<meta http-equiv=[^>]*>", "", page.source).replace("<details>", "<details open>")
        path = tmp_path / f"{number}.html"
        path.write_text(
            f"""<!doctype html><meta charset="utf-8"><title></title>
            <iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{html.escape(inner)}" onload="
              const page = contentDocument.documentElement;
              document.title = page.scrollWidth + ' of ' + page.clientWidth;"></iframe>""",
            encoding="utf-8",
        )
        done = browse(needs, tmp_path / f"profile{number}", path.as_uri())
        needed, available = map(int, re.search(r"<title>(\d+) of (\d+)</title>", done.stdout).groups())
        assert needed <= available <= width


def _section(page, anchor):
    """HTML of one section, escapes resolved."""
    start = page.source.index(f'<section id="{anchor}"')
    return html.unescape(page.source[start : page.source.index("</section>", start)])
