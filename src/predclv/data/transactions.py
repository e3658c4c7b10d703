"""A purchase log, checked and brought to one form."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from predclv.data.checks import count_of, pick_column, quote_list, suggest
from predclv.data.dates import settle_dates
from predclv.data.frames import PANDAS, Backend, collect_counts, count_rows, open_frame, refuse_words
from predclv.data.money import MinorUnit
from predclv.data.options import LogOptions
from predclv.data.paths import is_path, open_path, reading, text_to_numbers
from predclv.data.quality import QualityNotes
from predclv.errors import DataError

__all__ = ["Log", "first_case", "read_log"]


@dataclass(frozen=True)
class Log:
    """A checked log.

    Attributes
    ----------
    rows : LazyFrame
        customer; date (a local date or datetime, never null); amount (float, finite; or whole numbers of the minor
        unit that was declared), where there is one; acquired, where there is one; carry_0, carry_1, ...
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
        as_text = options.customer_id, options.date, *([options.acquired] if options.acquired else []), *options.carry
        source = open_path(source, as_text)
    frame, backend = open_frame(source, "the log")
    frame, code = _pick_columns(frame, options)
    # An empty column may have no type, of which the next steps would complain instead.
    if from_path or frame.implementation is nw.Implementation.PANDAS:
        _refuse_empty(frame)
    frame = _settle_types(frame, options)
    fine = options.collapse == "none"
    label = f"date column {options.date!r}"
    frame = settle_dates(frame, "date", label, options.time_zone, options.date_format, fine=fine)
    if options.acquired is not None:
        label = f"acquired column {options.acquired!r}"
        frame = settle_dates(frame, "acquired", label, options.time_zone, options.date_format, may_be_dates=True)
    if from_path:
        frame = text_to_numbers(frame, ["customer"], fractions=False)
        frame = text_to_numbers(frame, [f"carry_{i}" for i in range(len(options.carry))])
    frame = _blank_ids_to_null(frame)
    counts = _count(frame)
    n_rows = counts["rows"]
    if n_rows == 0:
        _refuse_empty(frame)
    notes.add("read", "rows in the log", n_rows, n_rows, "rows")
    if counts["wordy"]:
        note = "kept; customers of that name, or lost nulls?"
        what = "rows whose customer_id is a word for null, such as 'nan'"
        notes.add("read", what, counts["wordy"], n_rows, "rows", note)
    frame = _settle_nulls(frame, counts, options, notes)
    if "currency" in counts:
        code = _one_currency(frame, options)
    if options.minor_unit is not None:
        frame = options.minor_unit.count(frame, str(options.amount))
    return Log(frame, PANDAS if from_path else backend, code, options.time_zone)


def first_case(frame: nw.LazyFrame[Any], unit: MinorUnit | None = None) -> str:
    """'customer 4, 1997-12-12, 26.48': the first row of a frame of cases, for a message; amounts are in `unit`."""
    head = frame.head(1).collect()
    said = []
    for name in ("customer", "date", "amount"):
        value = head[name][0] if name in head.columns and len(head) else None
        if value is None or pd.isna(value):
            continue
        if isinstance(value, dt.datetime) and value.time() == dt.time():
            value = value.date()
        if name == "amount":
            value = f"{value if unit is None else unit.to_money(value):g}"
        said.append(f"customer {value}" if name == "customer" else f"{value}")
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
        if not (isinstance(options.currency, str) and re.fullmatch("[A-Z]{3}", options.currency)):
            raise DataError(
                f"currency={options.currency!r} is neither a column of the log nor a code of three capitals such as "
                f"'USD'.{suggest(options.currency, available)} Columns are {quote_list(available)}."
            )
        code = options.currency
    columns = {internal: pick_column(option, name, available, "the log") for internal, (option, name) in wanted.items()}
    frame = frame.select(nw.col(name).alias(internal) for internal, name in columns.items())
    return frame, code


def _refuse_empty(frame: nw.LazyFrame[Any]) -> None:
    if len(frame.head(1).collect()) == 0:
        raise DataError("The log is empty: it has columns and no rows. Was everything filtered out before?")


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
            _refuse_empty(frame)
            refuse_words(frame, "amount", f"amount column {options.amount!r}")
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


def _blank_ids_to_null(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Nobody is called '' or ' ': what a join or an export leaves where an id is missing."""
    if frame.collect_schema()["customer"] != nw.String:
        return frame
    if frame.implementation is nw.Implementation.PANDAS:
        native: Any = frame.to_native()
        # Python's strings are slow to strip, so each one is looked at once.
        if not any(isinstance(name, str) and not name.strip() for name in native["customer"].unique()):
            return frame
    customer = nw.col("customer")
    return frame.with_columns(nw.when(customer.str.strip_chars() != "").then(customer).alias("customer"))


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
    if frame.collect_schema()["customer"] == nw.String:
        counted["wordy"] = nw.col("customer").is_in(_WORDS_FOR_NULL)
    sums = {name: flag.cast(nw.Int64).sum() for name, flag in counted.items()}
    return {"wordy": 0} | collect_counts(frame.select(rows=nw.len(), **sums))


_WORDS_FOR_NULL = ("nan", "NaN", "NAN", "none", "None", "NONE", "null", "Null", "NULL", "<NA>", "NaT")


def _settle_nulls(
    frame: nw.LazyFrame[Any], counts: dict[str, int], options: LogOptions, notes: QualityNotes
) -> nw.LazyFrame[Any]:
    total = counts["rows"]
    has_amount = "amount" in counts
    blank = " or blank" if frame.collect_schema()["customer"] == nw.String else ""
    problems = [
        ("customer", f"customer_id column {options.customer_id!r} is null{blank}", nw.col("customer").is_null()),
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
