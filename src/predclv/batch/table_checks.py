"""What a table of customers must satisfy, counted in the engine that holds it; `RFMSummary` has the words for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np

from predclv.data import rfm_checks
from predclv.data.checks import count_of
from predclv.data.frames import column_to_numpy
from predclv.errors import DataError

__all__ = ["Facts", "check_table"]

Frame = nw.LazyFrame[Any]
_ONE = "1 of 1 customers"


class Facts(NamedTuple):
    """What was counted on the way.

    Attributes
    ----------
    n_rows : int
    mean_gap : float
        Mean time between purchases over all repeat purchases, to three digits, which no order of adding up changes; 1
        where it is 0.
    """

    n_rows: int
    mean_gap: float


def check_table(frame: Frame, time_unit: str, opportunities: str | None) -> Facts:
    """Count what a summary refuses, and refuse it with the first case.

    Parameters
    ----------
    frame : LazyFrame
        frequency, recency, T and, where there are such, customer_id, monetary_value, log_itt and weight; but for the
        ids, floats.
    time_unit : str
    opportunities : str, optional
        Where times are numbers of opportunities.

    Raises
    ------
    DataError
        As `RFMSummary` does, for the same rows and in the same words.
    """
    columns = frame.collect_schema().names()
    rules = _rules(columns, opportunities is not None)
    weight = nw.col("weight") if "weight" in columns else nw.lit(1.0)
    usable = _is_number("frequency") & _is_number("recency")
    counts = {f"rule{i}": rule.cast(nw.Int64).sum() for i, rule in enumerate(rules)}
    settled = frame.with_columns(
        purchases=nw.when(usable).then(nw.col("frequency") * weight).otherwise(0.0),
        time=nw.when(usable).then(nw.col("recency") * weight).otherwise(0.0),
    )
    found = settled.select(n=nw.len(), purchases=nw.col("purchases").sum(), time=nw.col("time").sum(), **counts)
    row = dict(zip(found.collect_schema().names(), found.collect().row(0), strict=True))
    n = int(row["n"])
    if n == 0:
        _judge({name: np.array([]) for name in ("customer_id", *columns)}, time_unit, opportunities)
    for i, rule in enumerate(rules):
        if row[f"rule{i}"]:
            _refuse(frame.filter(rule), int(row[f"rule{i}"]), n, time_unit, opportunities)
    if "customer_id" in columns:
        _check_ids(frame, n)
    purchases, time = float(row["purchases"]), float(row["time"])
    return Facts(n, float(f"{time / purchases if purchases and time else 1.0:.3g}"))


def _rules(columns: Collection[str], counted: bool) -> list[nw.Expr]:
    """What must hold for no row, in the order in which a summary asks."""
    x, t_x, T = nw.col("frequency"), nw.col("recency"), nw.col("T")
    once = x == 0
    rules: list[nw.Expr] = []
    for name in ("frequency", "recency", "T"):
        rules += [~_is_number(name), nw.col(name) < 0]
    late = t_x > T * (1 + rfm_checks.ROUNDING) + rfm_checks.ROUNDING
    rules += [x != x.floor(), x > rfm_checks.MOST_PURCHASES, late, once & (t_x > 0)]
    if "monetary_value" in columns:
        rules += [
            ~(_is_number("monetary_value") | (once & _is_missing("monetary_value"))),
            nw.col("monetary_value") < 0,
        ]
    if counted:
        rules += [T.floor() != T, t_x != t_x.floor(), x > t_x]
    if "log_itt" in columns:
        log_itt = nw.col("log_itt")
        rules += [
            ~(_is_number("log_itt") | (once & _is_missing("log_itt"))),
            once & _is_number("log_itt") & (log_itt != 0),
        ]
        mean = nw.when(x > 0).then(t_x / x).otherwise(1.0)
        most = x * nw.when(mean > 1e-300).then(mean).otherwise(1e-300).log()
        rules.append((x > 0) & (log_itt > most + 1e-6 * x))
    if "weight" in columns:
        weight = nw.col("weight")
        rules += [~_is_number("weight"), (weight < 1) | (weight != weight.floor())]
    return rules


def _is_number(name: str) -> nw.Expr:
    """Whether a value is neither null nor infinite nor NaN, and never null itself."""
    return (~nw.col(name).is_null()) & nw.col(name).fill_null(0.0).is_finite()


def _is_missing(name: str) -> nw.Expr:
    """Whether a value is null or NaN.

    DuckDB goes by a Parquet file's statistics, which leave NaN out, and says of all that they are none; but it does
    divide. Of what is not finite the reciprocal is a number, but for NaN.
    """
    not_zero = nw.when(_is_number(name)).then(1.0).otherwise(nw.col(name))
    return nw.col(name).is_null() | ~(1.0 / not_zero).is_finite()


def _refuse(wrong: Frame, count: int, n: int, time_unit: str, opportunities: str | None) -> None:
    first = wrong.head(1).collect()
    row = {name: column_to_numpy(first[name]) for name in first.columns if not name.startswith("by")}
    try:
        _judge(row, time_unit, opportunities)
    except DataError as error:
        raise DataError(str(error).replace(_ONE, count_of(count, n, "customers"))) from None
    raise AssertionError(f"a row was counted as wrong that a summary takes: {row}")


def _judge(row: dict[str, Any], time_unit: str, opportunities: str | None) -> None:
    ids = row.get("customer_id", np.array(["without id"], dtype=object))
    columns = rfm_checks.check_columns(
        ids, row["frequency"], row["recency"], row["T"], row.get("monetary_value"), time_unit
    )
    own = ids, columns["frequency"], columns["recency"]
    if opportunities is not None:
        rfm_checks.check_opportunities(*own, columns["T"])
    if "log_itt" in row:
        rfm_checks.check_log_itt(*own, row["log_itt"])
    if "weight" in row:
        rfm_checks.check_weight(ids, row["weight"])


def _check_ids(frame: Frame, n: int) -> None:
    missing = int(frame.select(nw.col("customer_id").is_null().cast(nw.Int64).sum()).collect().item())
    if missing:
        raise DataError(
            f"'customer_id' is null for {count_of(missing, n, 'rows')}. Give every customer an id, or drop those rows."
        )
    repeated = frame.group_by("customer_id").agg(n=nw.len()).filter(nw.col("n") > 1)
    row = repeated.select(ids=nw.len(), n=nw.col("n").sum()).collect().row(0)
    if row[0]:
        first = column_to_numpy(repeated.select(nw.col("customer_id").min()).collect()["customer_id"])[0]
        raise DataError(
            f"{count_of(int(row[1]) - int(row[0]), n, 'rows')} repeat a customer_id (first: customer {first}). A table "
            "of customers has one row each; summarise a log of purchases first."
        )
