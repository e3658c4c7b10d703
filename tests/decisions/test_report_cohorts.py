"""The report's section on cohorts: its findings are those of the tables, and what is missing is said."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import predclv as pc
from predclv.decisions import cohort_table
from predclv.decisions.report.cohorts import cohorts
from predclv.decisions.report.customers import MemoryBase
from predclv.decisions.report.inputs import Asked, settle_inputs
from predclv.decisions.report.parts import LeftOut
from predclv.errors import DependenceWarning

OPTIONS = {"customer_id": "customer_id", "date": "date", "amount": "amount", "observation_end": "1997-12-31"}


@pytest.fixture(scope="module")
def log():
    log = pc.datasets.load_cdnow()
    return log.assign(channel=np.where(log["customer_id"] % 3 == 0, "<b>paid</b>", "organic"))


@pytest.fixture(scope="module")
def rfm(log):
    return pc.RFMSummary.from_transactions(log, carry=["channel"], **OPTIONS)


@pytest.fixture(scope="module")
def clv(rfm):
    with pytest.warns(DependenceWarning):
        return pc.CLV().fit(rfm)


def given(clv, rfm, log, rows=10_000, **asked):
    return settle_inputs(
        clv,
        MemoryBase(rfm, rows),
        "39 weeks",
        observation_end=dt.date(1997, 12, 31),
        log=log,
        log_options=OPTIONS,
        discount_rate=0.1,
        margin=0.3,
        level=0.9,
        by="channel",
        title="",
        messages=(),
        made_on=dt.date(2026, 1, 1),
        asked=Asked(**asked),
    )


def texts(part):
    return " ".join(block.text for block in part.section.blocks if hasattr(block, "text"))


def test_findings_are_those_of_the_tables(clv, rfm, log):
    part = cohorts(given(clv, rfm, log, arrivals=50.0, cac=5.0))
    table = cohort_table(log, **OPTIONS)
    first = table.cells[table.cells["age"] == 1]
    share = 100 * first["active"].sum() / first["customers"].sum()
    assert part.section.title.startswith(f"Of 100 customers won, {share:.0f} buy again in the month after the first")
    assert set(part.tables) == {"cohorts", "cohort_forecast", "retention", "customer_equity"}
    assert len(part.tables["cohort_forecast"]) == 3 * 12
    assert part.tables["cohorts"]["cohort"].iloc[0] == "1997-01"
    captions = [block.caption for block in part.section.blocks if getattr(block, "kind", "") == "table"]
    assert "Channels at the same age" in captions
    assert "Worth of present and future customers" in captions
    assert "50 a month, as given, taken as certain" in texts(part)
    assert part.facts["period"] == "month"


def test_chunks_change_little(clv, rfm, log):
    whole, parts = (cohorts(given(clv, rfm, log, rows)) for rows in (10_000, 800))
    a, b = (part.tables["cohort_forecast"]["purchases"].sum() for part in (whole, parts))
    assert a == pytest.approx(b, rel=0.03)
    assert "customer_equity" not in whole.tables


def test_what_is_missing_or_too_little_is_said(clv, rfm, log):
    without = cohorts(given(clv, rfm, None))
    assert isinstance(without, LeftOut)
    assert "log=" in without.reason
    few = rfm[:5]
    small = log[log["customer_id"].isin(few.customer_id)]
    found = cohorts(given(clv, few, small))
    assert isinstance(found, LeftOut)
    assert "not enough to say" in found.reason
