"""A purchase log, checked and brought to one form."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from predclv.data.checks import check_option, count_of, pick_column, quote_list
from predclv.data.dates import COLLAPSES, settle_dates
from predclv.data.durations import check_time_unit, parse_moment
from predclv.data.frames import PANDAS, Backend, collect_counts, count_rows, open_frame
from predclv.data.paths import is_path, open_path, reading
from predclv.data.quality import QualityNotes
from predclv.errors import DataError

__all__ = ["Log", "LogOptions", "first_case", "read_log"]


@dataclass(frozen=True)
class LogOptions:
    """How a log is to be read: the arguments of `RFMSummary.from_transactions`, checked."""

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = None
    time_unit: str = "week"
    collapse: str = "day"
    observation_end: Any = None
    observation_start: Any = None
    acquired: str | None = None
    carry: Sequence[str] = ()
    carry_conflict: str = "error"
    returns: str = "net"
    currency: str | None = None
    time_zone: str | None = None
    date_format: str | None = None
    after_end: str = "set_aside"
    on_null: str = "error"

    def __post_init__(self) -> None:
        check_time_unit(self.time_unit)
        check_option("collapse", self.collapse, COLLAPSES)
        check_option("returns", self.returns, ("net", "ignore", "error"))
        check_option("carry_conflict", self.carry_conflict, ("error", "first", "last"))
        check_option("after_end", self.after_end, ("set_aside", "error"))
        check_option("on_null", self.on_null, ("error", "drop"))
        if isinstance(self.carry, str):
            raise DataError(f"carry={self.carry!r} must be a list of columns: [{self.carry!r}].")
        for name in ("observation_end", "observation_start"):
            object.__setattr__(self, name, parse_moment(name, getattr(self, name)))


@dataclass(frozen=True)
class Log:
    """A checked log.

    Attributes
    ----------
    rows : LazyFrame
        customer; date (a local date or datetime, never null); amount (float, finite), where there is one;
        acquired, where there is one; carry_0, carry_1, ...
    backend : Backend
    currency : str or None
    zone : str or None
        Zone that dates were converted to.
    """

    rows: nw.LazyFrame[Any]
    backend: Backend
    currency: str | None
    zone: str | None

    @property
    def has_amount(self) -> bool:
        """Whether there are amounts."""
        return "amount" in self.rows.collect_schema().names()

    @property
    def is_date(self) -> bool:
        """Whether dates hold no time of day."""
        return self.rows.collect_schema()["date"] == nw.Date


def read_log(source: Any, options: LogOptions, notes: QualityNotes) -> Log:
    """Check a log and bring its columns to one form.

    Raises
    ------
    DataError
        A column is missing or of the wrong type; ids, dates or amounts are null or unreadable; currencies are mixed;
        the log is empty.
    """
    with reading(source):
        return _read(source, options, notes)


def _read(source: Any, options: LogOptions, notes: QualityNotes) -> Log:
    from_path = is_path(source)
    if from_path:
        as_text = options.customer_id, options.date, *([options.acquired] if options.acquired else [])
        source = open_path(source, as_text)
    frame, backend = open_frame(source, "the log")
    frame, code = _pick_columns(frame, options)
    frame = settle_dates(frame, "date", f"date column {options.date!r}", options.time_zone, options.date_format)
    if options.acquired is not None:
        label = f"acquired column {options.acquired!r}"
        frame = settle_dates(frame, "acquired", label, options.time_zone, options.date_format)
    if from_path:
        frame = _undo_text_ids(frame)
    counts = _count(frame)
    n_rows = counts["rows"]
    if n_rows == 0:
        raise DataError("The log is empty: it has columns and no rows. Was everything filtered out before?")
    notes.add("read", "rows in the log", n_rows, n_rows, "rows")
    frame = _settle_nulls(frame, counts, options, notes)
    if "currency" in counts:
        code = _one_currency(frame, options)
    return Log(frame, PANDAS if from_path else backend, code, options.time_zone)


def first_case(frame: nw.LazyFrame[Any]) -> str:
    """'customer 4, 1997-12-12, 26.48': the first row of a frame of cases, for a message."""
    head = frame.head(1).collect()
    said = []
    for name in ("customer", "date", "amount"):
        value = head[name][0] if name in head.columns and len(head) else None
        if value is None or value != value:
            continue
        if isinstance(value, dt.datetime) and value.time() == dt.time():
            value = value.date()
        said.append(f"customer {value}" if name == "customer" else f"{value:g}" if name == "amount" else f"{value}")
    return ", ".join(said)


def _pick_columns(frame: nw.LazyFrame[Any], options: LogOptions) -> tuple[nw.LazyFrame[Any], str | None]:
    available = frame.collect_schema().names()
    wanted = {"customer": ("customer_id", options.customer_id), "date": ("date", options.date)}
    for internal, option in (("amount", options.amount), ("acquired", options.acquired)):
        if option is not None:
            wanted[internal] = (internal, option)
    wanted |= {f"carry_{i}": ("carry", name) for i, name in enumerate(options.carry)}
    code = None
    if options.currency in available:
        wanted["currency"] = ("currency", options.currency)
    elif options.currency is not None:
        if not re.fullmatch("[A-Z]{3}", str(options.currency)):
            pick_column("currency", options.currency, available, "the log (and it is no code such as 'USD')")
        code = options.currency
    columns = {internal: pick_column(option, name, available, "the log") for internal, (option, name) in wanted.items()}
    frame = frame.select(nw.col(name).alias(internal) for internal, name in columns.items())
    return _settle_types(frame, options), code


def _settle_types(frame: nw.LazyFrame[Any], options: LogOptions) -> nw.LazyFrame[Any]:
    if frame.implementation is nw.Implementation.PANDAS:
        frame = _mend_pandas_types(frame, options)
    schema = frame.collect_schema()
    plain = [
        nw.col(name).cast(nw.String)
        for name in schema.names()
        if schema[name] in (nw.Categorical, nw.Enum) or name == "currency"
    ]
    if "amount" in schema.names():
        if not schema["amount"].is_numeric():
            raise DataError(
                f"amount column {options.amount!r} holds {schema['amount']} values where numbers belong. "
                "Convert it first (mind decimal commas and currency signs)."
            )
        plain.append(nw.col("amount").cast(nw.Float64).fill_nan(None))
    if schema["customer"].is_nested():
        raise DataError(
            f"customer_id column {options.customer_id!r} holds {schema['customer']} values, which are no ids."
        )
    if schema["customer"].is_float():
        # NaN is null in pandas and a number elsewhere.
        plain.append(nw.col("customer").fill_nan(None))
    return frame.with_columns(*plain) if plain else frame


def _mend_pandas_types(frame: nw.LazyFrame[Any], options: LogOptions) -> nw.LazyFrame[Any]:
    """Settle what only pandas has: typed categories, and objects of several types in one column."""
    native: Any = frame.to_native()
    mended = {
        name: native[name].astype(native[name].cat.categories.dtype)
        for name in native.columns
        if isinstance(native[name].dtype, pd.CategoricalDtype)
    }
    if "amount" in native and pd.api.types.infer_dtype(native["amount"], skipna=True) == "decimal":
        mended["amount"] = native["amount"].astype(float)
    customers = native["customer"]
    if customers.dtype == object:
        kinds: dict[type, Any] = {}
        for value in customers[customers.notna()]:
            kinds.setdefault(type(value), value)
        if len(kinds) > 1:
            raise DataError(
                f"customer_id column {options.customer_id!r} mixes types: "
                f"{', '.join(f'{kind.__name__} ({value!r})' for kind, value in kinds.items())}. "
                "Make them one type, or the same customer may count twice."
            )
    return nw.from_native(native.assign(**mended)).lazy() if mended else frame


def _undo_text_ids(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Make a CSV file's ids whole numbers where each of them is one, written without leading zeros."""
    if frame.collect_schema()["customer"] != nw.String:
        return frame
    other = ~nw.col("customer").str.contains(r"^(?:0|[1-9]\d{0,17})$")
    if count_rows(frame.filter(~nw.col("customer").is_null()).filter(other)):
        return frame
    return frame.with_columns(nw.col("customer").cast(nw.Int64))


