"""From a table of cohorts, who are left after so many renewals, to the columns of `Subscriptions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_option, count_of, pick_column
from predclv.data.frames import PANDAS, Backend, open_frame
from predclv.data.quality import QualityNotes
from predclv.errors import DataError, DataQualityWarning, warn

__all__ = ["read_cohorts"]

FloatArray = NDArray[np.float64]

#: What a cohort of percentages without a size counts as.
_HUNDRED = 100.0


def read_cohorts(
    table: Any, *, cohort: str | None, values: str, size: float | Mapping[Any, float] | None, price: float | None
) -> dict[str, Any]:
    """Read survivors by cohort and period as the arguments of `Subscriptions`; see `Subscriptions.from_cohorts`."""
    check_option("values", values, ("counts", "percent"))
    if size is not None and values == "counts":
        raise DataError("size= belongs to percentages; counts say it themselves. Give values='percent'.")
    names, survivors, backend = _open(table, cohort)
    _check_survivors(names, survivors, values)
    notes = QualityNotes()
    notes.add("read", "cohorts", len(names), len(names), "cohorts")
    if values == "percent":
        survivors = _to_counts(names, survivors, size, notes)
    rows = [_groups(number, line) for number, line in enumerate(survivors)]
    tenure, lost, weight, of = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    n = len(tenure)
    notes.add("contracts", "groups of customers", n, n, "rows")
    price_of_all = None if price is None else _check_price(price)
    return {
        "customer_id": np.arange(n),
        "tenure": tenure.astype(np.int64),
        "ended": lost.astype(bool),
        "lost": lost.astype(bool),
        "weight": weight,
        "next_renewal": np.ones(n),
        "price": None if price_of_all is None else np.full(n, price_of_all),
        "carried": {"cohort": np.array(names, dtype=object)[of.astype(np.int64)]},
        "quality": notes.to_pandas(),
        "backend": backend,
    }


def _open(table: Any, cohort: str | None) -> tuple[list[Any], FloatArray, Backend]:
    """Names of the cohorts, and who is left by cohort and period, NaN where not observed."""
    if isinstance(table, list | tuple | np.ndarray | pd.Series) or _is_series(table):
        if cohort is not None:
            raise DataError(f"cohort={cohort!r} names a column; a single cohort as a sequence has none.")
        return [0], _numbers(_one_line(table)), PANDAS
    if isinstance(table, pd.DataFrame):
        frame, backend = table, PANDAS
        names = list(table.index)
    else:
        lazy, backend = open_frame(table, "the table of cohorts")
        frame = lazy.collect().to_pandas()
        names = list(range(len(frame)))
    if cohort is not None:
        name = pick_column("cohort", cohort, list(map(str, frame.columns)), "the table of cohorts")
        names = frame[name].tolist()
        frame = frame.drop(columns=name)
    if len(set(names)) < len(names) or pd.isna(pd.Series(names, dtype=object)).any():
        raise DataError(
            "Cohorts need names of their own; one is missing or stands twice. Name them, or reset the index."
        )
    if frame.empty:
        raise DataError("The table of cohorts is empty.")
    return names, _numbers(frame), backend


def _one_line(table: Any) -> pd.DataFrame:
    """A single cohort as a table of one row."""
    nested = any(isinstance(cell, list | tuple | np.ndarray | pd.Series) for cell in table)
    if nested or np.ndim(table) != 1:
        raise DataError(
            "A sequence holds a single cohort, and this one has rows of its own. Give several cohorts as a frame, "
            "pd.DataFrame(table), with a row each."
        )
    return pd.DataFrame([np.asarray(table, dtype=object)])


def _is_series(table: Any) -> bool:
    return type(table).__name__ in ("Series", "ChunkedArray") and hasattr(table, "to_numpy")


def _numbers(frame: pd.DataFrame) -> FloatArray:
    try:
        cells = frame.apply(pd.to_numeric).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The table of cohorts holds cells that are no numbers: {error}. Name the cohorts' column with cohort=."
        ) from error
    return np.array(cells)


def _check_survivors(names: list[Any], survivors: FloatArray, values: str) -> None:
    n = len(names)
    known = ~np.isnan(survivors)

    def refuse(bad: NDArray[np.bool_], what: str, remedy: str) -> None:
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise DataError(
                f"{what} in {count_of(int(bad.any(axis=1).sum()), n, 'cohorts')} (first: cohort {names[row]!r}, period "
                f"{column}: {survivors[row, column]:g}). {remedy}"
            )

    refuse(~known[:, :1], "The first cell, the size of the cohort, is empty", "Who was there at the start?")
    gaps = ~known[:, :-1] & known[:, 1:]
    refuse(np.c_[np.zeros((n, 1), bool), gaps], "A cell follows an empty one", "Only the end of a row may be empty.")
    refuse(known & ~((survivors >= 0) & np.isfinite(survivors)), "Survivors are negative or infinite", "Mend them.")
    refuse(survivors[:, :1] <= 0, "The cohort is empty", "Leave it out.")
    risen = survivors[:, 1:] > survivors[:, :-1]
    refuse(
        np.c_[np.zeros((n, 1), bool), risen],
        "Survivors rise",
        "Who left does not come back: give those of the cohort who are left, period by period.",
    )
    if values == "counts":
        remedy = "Give values='percent' for percentages, with size= where it is known."
        refuse(known & (np.floor(survivors) != survivors), "Survivors are no whole numbers", remedy)
    else:
        refuse(survivors[:, :1] > _HUNDRED, "More than 100 % are there", "Give values='counts' for counts.")
    if survivors.shape[1] < 2 or not known[:, 1:].any():
        raise DataError("No cohort has come to a renewal: each row needs at least two cells, the size and who is left.")


def _to_counts(
    names: list[Any], survivors: FloatArray, size: float | Mapping[Any, float] | None, notes: QualityNotes
) -> FloatArray:
    share = survivors / survivors[:, :1]
    if size is None:
        warn(
            f"Percentages without the size of their cohort count as {_HUNDRED:g} customers a cohort ({len(names):,} "
            "here): estimates hold, but their errors and intervals are those of so many. Give size=.",
            DataQualityWarning,
        )
        notes.add("read", "cohorts of unknown size, taken as 100 customers", len(names), len(names), "cohorts")
        return share * _HUNDRED
    if isinstance(size, Mapping):
        unknown = [name for name in names if name not in size]
        if unknown:
            raise DataError(f"size= lacks {count_of(len(unknown), len(names), 'cohorts')} (first: {unknown[0]!r}).")
    sizes = [size[name] if isinstance(size, Mapping) else size for name in names]
    for name, one in zip(names, sizes, strict=True):
        if isinstance(one, bool) or not isinstance(one, int | float | np.number) or not (one >= 1 and one == int(one)):
            raise DataError(f"size= of cohort {name!r} must be a whole number of customers. Got {one!r}.")
    counts = np.round(share * np.array(sizes, dtype=np.float64)[:, np.newaxis])
    notes.add("read", "cohorts of percentages, rounded to whole customers", len(names), len(names), "cohorts")
    return np.asarray(counts)


def _groups(number: int, survivors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Tenure, lost, customers and cohort of the groups of one cohort; empty groups are left out."""
    line = survivors[~np.isnan(survivors)]
    last = len(line) - 1
    tenure, lost = np.r_[np.arange(last), last].astype(np.float64), np.r_[np.ones(last), 0.0]
    weight = np.r_[line[:-1] - line[1:], line[-1]]
    kept = weight > 0
    return tenure[kept], lost[kept], weight[kept], np.full(int(kept.sum()), float(number))


def _check_price(price: float) -> float:
    if isinstance(price, bool) or not isinstance(price, int | float | np.number) or not 0 <= price < np.inf:
        raise DataError(f"price={price!r} must be a number of at least 0: what each customer pays at each renewal.")
    return float(price)
