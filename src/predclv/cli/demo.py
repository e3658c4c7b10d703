"""The command `demo`: CDNOW's log until 1997-09-30, forecast, and what the customers then did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.table import Table

import predclv as pc
from predclv.cli import screen, steps
from predclv.cli.console import Session

__all__ = ["show"]

_AS_OF, _SEQUEL_ENDS = "1997-09-30", "1998-06-30"
_COLUMNS = {"customer_id": "customer_id", "date": "date", "amount": "amount"}
_GROUPS = {"0": (0, 0), "1": (1, 1), "2-3": (2, 3), "4 and more": (4, np.inf)}


def show(current: Session, out: Path, *, force: bool, report: bool) -> None:
    """Run everything on a log with a known sequel and compare."""
    steps.check_output(None, out, force, report)
    with current.step("Reading CDNOW's log"):
        log = pc.datasets.load_cdnow()
        timeline = steps.read_timeline(log, **_COLUMNS) if report else None
        split = pc.split_transactions(log, at=_AS_OF, holdout_end=_SEQUEL_ENDS, **_COLUMNS)
    with current.step("Fitting the models"):
        clv = pc.CLV().fit(split.calibration)
    with current.step("Forecasting (half a minute longer the first time, to compile)"):
        results = steps.forecast(split.calibration, clv, steps.Forecast(), timeline, split)
        check = compare(results)
    with current.step("Writing the results"):
        names = steps.write_results(
            results, out, "demo", force=force, report=report, title="CDNOW", messages=current.messages
        )
    current.show(
        screen.customers(results.rfm), *screen.value(results), *screen.top_customers(results), *_holdout(check)
    )
    summary = {**screen.summary("demo", results, out, names), "holdout": check}
    current.finish(summary, *screen.files(out, names))


def compare(results: steps.Results) -> dict[str, Any]:
    """Compare the forecast for the holdout with what was bought in it.

    Returns
    -------
    dict
        weeks, level; for purchases and spend: expected, low, high, actual; groups: by repeat purchases until the
        as-of date, how many customers and their mean purchases, expected and actual.
    """
    split, rfm, clv = results.holdout, results.rfm, results.clv
    assert split is not None
    level = results.forecast.level
    total = clv.portfolio(rfm, split.duration, discount_rate=0.0, level=level).iloc[-1]
    expected = steps.predict(clv.transactions_, rfm, split.duration, level=level)["expected_purchases"].to_numpy()
    actual = split.holdout["purchases"].to_numpy()
    groups = []
    for name, (low, high) in _GROUPS.items():
        of_group = (rfm.frequency >= low) & (rfm.frequency <= high)
        groups.append(
            {
                "repeat_purchases": name,
                "customers": int(of_group.sum()),
                "expected": float(expected[of_group].mean()),
                "actual": float(actual[of_group].mean()),
            }
        )
    return {
        "weeks": float(split.duration),
        "level": level,
        "purchases": _against(total, "expected_purchases", "purchases", actual.sum()),
        "spend": _against(total, "expected_clv", "clv", split.holdout["spend"].sum()),
        "groups": groups,
    }


def _against(total: pd.Series[Any], expected: str, ends: str, actual: float) -> dict[str, float]:
    return {
        "expected": float(total[expected]),
        "low": float(total[f"{ends}_low"]),
        "high": float(total[f"{ends}_high"]),
        "actual": float(actual),
    }


def _holdout(check: dict[str, Any]) -> list[RenderableType]:
    totals = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "forecast", f"{screen.percent(check['level'])} interval", "actual"):
        totals.add_column(heading, justify="left" if not heading else "right")
    for name in ("purchases", "spend"):
        row = check[name]
        totals.add_row(
            name, screen.number(row["expected"]), screen.span(row["low"], row["high"]), screen.number(row["actual"])
        )
    groups = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("repeat purchases until then", "customers", "forecast each", "actual each"):
        groups.add_column(heading, justify="left" if heading.startswith("repeat") else "right")
    for row in check["groups"]:
        groups.add_row(
            row["repeat_purchases"], f"{row['customers']:,}", f"{row['expected']:.2f}", f"{row['actual']:.2f}"
        )
    heading = f"\n[bold]What happened in the {check['weeks']:g} weeks that followed[/bold] (not used in the fit)"
    return [heading, totals, *_misses(check), groups]


def _misses(check: dict[str, Any]) -> list[RenderableType]:
    """Say which actual figures lie outside their interval: a demonstration that hides its misses shows nothing."""
    missed = [
        name
        for name in ("purchases", "spend")
        if not check[name]["low"] <= check[name]["actual"] <= check[name]["high"]
    ]
    if not missed:
        return []
    bias = {name: check[name]["expected"] / check[name]["actual"] - 1 for name in missed}
    off = ", ".join(
        f"{name} {screen.percent(round(abs(b), 2))} too {'low' if b < 0 else 'high'}" for name, b in bias.items()
    )
    return [f"The forecast missed: {off}. Season, trend and campaigns are not modelled."]


def _off(bias: float) -> str:
    return f"{screen.percent(round(abs(bias), 2))} too {'low' if bias < 0 else 'high'}"
