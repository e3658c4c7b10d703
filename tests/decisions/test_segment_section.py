"""The report's section on segments: what it says is what its tables hold, and too little is said to be too little."""

from __future__ import annotations

import datetime as dt
import html

import numpy as np
import pytest

import predclv as pc
from predclv.cli.decide_values import read_tiers
from predclv.decisions.report import write_decision_report
from predclv.errors import DataError

HOSTILE = "<script>alert(1)</script>"
MONEY = {"horizon": "26 weeks", "margin": 0.4, "made_on": dt.date(2026, 5, 6)}


@pytest.fixture(scope="module")
def rfm():
    found = pc.datasets.simulate_rfm(n_customers=800, T=(20.0, 39.0), lattice=1, seed=5).rfm
    names = np.array(["search", HOSTILE], dtype=object)
    frame = found.to_pandas().assign(channel=names[np.arange(800) % 2])
    return pc.RFMSummary.from_frame(frame, time_unit="week", carry=["channel"], currency="EUR")


@pytest.fixture(scope="module")
def clv(rfm):
    return pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map")).fit(rfm)


@pytest.fixture(scope="module")
def whole(clv, rfm, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "decisions.html"
    shares = {"gold": 0.1, HOSTILE: 0.2, "rest": 0.7}
    found = write_decision_report(path, clv=clv, rfm=rfm, by="channel", tiers=shares, **MONEY)
    return path.read_text(encoding="utf-8"), found


def test_the_section_says_what_its_tables_hold(whole):
    page, found = whole
    curve, tiers = found.tables["pareto"], found.tables["tiers"].set_index("tier")
    chosen = float(np.interp(0.2, curve["share_of_customers"], curve["chosen"]))
    title = f"The 20% of customers expected to be best will bring {chosen:.0%} of the contribution"
    assert title in page
    assert f"{tiers.loc['gold', 'p_right']:.0%}" in page
    assert tiers["customers"].tolist() == pytest.approx([80, 160, 560, 800], abs=30)
    assert found.facts["segments"]["cuts"]["rest"] == 0
    assert found.facts["segments"]["held_by_the_best"]["chosen"] == pytest.approx(chosen)
    assert len(found.tables["tier_customers"]) == 800
    assert found.tables["tier_customers"]["expected_clv"].is_monotonic_decreasing
    assert found.tables["segments"]["customers"].tolist() == [400, 400, 800]
    assert "segments" not in found.left_out


def test_of_very_many_customers_a_sample_is_worked_out_and_told(clv, rfm, tmp_path, monkeypatch, whole):
    for name in ("AT_ONCE", "DRAWN"):
        monkeypatch.setattr(f"predclv.decisions.report.logs.{name}", 500)
    monkeypatch.setattr("predclv.decisions.report.segments.LISTED", 100)
    path = tmp_path / "decisions.html"
    found = write_decision_report(path, clv=clv, rfm=rfm, by="channel", **MONEY)
    page = path.read_text(encoding="utf-8")
    assert "Worked out on 500 of your 800 customers, drawn at random" in page
    assert "has the best 100 of those drawn, with" in page
    assert found.tables["tiers"]["customers"].iloc[-1] == found.facts["segments"]["customers"] == 500
    assert set(found.tables["tier_customers"]["customer_id"]) <= set(whole[1].tables["tier_customers"]["customer_id"])
    # Shares are near those of all: within four standard errors of a share of 500.
    drawn, all_of_them = (each.tables["segments"].iloc[0]["share_of_customers"] for each in (found, whole[1]))
    assert abs(drawn - all_of_them) < 4 * np.sqrt(0.25 / 500)


def test_names_from_the_data_are_no_markup(whole):
    page, _ = whole
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page


def test_of_forty_accounts_it_says_that_it_is_not_enough_and_ten_make_no_groups(clv, rfm, tmp_path):
    found = write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm[:40], **MONEY)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "There is not enough to say of" in page
    assert "fewer than 30 customers" in page
    assert found.tables["tiers"]["customers"].iloc[-1] == 40
    few = write_decision_report(tmp_path / "b.html", clv=clv, rfm=rfm[:10], **MONEY)
    assert few.left_out["segments"].startswith("not enough to say: 10 customers")


def test_tiers_on_the_command_line():
    assert read_tiers("4") == 4
    assert read_tiers("gold=0.1, rest=0.9") == {"gold": 0.1, "rest": 0.9}
    for text in ("2.5", "inf", "nan", "gold", "gold=0.1,gold=0.9", "=1", "gold=much"):
        with pytest.raises(DataError):
            read_tiers(text)


@pytest.mark.parametrize("tiers", [1, {"a": 0.5, "b": 0.7}])
def test_tiers_that_are_none_end_the_run(clv, rfm, tmp_path, tiers):
    with pytest.raises(ValueError, match="tiers"):
        write_decision_report(tmp_path / "a.html", clv=clv, rfm=rfm, tiers=tiers, **MONEY)
