"""The report on decisions: what it says, what it leaves out and why, and customers read a chunk at a time."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.batch.summaries import summarize
from predclv.decisions.report import write_decision_report
from predclv.decisions.report.budget import budget
from predclv.decisions.report.customers import FileBase, MemoryBase
from predclv.decisions.report.inputs import Asked, settle_inputs
from predclv.decisions.report.logs import open_log, sample_customers
from predclv.decisions.report.retention import retention
from predclv.decisions.report.survey import survey
from predclv.errors import HorizonWarning

TODAY = dt.date(2026, 5, 6)
HOSTILE = "<script>alert(1)</script>"
MONEY = {"horizon": "26 weeks", "margin": 0.4, "made_on": TODAY}


@pytest.fixture(scope="module")
def rfm():
    found = pc.datasets.simulate_rfm(n_customers=600, T=(20.0, 60.0), seed=5).rfm
    names = np.array(["search", "friends", HOSTILE], dtype=object)
    return pc.RFMSummary.from_frame(
        found.to_pandas().assign(channel=names[np.arange(600) % 3]), time_unit="week", carry=["channel"], currency="EUR"
    )


@pytest.fixture(scope="module")
def clv(rfm):
    settings = {"method": "map", "segment": "channel"}
    return pc.CLV(pc.BGNBD(**settings), pc.GammaGamma(**settings)).fit(rfm)


@pytest.fixture(scope="module")
def whole(clv, rfm, tmp_path_factory):
    """The page and what it was made of."""
    path = tmp_path_factory.mktemp("page") / "decisions.html"
    cac = {"search": 30, "friends": 5, HOSTILE: 900}
    found = write_decision_report(path, clv=clv, rfm=rfm, by="channel", cac=cac, warnings=["It rained."], **MONEY)
    return path.read_text(encoding="utf-8"), found


def test_the_page_says_what_the_tables_hold(whole):
    page, found = whole
    table = found.tables["acquisition"].set_index("channel")
    assert f"{table.loc['search', 'expected_clv']:,.2f} EUR" in page
    assert "It rained." in page
    assert "26 weeks" in page
    assert found.facts["acquisition"]["channels"][0]["channel"] == "friends"


def test_names_from_the_data_are_no_markup(whole):
    page, _ = whole
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page


def test_the_same_inputs_give_the_same_bytes(clv, rfm, whole, tmp_path):
    cac = {"search": 30, "friends": 5, HOSTILE: 900}
    write_decision_report(
        tmp_path / "a.html", clv=clv, rfm=rfm, by="channel", cac=cac, warnings=["It rained."], **MONEY
    )
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == whole[0]


def test_what_was_not_given_is_said(clv, rfm, tmp_path):
    found = write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, **MONEY)
    assert "--cac" in found.left_out["acquisition"]
    assert found.left_out["acquisition"] in html.unescape((tmp_path / "a.html").read_text(encoding="utf-8"))


def test_warnings_are_shown_and_issued_once(clv, rfm, tmp_path):
    with pytest.warns(HorizonWarning, match="extrapolation") as heard:
        write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, **{**MONEY, "horizon": "3 years"})
    assert len(heard) == 1
    assert str(heard[0].message) in (tmp_path / "a.html").read_text(encoding="utf-8")


def inputs(clv, base, **asked):
    told = {"discount_rate": 0.1, "margin": 0.4, "level": 0.9, "by": "channel", "title": "", "messages": ()}
    end = base.summary.observation_end
    return settle_inputs(clv, base, "26 weeks", observation_end=end, made_on=TODAY, asked=Asked(**asked), **told)


def test_the_survey_adds_up_what_the_lists_say(clv, rfm):
    given = inputs(clv, MemoryBase(rfm), offer_cost=2.0, offer_lift=0.2)
    found = survey(given)
    listed = pc.decisions.list_at_risk(clv, rfm, "26 weeks", margin=0.4)
    total = clv.portfolio(rfm, "26 weeks", margin=0.4).iloc[-1]
    assert found.expected == pytest.approx(total["expected_clv"], rel=2e-3)  # over 256 draws, and over all
    assert found.stake[0] == pytest.approx(listed["stake"].sum())
    assert found.stake[1] < found.stake[0] < found.stake[2]
    gone = pc.decisions.list_to_win_back(clv, rfm, "26 weeks", margin=0.4)
    assert found.gone.sum() == len(gone)
    assert found.lost[0] == pytest.approx(gone["stake"].sum())
    offers = pc.decisions.weigh_offer(listed, cost=2.0, lift=0.2)
    assert found.offer[0] == pytest.approx(offers.loc[offers["pays"], "expected_return"].sum())


def test_chunks_change_nothing(clv, rfm):
    asked = {"offer_cost": 2.0, "offer_lift": 0.2}
    whole, parts = (inputs(clv, MemoryBase(rfm, rows), **asked) for rows in (1_000, 170))
    one, other = survey(whole), survey(parts)
    np.testing.assert_allclose(one.stakes, other.stakes)
    for name in ("expected", "stake", "lost", "offer"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))
    tables = [retention(given).tables["at_risk"] for given in (whole, parts)]
    pd.testing.assert_frame_equal(*tables)


def test_only_the_first_are_listed(clv, rfm, monkeypatch):
    monkeypatch.setattr("predclv.decisions.report.survey.LISTED", 25)
    table = retention(inputs(clv, MemoryBase(rfm, 170))).tables["at_risk"]
    expected = pc.decisions.list_at_risk(clv, rfm, "26 weeks", margin=0.4, top=25)
    pd.testing.assert_frame_equal(table, expected)


def test_a_budget_is_split_by_its_curves(clv, rfm):
    curves = {name: pc.decisions.Saturating(500, 4_000) for name in ("search", "friends", HOSTILE)}
    cac = {"search": 30, "friends": 5, HOSTILE: 900}
    asked = {"cac": cac, "budget": 3_000.0, "curves": curves}
    given = inputs(clv, MemoryBase(rfm), **asked)
    table = budget(given).tables["budget"]
    plan = pc.decisions.allocate_budget(
        pc.decisions.assess_acquisition(clv, cac, horizon="26 weeks", margin=0.4), 3_000, curves
    )
    pd.testing.assert_frame_equal(table, plan.table)
    lacking = inputs(clv, MemoryBase(rfm), budget=3_000.0, curves=curves)
    assert "--cac" in budget(lacking).reason


def test_what_fewer_departures_are_worth_is_on_the_page(clv, rfm):
    found = retention(inputs(clv, MemoryBase(rfm)))
    whole = pc.decisions.retention_effect(clv, rfm, "26 weeks", saved=(0.05, 0.1, 0.2), margin=0.4).table
    table = found.tables["retention_effect"]
    pd.testing.assert_frame_equal(table, whole[whole["customers"] == "existing customers"].reset_index(drop=True))
    assert [row["saved"] for row in found.facts["effect"]] == pytest.approx([0.05, 0.1, 0.2])


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_large_log_is_that_of_a_sample(kind, clv, tmp_path, monkeypatch):
    monkeypatch.setattr("predclv.decisions.report.logs.SAMPLE", 50)
    n = 300
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(3 * n) % 350, unit="D")
    log = pd.DataFrame({"who": np.arange(3 * n) % n, "day": days, "paid": 1.0 + np.arange(3 * n) % 7})
    path = tmp_path / f"log.{kind}"
    if kind == "csv":
        log.to_csv(path, index=False)
    else:
        log.to_parquet(path)
    options = {"customer_id": "who", "date": "day", "amount": "paid", "observation_end": "2024-12-31"}
    options["observation_start"] = "2024-01-01"
    rfm = pc.RFMSummary.from_transactions(path, **options)
    given = replace(inputs(clv, MemoryBase(rfm, 70)), log=str(path), log_options=options)
    with open_log(given) as (part, size):
        found = pc.RFMSummary.from_transactions(part, **options).to_pandas()
    assert size == len(found) == 50
    sampled = sample_customers(given)
    assert sampled.observation_end == rfm.observation_end
    assert set(found["customer_id"].astype(int)) == set(sampled.customer_id.astype(int))
    own = rfm.to_pandas().set_index("customer_id").loc[found["customer_id"].astype(int)]
    np.testing.assert_array_equal(found["monetary_value"], own["monetary_value"])
    with open_log(replace(given, base=MemoryBase(rfm[:40]))) as (part, size):
        assert (part, size) == (str(path), 40)


def test_where_nobody_leaves_nothing_is_at_stake(rfm, tmp_path):
    clv = pc.CLV(pc.NBD()).fit(rfm)
    found = write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, **MONEY)
    assert "by NBD nobody does" in found.left_out["retention"]


def test_an_offer_that_cannot_pay_says_so(clv, rfm, tmp_path):
    write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, offer_cost=1e6, offer_lift=0.1, **MONEY)
    assert "pays with no customer" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"cac": {"search": 30, "friends": 5}}, pc.errors.DataError, "lacks 1 of 3 channels"),
        ({"cac": {"search": 0, "friends": 5, HOSTILE: 1}}, pc.errors.DataError, "'search'"),
        ({"cac": {"search": -3, "friends": 5, HOSTILE: 1}}, pc.errors.DataError, "above 0"),
        ({"cac": {"serch": 3, "search": 3, "friends": 5, HOSTILE: 1}}, pc.errors.DataError, "Did you mean"),
        ({"cac": 3.0, "confidence": 90}, ValueError, "0.9"),
        ({"cac": 3.0, "target": 0.0}, ValueError, "'target'"),
        ({"margin": 1.5}, ValueError, "at most 1"),
        ({"margin": "kept"}, TypeError, "one number"),
        ({"level": 90}, ValueError, "0.9"),
        ({"discount_rate": 10}, ValueError, "0.1"),
        ({"offer_cost": 3.0}, pc.errors.DataError, "go together"),
        ({"offer_cost": 0.0, "offer_lift": 0.1}, pc.errors.DataError, "above 0"),
        ({"offer_cost": 3.0, "offer_lift": 10}, ValueError, "0.1"),
        ({"top": 0}, ValueError, "'top'"),
        ({"horizont": "1 year"}, TypeError, "horizont"),
    ],
)
def test_bad_options_end_the_run(options, error, said, clv, rfm, tmp_path):
    with pytest.raises(error, match=said):
        write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, **{**MONEY, **options})
    assert list(tmp_path.iterdir()) == []


def test_contracts_are_refused(rfm, tmp_path):
    subs = pc.datasets.simulate_contracts(n_customers=60, seed=3).subs
    clv = pc.CLV(pc.SBG()).fit(subs)
    with pytest.raises(TypeError, match="of purchases"):
        write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, **MONEY)


def test_customers_of_a_file_are_those_in_memory(tmp_path):
    n = 1_000
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(3 * n) % 350, unit="D")
    log = pd.DataFrame({"who": np.arange(3 * n) % n, "day": days, "paid": 1.0 + np.arange(3 * n) % 7})
    log["channel"] = np.array(["a", "b"], dtype=object)[log["who"] % 2]
    log.to_parquet(tmp_path / "log.parquet")
    options = {"customer_id": "who", "date": "day", "amount": "paid", "carry": ["channel"]}
    options["observation_end"] = "2024-12-31"
    summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", **options)
    held = MemoryBase(pc.RFMSummary.from_transactions(log, **options), rows=300)
    read = FileBase(tmp_path / "rfm.parquet", carry=["channel"], rows=300)
    assert read.n_customers == held.n_customers == n
    assert [len(chunk) for chunk in read.chunks()] == [300, 300, 300, 100]
    for one, other in zip(held.chunks(), read.chunks(), strict=True):
        pd.testing.assert_frame_equal(one.to_pandas(), other.to_pandas(), check_dtype=False)
        assert one.observation_end == other.observation_end
    assert list(read.summary.customer_id) == list(held.summary.customer_id)
