"""The report on contracts: what it says is what the tables say."""

from __future__ import annotations

import datetime as dt
import math
import re
import warnings

import numpy as np
import pytest

import predclv as pc
from predclv.errors import HorizonWarning, PredCLVWarning
from report.test_report import Page

TODAY = dt.date(2025, 1, 2)
HOSTILE = ["<script>alert(1)</script>", "None", "$a_b$", "\u202egpj.exe", "x\" onload='y", "{{ 7 * 7 }}", "a\x00b"]


def section(page, anchor):
    return page.source.split(f'<section id="{anchor}"')[1].split("</section>")[0]


def write(path, clv, subs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        pc.write_report(path, clv=clv, rfm=subs, made_on=TODAY, **options)
    return Page(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def subs():
    log = pc.datasets.simulate_subscriptions("sbg", n_customers=3_000, seed=1).log
    log["plan"] = np.where(log["customer_id"] % 3 == 0, "pl<u>s", "basic")
    return pc.Subscriptions.from_log(
        log, price="price", observation_end="2024-12-31", carry=["plan"], currency="EUR", returning="error"
    )


@pytest.fixture(scope="module")
def clv(subs):
    return pc.CLV(pc.SBG()).fit(subs)


@pytest.fixture(scope="module")
def page(folder, clv, subs):
    return write(folder / "log.html", clv, subs, horizon="12 months", margin=0.8, by="plan", warnings=["Mind the gap."])


@pytest.fixture(scope="module")
def cohorts():
    table = pc.datasets.load_retention().loc[:, :7]
    return pc.Subscriptions.from_cohorts(table, values="percent", size=1000, price=240.0)


@pytest.fixture(scope="module")
def cohort_page(folder, cohorts):
    return write(folder / "cohorts.html", pc.CLV(pc.BDW()).fit(cohorts), cohorts, horizon=math.inf)


def test_stands_alone(page, cohort_page):
    for one in (page, cohort_page):
        assert not one.named("script")
        assert not one.named("link")
        assert "://" not in one.source.replace("http://www.w3.org", "")
        ids = one.attributes("id")
        assert len(ids) == len(set(ids))
        figures = one.named("svg")
        assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
        assert len(one.named("caption")) == len(one.named("table"))
        assert not re.search(r"\b(nan|NaN|inf|NaT|None)\b", one.text)
    # Two of retention, recurring revenue, the plans, the check.
    assert len(page.named("svg")) == 5


def test_says_what_they_are_worth(page, clv, subs):
    total = clv.portfolio(subs, "12 months", margin=0.8).iloc[-1]
    worth = section(page, "worth")
    for name in ("expected_clv", "clv_low", "clv_high", "expected_purchases", "purchases_low"):
        assert f"{total[name]:,.0f}" in worth, name
    assert f"The {(~subs.ended).sum():,} subscribers you have" in page.text
    assert "contribution, 80% of revenue in EUR, discounted at 10% a year" in page.text
    assert "renewed by the month, as of 2024-12-31, horizon 12 months" in page.text
    revenue = clv.transactions_.recurring_revenue(subs, "12 months")
    for row in revenue.iloc[[0, -1]].itertuples():
        assert f"{row.expected_mrr:,.0f} EUR" in section(page, "recurring")
        assert f"{row.mrr_low:,.0f} to {row.mrr_high:,.0f}" in section(page, "recurring")
    new = clv.new_customer("12 months", price=float(subs.price[~subs.ended].mean()), margin=0.8).iloc[0]
    assert f"{new['expected_clv']:.2f} EUR in contribution" in page.text


def test_retention_stands_beside_what_was_observed(page, clv, subs):
    text = section(page, "retention")
    curve = clv.transactions_.retention_curve(47).set_index("period")
    seen = subs.observed_retention().set_index("period")
    assert f"{curve.loc[1, 'retention']:.0%} of new subscribers make the first renewal" in text
    row = re.search(r"<bdi>1</bdi>.*?</tr>", text, flags=re.DOTALL)[0]
    assert f">{seen.loc[1, 'at_risk']:,.0f}<" in row
    assert f">{seen.loc[1, 'retention']:.0%}<" in row
    assert f"({curve.loc[1, 'survival_low']:.0%} to {curve.loc[1, 'survival_high']:.0%})" in row
    # After what was seen, the model alone.
    assert "–" in re.search(r"<bdi>47</bdi>.*?</tr>", text, flags=re.DOTALL)[0]


def test_tenures_and_renewals_to_look_after(page, clv, subs):
    tenures = clv.transactions_.by_tenure(subs)
    row = re.search(r"<bdi>0</bdi>.*?</tr>", section(page, "tenure"), flags=re.DOTALL)[0]
    first = tenures.iloc[0]
    assert f"{first['discounted_residual_lifetime']:.1f} ({first['discounted_low']:.1f} to " in row
    assert f"{first['p_renew']:.0%} ({first['p_renew_low']:.0%} to {first['p_renew_high']:.0%})" in row
    table = clv.predict(subs, "12 months", margin=0.8)
    stake = (table["expected_clv"] * (1 / table["p_purchase"] - 1)).where(~subs.ended, 0.0)
    names = re.findall(r"<bdi>(\d+)</bdi>", section(page, "stake"))
    assert names == table.loc[stake.nlargest(10).index, "customer_id"].astype(str).tolist()
    assert f"{stake.sum():,.0f} EUR more" in page.text
    top = re.findall(r"<bdi>(\d+)</bdi>", section(page, "top"))
    assert top == table.nlargest(10, "expected_clv")["customer_id"].astype(str).tolist()
    assert "pl&lt;u&gt;s" in section(page, "segments")


def test_the_check_and_what_to_distrust(page, clv, subs):
    check = pc.checks.check_survivors(clv.transactions_, subs)
    fit, distrust = section(page, "fit"), section(page, "distrust")
    for row in check.p_values.itertuples():
        assert f">{row.p_value:.2f}<" in fit
    assert "Cohorts are alike" in distrust
    assert "The other model says nearly the same" in distrust
    other = pc.CLV(pc.BDW()).fit(subs).predict(subs, "12 months", margin=0.8)["expected_clv"].sum()
    assert f"{other:,.0f} EUR" in distrust
    assert "Mind the gap." in distrust
    assert "3,000 contracts" in section(page, "provenance")


def test_cohorts_for_ever(cohort_page, cohorts):
    assert "Cohorts differ from each other" in cohort_page.text
    assert "Most of forever has not been seen" in cohort_page.text
    assert "Newer customers" not in cohort_page.text
    assert "732 running contracts of 2,000" in cohort_page.text
    assert "cohorts of percentages, rounded to whole customers: 2 of 2 cohorts" in cohort_page.text
    # Groups of customers have no names.
    assert 'id="top"' not in cohort_page.source
    assert 'id="stake"' not in cohort_page.source


def test_what_was_planted_is_found(folder):
    sim = pc.datasets.simulate_subscriptions("bdw", n_customers=4_000, parameters={"alpha": 2, "beta": 30, "c": 1.6})
    log = sim.log.assign(end=sim.log["end"].where(sim.log["customer_id"] % 50 != 0, sim.log["start"]))
    subs = pc.Subscriptions.from_log(log, price="price", observation_end="2024-12-31")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        found = write(folder / "bdw.html", pc.CLV(pc.SBG()).fit(subs), subs, horizon="60 months", discount_rate=0.0)
    assert "A single customer seems to change with tenure" in found.text
    assert "The horizon is longer than the data" in found.text
    assert "not discounted, within 60 months" in found.text
    assert "The data do not determine SBG" in found.text


def test_hostile_names_stay_text(folder):
    log = pc.datasets.simulate_subscriptions("sbg", n_customers=60, seed=4, price=9.0).log
    log["customer_id"] = [f"{HOSTILE[i % len(HOSTILE)]}{i}" for i in range(60)]
    log["plan"] = [HOSTILE[i % len(HOSTILE)] for i in range(60)]
    subs = pc.Subscriptions.from_log(log, price="price", observation_end="2024-12-31", carry=["plan"], currency="$")
    clv = pc.CLV(pc.SBG()).fit(subs)
    found = write(folder / "hostile.html", clv, subs, horizon="3 months", by="plan", title="<b>bold</b>")
    assert not found.named("script")
    assert not found.named("b")
    assert "{{ 7 * 7 }}" in found.text
    assert "\u202e" not in found.source


def test_edges(folder, subs):
    """Nobody runs any more; a horizon below one period; no dates of start."""
    over = subs[subs.ended]
    clv = pc.CLV(pc.SBG()).fit(subs)
    gone = write(folder / "gone.html", clv, over, horizon="12 months")
    assert "The 0 subscribers you have are expected to bring 0 EUR" in gone.text
    assert 'id="recurring"' not in gone.source
    soon = write(folder / "soon.html", clv, subs, horizon=0.5)
    assert 'id="recurring"' not in soon.source
    made = pc.datasets.simulate_contracts("sbg", n_customers=300).subs
    plain = write(folder / "plain.html", pc.CLV(pc.SBG()).fit(made), made, horizon="6 months")
    assert "Cohorts and times are not checked" in plain.text
    assert "a month, the mean price of those who run" in plain.text


def test_what_is_refused(folder, clv, subs, cdnow_split):
    with pytest.raises(ValueError, match="holdout= is of purchases"):
        pc.write_report(folder / "no.html", clv=clv, rfm=subs, holdout=cdnow_split)
    with pytest.raises(TypeError, match="Expected Subscriptions"):
        pc.write_report(folder / "no.html", clv=clv, rfm=cdnow_split.calibration)
    half = pc.CLV(pc.SBG(method="map", segment="plan")).fit(subs)
    with pytest.raises(ValueError, match="segments with parameters of their own"):
        pc.write_report(folder / "no.html", clv=half, rfm=subs)
    one = half.of_segment("basic")
    write(folder / "one.html", one, subs[subs.carried["plan"] == "basic"], horizon="6 months")
    assert not (folder / "no.html").exists()
