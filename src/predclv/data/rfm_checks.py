"""What the columns of a summary must satisfy, each violation with its own message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data import opportunities as opportunities_module
from predclv.data.checks import check_carry, check_option, count_of
from predclv.data.dates import COLLAPSES
from predclv.data.durations import check_time_unit
from predclv.errors import DataError

__all__ = [
    "check_columns",
    "check_dates",
    "check_labels",
    "check_length",
    "check_log_itt",
    "check_opportunities",
    "check_rows",
    "check_weight",
    "refuse_zone",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Tables printed with few digits may put recency above T by a rounding error; that much is mended.
ROUNDING = 1e-9


# Beyond it, floats skip whole numbers.
MOST_PURCHASES = 2**53


def check_labels(
    time_unit: object,
    collapse: object,
    returns: object,
    currency: object,
    carried: Mapping[str, Any],
    opportunities: object = None,
) -> None:
    """Raise DataError where what says how a summary was counted is none of what is known."""
    if opportunities is None:
        check_time_unit(time_unit)
        if collapse is not None:
            check_option("collapse", collapse, COLLAPSES)
    else:
        unit = opportunities_module.check_opportunities(opportunities)
        for name, given in (("time_unit", time_unit), ("collapse", collapse)):
            if given not in (unit, None):
                raise DataError(
                    f"{name}={given!r} and opportunities={unit!r}: opportunities are their own ruler, and purchases "
                    f"within one are one. Leave {name!r} out."
                )
    if returns is not None:
        check_option("returns", returns, ("net", "ignore", "error"))
    if not (currency is None or (isinstance(currency, str) and currency.strip())):
        raise DataError(f"currency={currency!r} is no currency. Give a code such as 'USD', or leave it out.")
    check_carry(tuple(carried))


def check_columns(
    customer_id: Any, frequency: Any, recency: Any, T: Any, monetary_value: Any, time_unit: str
) -> dict[str, NDArray[Any]]:
    """Return copies of the columns with their types settled, or raise DataError at the first violation."""
    count = _to_float("frequency", frequency)
    n = len(count)
    if n == 0:
        raise DataError("The summary has no customers. Was everything filtered out before?")
    ids = check_length("customer_id", customer_id, n)
    last, age = (_to_float(name, column, n) for name, column in (("recency", recency), ("T", T)))
    _check_ids(ids)
    for name, column in (("frequency", count), ("recency", last), ("T", age)):
        _refuse(ids, column, ~np.isfinite(column), f"{name!r} is null or not finite", "Fill or drop them.")
        _refuse(ids, column, column < 0, f"{name!r} is negative", _NEGATIVE[name])
    _refuse(
        ids, count, np.floor(count) != count, "'frequency' is no whole number", "It counts purchases after the first."
    )
    _refuse(
        ids, count, count > MOST_PURCHASES, "'frequency' is beyond counting", "It counts purchases after the first."
    )
    _check_recency(ids, count, last, age, time_unit)
    columns: dict[str, NDArray[Any]] = {
        "customer_id": ids,
        "frequency": count.astype(np.int64),
        "recency": last,
        "T": age,
    }
    if monetary_value is not None:
        columns["monetary_value"] = _check_spend(ids, count, monetary_value)
    return columns


_NEGATIVE = {
    "frequency": "It counts purchases after the first, so one-time buyers have 0.",
    "recency": "It is the time from the first purchase to the last, so it is at least 0.",
    "T": "It is the time from the first purchase to the as-of date. Does observation_end precede first purchases?",
}


def check_length(name: str, column: Any, n: int) -> NDArray[Any]:
    """Return a copy as a 1-d array of n items, or raise DataError."""
    array = np.array(column)
    if array.shape != (n,):
        raise DataError(f"{name!r} has shape {array.shape} where 'frequency' has ({n},).")
    return array


def check_log_itt(ids: NDArray[Any], frequency: NDArray[Any], recency: FloatArray, log_itt: Any) -> FloatArray:
    """Return a copy of the sums of log times between purchases, or raise DataError where they cannot be such."""
    count = frequency.astype(np.float64)
    logs = _to_float("log_itt", log_itt, len(count))
    once = count == 0
    logs[once & np.isnan(logs)] = 0.0
    definition = "It is the sum of the natural logarithms of the times between a customer's purchases, in the time unit"
    _refuse(ids, logs, ~np.isfinite(logs), "'log_itt' is null or not finite", f"{definition}.")
    _refuse(ids, logs, once & (logs != 0), "'log_itt' is not 0 where 'frequency' is 0", f"{definition}.")
    # Of times that add up to recency, the sum of logarithms is largest where all are equal.
    mean = np.divide(recency, count, out=np.ones_like(recency), where=~once)
    most = count * np.log(np.maximum(mean, 1e-300))
    above = ~once & (logs > most + 1e-6 * count)
    what = "'log_itt' is larger than times between purchases that add up to 'recency' allow"
    _refuse(ids, logs, above, what, f"{definition}. Are both in the same unit?")
    return logs


def check_opportunities(ids: NDArray[Any], frequency: NDArray[Any], recency: FloatArray, T: FloatArray) -> None:
    """Raise DataError where recency, T and frequency are no counts of opportunities had and used."""
    for name, column in (("T", T), ("recency", recency)):
        remedy = (
            "Opportunities are counted: T is how many a customer has had, recency the last one used, 0 for none. From "
            "a log, RFMSummary.from_transactions(..., opportunities='year') counts them, and so does backtest."
        )
        _refuse(ids, column, np.floor(column) != column, f"{name!r} is no whole number of opportunities", remedy)
    more = frequency.astype(np.float64)
    what = "'frequency' exceeds 'recency', the number of opportunities until the last one used"
    remedy = "An opportunity is used or not: purchases within one count once, and the first purchase not at all."
    _refuse(ids, more, more > recency, what, remedy)


def check_weight(ids: NDArray[Any], weight: Any) -> NDArray[np.int64]:
    """Return a copy of how many customers each row stands for, or raise DataError where these are no counts."""
    count = _to_float("weight", weight, len(ids))
    remedy = "It is how many customers a row stands for: leave out rows of none, and rename a column that is not meant."
    _refuse(ids, count, ~np.isfinite(count), "'weight' is null or not finite", remedy)
    _refuse(ids, count, (count < 1) | (np.floor(count) != count), "'weight' is no whole number from 1 on", remedy)
    if count.sum() > MOST_PURCHASES:
        raise DataError(f"'weight' adds up to {count.sum():.4g} customers, which is beyond counting.")
    return count.astype(np.int64)


def check_dates(name: str, column: Any, n: int) -> NDArray[np.datetime64]:
    """Return a copy as n datetimes, or raise DataError where it holds something else."""
    array = check_length(name, column, n)
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]")
    kind = pd.api.types.infer_dtype(array, skipna=True)
    if kind not in ("date", "datetime", "datetime64", "string", "empty"):
        raise DataError(f"{name!r} holds {kind} values where dates belong. Convert them to dates first.")
    given = pd.Series(array, dtype=object)
    try:
        dates = pd.to_datetime(given, format="ISO8601", errors="coerce")
    except ValueError as error:
        raise DataError(f"{name!r} cannot be read as dates: {error}.") from error
    unread = (dates.isna() & given.notna()).to_numpy()
    if unread.any():
        raise DataError(
            f"{name!r} cannot be read as a date for {count_of(int(unread.sum()), n, 'customers')} (first: "
            f"{array[int(np.argmax(unread))]!r}). Text is read as ISO 8601, '1997-09-30'; convert other dates first."
        )
    refuse_zone(name, dates.dtype)
    return dates.to_numpy().astype("datetime64[us]")


def refuse_zone(name: str, dtype: Any) -> None:
    """Raise DataError for datetimes that know their zone: a first purchase is a day of the calendar that counts."""
    zone = getattr(dtype, "tz", None) or getattr(dtype, "time_zone", None)
    if zone is not None:
        raise DataError(f"{name!r} knows time zones ({zone}). Convert it to local dates first.")


def check_rows(rows: Any, n: int) -> slice | NDArray[Any]:
    """Return what picks rows of n, or raise DataError where it picks nobody, somebody twice, or nothing known."""
    if isinstance(rows, slice):
        if not range(*rows.indices(n)):
            raise DataError(f"No customer is picked: {rows} of {n:,} rows.")
        return rows
    picked = np.atleast_1d(np.asarray(rows))
    if picked.size == 0 or (picked.dtype == bool and not picked.any()):
        raise DataError(f"No customer is picked: an empty list or a mask of nothing but False, for {n:,} rows.")
    if picked.ndim != 1 or picked.dtype.kind not in "biu":
        raise DataError(
            f"A summary is indexed by positions, a mask or a slice, not by {rows!r}. Its columns are attributes."
        )
    if picked.dtype == bool and len(picked) != n:
        raise DataError(f"The mask has {len(picked):,} items and the summary {n:,} customers.")
    if picked.dtype != bool and len(np.unique(np.where(picked < 0, picked + n, picked))) < len(picked):
        raise DataError("A customer is picked twice. A summary has one row a customer; pick from its columns instead.")
    return picked


def _to_float(name: str, column: Any, n: int | None = None) -> FloatArray:
    _refuse_no_numbers(name, np.asarray(column))
    try:
        array = np.array(column, dtype=np.float64)
    except (TypeError, ValueError):
        try:
            # Nullable columns hold pd.NA, which numpy cannot turn into NaN by itself.
            array = np.array(pd.to_numeric(pd.Series(column)).to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            raise DataError(f"{name!r} holds {np.asarray(column).dtype} values where numbers belong.") from None
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise DataError(f"{name!r} has shape {array.shape} where one value a customer belongs.")
    return array


def _refuse_no_numbers(name: str, array: NDArray[Any]) -> None:
    """Refuse flags, text, dates and spans of time, all of which numpy would turn into floats of its own making."""
    kind = array.dtype.kind
    if kind == "O":
        inferred = pd.api.types.infer_dtype(array.ravel(), skipna=True)
        if inferred in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
            return
    elif kind in "iuf":
        return
    else:
        inferred = str(array.dtype)
    hint = " Convert spans of time to numbers of the time unit." if "timedelta" in inferred else ""
    raise DataError(f"{name!r} holds {inferred} values where numbers belong.{hint}")


def _check_ids(ids: NDArray[Any]) -> None:
    missing = pd.isna(ids)
    if missing.any():
        where = int(np.argmax(missing))
        raise DataError(
            f"'customer_id' is null for {count_of(int(missing.sum()), len(ids), 'rows')} (first: row {where}). "
            "Give every customer an id, or drop those rows."
        )
    if _surely_distinct(ids):
        return
    repeated = pd.Series(ids).duplicated().to_numpy()
    if repeated.any():
        first = ids[int(np.argmax(repeated))]
        raise DataError(
            f"{count_of(int(repeated.sum()), len(ids), 'rows')} repeat a customer_id (first: customer {first}). "
            "A summary has one row a customer; a log of purchases goes to RFMSummary.from_transactions."
        )


def _surely_distinct(ids: NDArray[Any]) -> bool:
    """Whether ids are seen to differ without hashing them: sorted, or whole numbers in a small range."""
    try:
        if bool((ids[1:] > ids[:-1]).all()):
            return True
    except TypeError:
        return False
    if ids.dtype.kind not in "iu":
        return False
    low, high = int(ids.min()), int(ids.max())
    if high - low >= 8 * len(ids):
        return False
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[ids - low] = True
    return int(np.count_nonzero(seen)) == len(ids)


def _check_recency(ids: NDArray[Any], count: FloatArray, last: FloatArray, age: FloatArray, time_unit: str) -> None:
    above = last > age
    if above.any():
        late = last > age * (1 + ROUNDING) + ROUNDING
        if late.any():
            i = int(np.argmax(late))
            raise DataError(
                f"'recency' exceeds 'T' for {count_of(int(late.sum()), len(ids), 'customers')} "
                f"(first: customer {ids[i]}, {last[i]:.6g} > {age[i]:.6g} {time_unit}s). "
                "Does observation_end precede the last transaction?"
            )
        np.minimum(last, age, out=last)
    _refuse(
        ids,
        last,
        (count == 0) & (last > 0),
        "'recency' is above 0 where 'frequency' is 0",
        "A one-time buyer's first purchase is the last, so recency is 0. Does 'frequency' count the first purchase "
        "of the others?",
    )


def _check_spend(ids: NDArray[Any], count: FloatArray, monetary_value: Any) -> FloatArray:
    spend = _to_float("monetary_value", monetary_value, len(count))
    once = count == 0
    spend[once & np.isnan(spend)] = 0.0
    _refuse(
        ids,
        spend,
        ~np.isfinite(spend),
        "'monetary_value' is null or not finite for repeat buyers",
        "It is the mean spend of repeat purchases.",
    )
    _refuse(
        ids,
        spend,
        spend < 0,
        "the mean spend 'monetary_value' is negative",
        "Net returns against purchases, or leave those customers out.",
    )
    # Only repeat purchases count, so what a table holds for one-time buyers (often the first purchase) says nothing.
    spend[once] = 0.0
    return spend


def _refuse(ids: NDArray[Any], column: FloatArray, bad: BoolArray, what: str, remedy: str) -> None:
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            f"{what}: {count_of(int(bad.sum()), len(ids), 'customers')} "
            f"(first: customer {ids[i]}, {column[i]:.6g}). {remedy}"
        )
