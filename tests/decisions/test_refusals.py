"""What is asked of a report on decisions and cannot be answered is refused before the work."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import predclv as pc
from predclv.data.checks import check_channels
from predclv.decisions import find_drivers, read_experiment
from predclv.decisions.report.asked import Asked
from predclv.decisions.report.refusals import refuse_arms, refuse_channels, refuse_start, values_of
from predclv.errors import DataError

CURVE = float


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"control": "A"}, "'control' is about an experiment: give 'arm'"),
        ({"arm_start": "2025-01-01"}, "'arm_start' is about an experiment"),
        ({"detect": 2.0}, "'detect' is about an experiment"),
        ({"arm": "arm", "detect": -2.0}, "'detect' must be above 0"),
        ({"arm": "arm", "arm_start": "soon"}, "'?arm_start'?=?'soon'"),
        ({"arm": "arm", "arm_start": "2025-01-01 12:30"}, "'arm_start' must be a day"),
        ({"budget": 0.0, "curves": {"all": CURVE}}, "'budget' must be above 0"),
        ({"arrivals": -3.0}, "'arrivals' must be a number of customers a month of at least 0"),
        ({"arrivals": {"web": float("nan")}}, "'arrivals' must be a finite number"),
        ({"drivers": ("plan", "plan")}, "'plan' more than once"),
        ({"confidence": 90}, "did you mean 0.9"),
    ],
)
def test_options_that_cannot_be_meant(options, said):
    with pytest.raises(ValueError, match=said):
        Asked(**options)


def test_channels_are_named_once_each():
    refuse_channels(Asked(cac={"web": 3, "shop": 4}), ["shop", "web"])
    # Nothing is known of channels where the models have none.
    refuse_channels(Asked(cac={"web": 3}), [])
    with pytest.raises(
        DataError, match=r"'cac' lacks 1 of 2 channels \(first: 'web'\). Give a value for each of 'shop'"
    ):
        refuse_channels(Asked(cac={"shop": 3}), ["shop", "web"])
    with pytest.raises(DataError, match=r"'curves' names 1 of 2 .*first: 'wbe'\). Did you mean 'web'"):
        refuse_channels(Asked(budget=1.0, curves={"shop": CURVE, "wbe": CURVE}), ["shop", "web"])
    with pytest.raises(DataError, match="'1' more than once"):
        check_channels("cac", [1, "1"], ["1"])


def test_arms_and_their_start():
    asked = Asked(arm="arm", control="c", arm_start="2025-03-01")
    refuse_arms(asked, ["c", "d"])
    refuse_start(asked, dt.date(2025, 1, 1), dt.date(2025, 6, 1))
    with pytest.raises(DataError, match="one arm, 'c'"):
        refuse_arms(asked, ["c"])
    with pytest.raises(DataError, match="'control' must be an arm, one of 'a', 'b'"):
        refuse_arms(asked, ["a", "b"])
    with pytest.raises(DataError, match="after the as-of date 2025-02-01"):
        refuse_start(asked, None, dt.date(2025, 2, 1))
    with pytest.raises(DataError, match=r"Nobody had bought before 2025-03-01.*is of 2025-03-01"):
        refuse_start(asked, dt.date(2025, 3, 1), None)


@pytest.mark.parametrize("decide", [lambda subs: find_drivers(subs, ["x"]), lambda subs: read_experiment(subs, "x")])
def test_contracts_are_told_what_to_use_instead(decide):
    subs = pc.datasets.simulate_contracts(n_customers=20, seed=3).subs
    with pytest.raises(TypeError, match="segment="):
        decide(subs)


def test_values_are_read_from_the_file(tmp_path):
    table = pd.DataFrame({"customer_id": [7, 8, 9], "arm": ["b", None, "a"], "size": [1.0, 2.0, float("nan")]})
    table["none"] = pd.Series([None] * 3, dtype=object)
    table.to_parquet(tmp_path / "customers.parquet")
    assert values_of(tmp_path / "customers.parquet", "arm", gaps=True) == ["a", "b"]
    for column, first in (("arm", 8), ("size", 9)):
        with pytest.raises(
            DataError, match=rf"'{column}' is missing or blank for 1 of 3 customers \(first: customer {first}\)"
        ):
            values_of(tmp_path / "customers.parquet", column)
    with pytest.raises(DataError, match="missing for all 3"):
        values_of(tmp_path / "customers.parquet", "none", gaps=True)


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("gaps", [False, True])
def test_a_name_that_nobody_can_see_is_none(blank, gaps, tmp_path):
    """An export writes what it does not know as nothing, or as blanks: no channel, whose CAC could be given."""
    table = pd.DataFrame({"customer_id": [7, 8, 9], "channel": ["web", blank, "shop"]})
    for kind in ("str", "category"):
        table.astype({"channel": kind}).to_parquet(tmp_path / "customers.parquet")
        with pytest.raises(
            DataError, match=r"'channel' is missing or blank for 1 of 3 customers \(first: customer 8\)"
        ):
            values_of(tmp_path / "customers.parquet", "channel", gaps=gaps)
