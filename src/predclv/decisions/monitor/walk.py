"""All customers of two snapshots, a part at a time: their rows, their alarms, and what the judgement of all needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predclv.data.columns import check_margin, margins
from predclv.decisions.monitor.alarms import Alarms, Rules
from predclv.decisions.monitor.calibration import Foreseen
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.population import compare_columns, mean_repeat_spend
from predclv.decisions.monitor.snapshots import Matched, Pairing
from predclv.decisions.monitor.sources import ROWS, Rows, Snapshot, stretches
from predclv.decisions.monitor.verdict import Money
from predclv.files import replace_file

__all__ = ["Walked", "walk"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]

#: Of those compared, added up.
_SUMS = ("value_old", "value_expected", "value_now", "value_new")


@dataclass(frozen=True, eq=False)
class Walked:
    """What was found of all customers.

    Attributes
    ----------
    customers : DataFrame or None
        None where the rows went to a file.
    alarms : Alarms
    foreseen : Foreseen
    population : DataFrame
        As in `Monitoring`.
    money : Money
    values : mapping of str to float
        value_old, value_expected and value_now of those compared, added up.
    """

    customers: pd.DataFrame | None
    alarms: Alarms
    foreseen: Foreseen
    population: pd.DataFrame
    money: Money
    values: Mapping[str, float]


def walk(
    first: Forecaster,
    second: Forecaster | None,
    pairing: Pairing,
    margin: float | str,
    rules: Rules,
    customers_file: str | os.PathLike[str] | None = None,
    rows: int = ROWS,
) -> Walked:
    """Go over those compared, then over who came before and after.

    Parameters
    ----------
    rows : int
        Customers at a time: the results are the same but for the rounding of sums, and for the random numbers behind
        the intervals of totals.
    """
    n, kept = len(pairing), _Store(len(pairing))
    if not isinstance(margin, str):
        kept.put(slice(0, n), {"margin": np.broadcast_to(np.float64(check_margin(margin)), n)})
    for some, matched in pairing.parts(rows):
        kept.put(some, {"value_old": first.value(matched.old, np.ones(len(matched)))})
        if isinstance(margin, str):
            kept.put(some, {"margin": margins(matched.new, margin)})
    valuable = rules.valuable(kept["margin"] * kept["value_old"])
    alarms, sums = Alarms(first, rules), dict.fromkeys(_SUMS, 0.0)
    with _destination(n, customers_file) as (take, table):
        for some, matched in pairing.parts(rows):
            found = _judge(first, second, matched, kept["margin"][some], kept["value_old"][some])
            told = alarms.judge(matched, some.start, valuable[some], found["value_expected"], found["value_now"])
            take(some, _customers(matched, valuable[some], found, told))
            kept.put(some, {name: found[name] for name in ("p_alive_old", "p_alive_now", "unit_now")})
            kept.put(some, _foresee(first, matched, rules.seed))
            for name in _SUMS:
                sums[name] += float(found[name].sum())
        customers = table()
    alarms.judge_falls(pairing, kept["margin"])
    came = _describe(first, pairing.new, pairing.newcomers, rows)
    both = [sums["value_now"], sums["value_new"] if second is not None else float("nan")]
    for i, model in enumerate((first, second)):
        if model is not None:
            both[i] += _value_of(model, pairing.new, pairing.newcomers, margin, rows)
    return Walked(
        customers,
        alarms,
        Foreseen(kept["purchases"], kept["worth"], kept["keys"]),
        _population(first, pairing, kept, came, rows),
        Money(*both),
        {name: sums[name] for name in ("value_old", "value_expected", "value_now")},
    )


class _Store:
    """Columns of all customers, filled part by part."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.columns: Columns = {}

    def put(self, some: slice, columns: Mapping[str, NDArray[Any]]) -> None:
        for name, column in columns.items():
            if len(column) == self._n:
                self.columns[name] = column
                continue
            if name not in self.columns:
                self.columns[name] = np.empty(self._n, dtype=column.dtype)
            self.columns[name][some] = column

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.columns, copy=False)


@contextmanager
def _destination(
    n: int, path: str | os.PathLike[str] | None
) -> Iterator[tuple[Callable[[slice, Columns], None], Callable[[], pd.DataFrame | None]]]:
    """Where the rows of customers go: a table, or a file that is written whole or not at all."""
    if path is None:
        store = _Store(n)
        yield store.put, store.table
        return
    with replace_file(path) as temporary:
        writers: list[pq.ParquetWriter] = []

        def write(_: slice, columns: Columns) -> None:
            table = pa.Table.from_pandas(pd.DataFrame(columns, copy=False), preserve_index=False)
            if not writers:
                writers.append(pq.ParquetWriter(temporary, table.schema))
            writers[0].write_table(table.cast(writers[0].schema))

        try:
            yield write, lambda: None
        finally:
            for writer in writers:
                writer.close()