def _count(frame: nw.LazyFrame[Any]) -> dict[str, int]:
    """Rows, and how many of them are null or not finite, in one pass."""
    names = frame.collect_schema().names()
    counted: dict[str, nw.Expr] = {
        name: nw.col(name).is_null() for name in ("customer", "date", "amount", "currency") if name in names
    }
    if "amount" in names:
        known = ~nw.col("amount").is_null()
        finite = nw.when(known).then(nw.col("amount").is_finite()).otherwise(True)
        counted["infinite"] = ~finite
    sums = {name: flag.cast(nw.Int64).sum() for name, flag in counted.items()}
    return collect_counts(frame.select(rows=nw.len(), **sums))


def _settle_nulls(
    frame: nw.LazyFrame[Any], counts: dict[str, int], options: LogOptions, notes: QualityNotes
) -> nw.LazyFrame[Any]:
    total = counts["rows"]
    has_amount = "amount" in counts
    problems = [
        ("customer", f"customer_id column {options.customer_id!r} is null", nw.col("customer").is_null()),
        ("date", f"date column {options.date!r} is null", nw.col("date").is_null()),
    ]
    if has_amount:
        problems += [
            ("amount", f"amount column {options.amount!r} is null", nw.col("amount").is_null()),
            ("infinite", f"amount column {options.amount!r} is not finite", ~nw.col("amount").is_finite()),
        ]
    if not any(counts[key] for key, _, _ in problems):
        return frame
    for key, what, flag in problems:
        if counts[key] and options.on_null == "error":
            # Infinite amounts are looked for among known ones, because an engine may call null not finite.
            cases = frame.filter(~nw.col("amount").is_null()).filter(flag) if key == "infinite" else frame.filter(flag)
            raise DataError(
                f"{what} for {count_of(counts[key], total, 'rows')} (first: {first_case(cases) or 'a row of nulls'}). "
                "Mend them, or leave such rows out with on_null='drop'."
            )
    kept = frame.filter(~nw.col("customer").is_null() & ~nw.col("date").is_null())
    if has_amount:
        kept = kept.filter(~nw.col("amount").is_null()).filter(nw.col("amount").is_finite())
    n_kept = count_rows(kept)
    notes.add(
        "check",
        "rows without customer, date or finite amount, dropped",
        total - n_kept,
        total,
        "rows",
        "on_null='drop'",
    )
    if n_kept == 0:
        raise DataError(f"None of the {total:,} rows has a customer, a date and a finite amount.")
    return kept


def _one_currency(frame: nw.LazyFrame[Any], options: LogOptions) -> str:
    label = f"currency column {options.currency!r}"
    unknown = frame.filter(nw.col("currency").is_null())
    n_unknown = count_rows(unknown)
    if n_unknown:
        raise DataError(f"{label} is null for {n_unknown:,} rows (first: {first_case(unknown)}). Fill it.")
    found = frame.group_by("currency").agg(nw.len().alias("n")).sort("n", descending=True).collect()
    codes, sizes = found["currency"].to_list(), found["n"].to_list()
    if len(codes) > 1:
        other = first_case(frame.filter(nw.col("currency") == codes[1]))
        raise DataError(
            f"{label} mixes {len(codes)} currencies ({quote_list(codes)}): "
            f"{count_of(sum(sizes[1:]), sum(sizes), 'rows')} are not in {codes[0]!r} (first: {other}, {codes[1]}). "
            "Convert the amounts, or summarise each currency."
        )
    return str(codes[0])