def _judge(
    first: Forecaster, second: Forecaster | None, matched: Matched, margin: FloatArray, unit_old: FloatArray
) -> Columns:
    """Chances and values at both dates; the new date's by the old model too."""
    ones = np.ones(len(matched))
    before, now = first.chances(matched.old), first.chances(matched.new)
    unit_now = first.value(matched.new, ones)
    latest = now if second is None else second.chances(matched.new)
    return {
        **{f"{name}_old": column for name, column in before.items()},
        **{f"{name}_new": column for name, column in latest.items()},
        "p_alive_now": now["p_alive"],
        "unit_now": unit_now,
        "value_old": margin * unit_old,
        "value_expected": first.value(matched.old, margin, after=matched.window),
        "value_now": margin * unit_now,
        "value_new": margin * unit_now if second is None else second.value(matched.new, margin),
    }


def _customers(matched: Matched, valuable: NDArray[np.bool_], found: Columns, told: Columns) -> Columns:
    columns: Columns = {
        "customer_id": matched.old.customer_id,
        "valuable": valuable,
        "purchases": matched.purchases,
        **told,
    }
    for name in ("p_alive", "p_purchase", "value"):
        before, after = found[f"{name}_old"], found[f"{name}_new"]
        columns |= {f"{name}_old": before, f"{name}_new": after, f"{name}_change": after - before}
    columns |= {
        "change_expected": found["value_expected"] - found["value_old"],
        "change_behaviour": found["value_now"] - found["value_expected"],
        "change_refit": found["value_new"] - found["value_now"],
    }
    return columns


def _foresee(first: Forecaster, matched: Matched, seed: int) -> Columns:
    """What `Foreseen` holds."""
    return {
        "purchases": first.expected_purchases(matched.old, matched.window),
        "worth": first.expected_spend(matched.old),
        "keys": matched.keys(seed, "sample"),
    }


def _value_of(model: Forecaster, snapshot: Snapshot, chosen: Rows, margin: float | str, rows: int) -> float:
    total = 0.0
    for some in stretches(len(chosen), rows):
        rfm = snapshot.pick(chosen[some])
        total += float(model.value(rfm, margins(rfm, margin)).sum())
    return total


def _population(first: Forecaster, pairing: Pairing, kept: _Store, came: Columns, rows: int) -> pd.DataFrame:
    """Stability of the base: of newcomers, at equal ages, and of everyone."""
    # Who came in the window, then in one of the same length before the old date: the same ages, other customers.
    then = np.flatnonzero(pairing.window * (1 + 1e-6) >= pairing.old.T)
    found = compare_columns(
        "newcomers",
        _describe(first, pairing.old, then, rows),
        came,
        "first bought within the window, or before the old date in one as long",
    )
    note = "older at the new date by construction, and mostly the same customers: not judged"
    sides = (
        (pairing.old, pairing.here, {"p_alive": kept["p_alive_old"], "value": kept["value_old"]}),
        (pairing.new, pairing.there, {"p_alive": kept["p_alive_now"], "value": kept["unit_now"]}),
    )
    # A column at a time, for together they take as much as all the rest.
    for name in came:
        before, after = (
            known[name] if name in known else _columns_of(snapshot, where)[name]() for snapshot, where, known in sides
        )
        found += compare_columns("everyone", {name: before}, {name: np.concatenate([after, came[name]])}, note)
    return pd.DataFrame(found)


def _columns_of(snapshot: Snapshot, where: Rows) -> dict[str, Callable[[], FloatArray]]:
    """What is known of some customers, each column worked out when it is asked for."""
    columns: dict[str, Callable[[], FloatArray]] = {
        "frequency": lambda: snapshot.frequency[where].astype(np.float64),
        "recency": lambda: snapshot.recency[where],
        "age": lambda: snapshot.T[where],
    }
    spend = snapshot.monetary_value
    if spend is not None:
        columns["mean_spend"] = lambda: mean_repeat_spend(snapshot.frequency[where], spend[where])
    return columns


def _describe(first: Forecaster, snapshot: Snapshot, where: Rows, rows: int) -> Columns:
    """What is known of some customers, and what the old model makes of it."""
    found: Columns = {name: column() for name, column in _columns_of(snapshot, where).items()}
    store = _Store(len(where))
    store.put(slice(0, 0), {"p_alive": np.empty(0), "value": np.empty(0)})
    for some in stretches(len(where), rows):
        rfm = snapshot.pick(where[some])
        # Before the margin, which says nothing of how customers behave.
        value = first.value(rfm, np.ones(len(rfm)))
        store.put(some, {"p_alive": first.chances(rfm)["p_alive"], "value": value})
    return {**found, **store.columns}
