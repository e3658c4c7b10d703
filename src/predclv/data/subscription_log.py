"""From a log of subscriptions, one row each, to the columns of `Subscriptions`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_option, count_of, pick_column
from predclv.data.dates import settle_dates
from predclv.data.durations import parse_moment
from predclv.data.frames import PANDAS, column_to_numpy, open_frame, refuse_words
from predclv.data.paths import is_path, open_path, reading, text_to_numbers
from predclv.data.periods import check_period, count_renewals, renewal_date
from predclv.data.quality import QualityNotes
from predclv.data.subscription_checks import check_currency, check_labels
from predclv.errors import DataError

__all__ = ["SubscriptionOptions", "read_subscriptions"]

BoolArray = NDArray[np.bool_]
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class SubscriptionOptions:
    """How a log is to be read: the arguments of `Subscriptions.from_log`, checked."""

    customer_id: str
    start: str
    end: str
    price: str | None
    period: str
    observation_end: Any
    carry: Sequence[str]
    returning: str
    after_end: str
    on_null: str
    currency: str | None
    time_zone: str | None
    date_format: str | None

    def __post_init__(self) -> None:
        check_period(self.period)
        check_option("returning", self.returning, ("separate", "join", "error"))
        check_option("after_end", self.after_end, ("error", "cut"))
        check_option("on_null", self.on_null, ("error", "drop"))
        check_currency(self.currency)
        if isinstance(self.carry, str):
            raise DataError(f"carry={self.carry!r} must be a list of columns: [{self.carry!r}].")
        check_labels(self.currency, dict.fromkeys(self.carry))
        end = parse_moment("observation_end", self.observation_end)
        if end is None:
            raise DataError(
                "observation_end is missing. Give the as-of date, 'YYYY-MM-DD': without it nobody knows how long "
                "subscriptions without an end have been running."
            )
        if isinstance(end, dt.datetime):
            raise DataError(
                f"observation_end={self.observation_end!r} has a time of day; renewals are counted by day. Give a date."
            )
        object.__setattr__(self, "observation_end", end)


def read_subscriptions(source: Any, options: SubscriptionOptions) -> dict[str, Any]:
    """Read, check and count: the arguments of `Subscriptions`."""
    notes = QualityNotes()
    with reading(source):
        table, backend = _read(source, options)
    notes.add("read", "subscriptions in the log", len(table), len(table), "rows")
    table = _settle_nulls(table, options, notes)
    _check_dates(table, options)
    table = _cut(table, options, notes)
    table = _in_order(table, options)
    _refuse_overlaps(table)
    table = _settle_returning(table, options, notes)
    return {**_columns(table, options, notes), "quality": notes.to_pandas(), "backend": backend}


def _read(source: Any, options: SubscriptionOptions) -> tuple[pd.DataFrame, Any]:
    """Rows as pandas: customer; start and end (datetime64, by day); price; carry_0, ..."""
    from_path = is_path(source)
    if from_path:
        source = open_path(source, (options.customer_id, options.start, options.end, *options.carry))
    frame, backend = open_frame(source, "the log")
    available = frame.collect_schema().names()
    wanted = {"customer": ("customer_id", options.customer_id), "start": ("start", options.start)}
    wanted["end"] = ("end", options.end)
    if options.price is not None:
        wanted["price"] = ("price", options.price)
    wanted |= {f"carry_{i}": ("carry", name) for i, name in enumerate(options.carry)}
    columns = {own: pick_column(option, name, available, "the log") for own, (option, name) in wanted.items()}
    frame = frame.select(nw.col(name).alias(own) for own, name in columns.items())
    if len(frame.head(1).collect()) == 0:
        raise DataError("The log is empty: it has columns and no rows. Was everything filtered out before?")
    if "price" in columns and not frame.collect_schema()["price"].is_numeric():
        refuse_words(frame, "price", f"price column {options.price!r}")
    dates = ["start"]
    # A column of nothing but nulls need not be one of dates: nobody has left.
    if int(frame.select(nw.col("end").count()).collect().item()):
        dates.append("end")
    for name in dates:
        label = f"{name} column {getattr(options, name)!r}"
        frame = settle_dates(frame, name, label, options.time_zone, options.date_format, may_be_dates=name == "end")
    if from_path:
        frame = text_to_numbers(frame, ["customer"], fractions=False)
        frame = text_to_numbers(frame, [f"carry_{i}" for i in range(len(options.carry))])
    found = frame.collect()
    table = {name: column_to_numpy(found[name]) for name in columns}
    for name in ("start", "end"):
        table[name] = (
            _to_days(table[name]) if name in dates else np.full(len(found), np.datetime64("NaT"), dtype="datetime64[D]")
        )
    # As objects, for pandas would keep days as seconds.
    return pd.DataFrame({name: pd.Series(column) for name, column in table.items()}), PANDAS if from_path else backend


def _to_days(dates: NDArray[Any]) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = pd.to_datetime(pd.Series(dates)).to_numpy().astype("datetime64[D]")
    return days


def _settle_nulls(table: pd.DataFrame, options: SubscriptionOptions, notes: QualityNotes) -> pd.DataFrame:
    customer = table["customer"]
    blank = np.zeros(len(table), dtype=bool)
    if not pd.api.types.is_numeric_dtype(customer):
        blank = np.array([isinstance(name, str) and not name.strip() for name in customer])
    without = {"customer_id": customer.isna() | blank, "start": table["start"].isna()}
    if options.on_null == "error":
        for name, missing in without.items():
            if missing.any():
                raise DataError(
                    f"{name} column {getattr(options, name)!r} is null{' or blank' if name == 'customer_id' else ''} "
                    f"for {count_of(int(missing.sum()), len(table), 'rows')} (first: {_case(table[missing])}). Mend "
                    "them, or leave such rows out with on_null='drop'."
                )
        return table
    missing = without["customer_id"] | without["start"]
    notes.add(
        "check", "rows without customer or start, dropped", int(missing.sum()), len(table), "rows", "on_null='drop'"
    )
    if missing.all():
        raise DataError(f"None of the {len(table):,} rows has a customer and a start.")
    return table[~missing]


def _check_dates(table: pd.DataFrame, options: SubscriptionOptions) -> None:
    end, as_of = options.observation_end, np.datetime64(options.observation_end, "D")
    before = table["end"] < table["start"]
    _refuse(
        table,
        before,
        "end before they start",
        "Are the columns swapped? An end on the day of the start is a contract that never came to a renewal.",
    )
    if options.price is not None:
        bad = ~np.isfinite(table["price"].to_numpy(dtype=np.float64, na_value=np.nan)) | (table["price"] < 0).to_numpy()
        _refuse(
            table, pd.Series(bad, index=table.index), "have a price that is null, negative or not finite", "Mend it."
        )
    if options.after_end == "error":
        remedy = "Give a later as-of date, or after_end='cut' to look from it."
        _refuse(table, table["start"] > as_of, f"start after observation_end={str(end)!r}", remedy)
        _refuse(table, table["end"] > as_of, f"end after observation_end={str(end)!r}", remedy)


def _refuse(table: pd.DataFrame, bad: pd.Series[bool], what: str, remedy: str) -> None:
    if bad.any():
        raise DataError(
            f"{count_of(int(bad.sum()), len(table), 'subscriptions')} {what} (first: {_case(table[bad])}). {remedy}"
        )


def _case(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    said = [] if pd.isna(row["customer"]) else [f"customer {row['customer']}"]
    said += [f"{name} {row[name]:%Y-%m-%d}" for name in ("start", "end") if not pd.isna(row[name])]
    said += [f"price {row['price']:g}"] if "price" in row and not pd.isna(row["price"]) else []
    return ", ".join(said) or "a row of nulls"


def _cut(table: pd.DataFrame, options: SubscriptionOptions, notes: QualityNotes) -> pd.DataFrame:
    as_of = np.datetime64(options.observation_end, "D")
    late, ends = table["start"] > as_of, table["end"] > as_of
    note = f"as of {options.observation_end}"
    notes.add("window", "subscriptions after observation_end, set aside", int(late.sum()), len(table), "rows", note)
    cut = ends & ~late
    notes.add(
        "window", "subscriptions that end after observation_end, running", int(cut.sum()), len(table), "rows", note
    )
    if late.all():
        raise DataError(
            f"All {len(table):,} subscriptions start after observation_end={str(options.observation_end)!r}."
        )
    return table.assign(end=table["end"].mask(cut))[~late]


def _in_order(table: pd.DataFrame, options: SubscriptionOptions) -> pd.DataFrame:
    try:
        code = pd.factorize(table["customer"], sort=True)[0]
    except TypeError as error:
        raise DataError(
            f"customer_id column {options.customer_id!r} mixes types that cannot be sorted: {error}. Make them one."
        ) from error
    end = table["end"].to_numpy().astype("datetime64[D]")
    # Of two on one day the one that is over comes first.
    order = np.lexsort((np.where(np.isnat(end), 0, end.astype(np.int64)), np.isnat(end), table["start"], code))
    return table.assign(code=code).iloc[order].reset_index(drop=True)


def _refuse_overlaps(table: pd.DataFrame) -> None:
    code, start, end = (table[name].to_numpy() for name in ("code", "start", "end"))
    same = code[1:] == code[:-1]
    overlapping = same & (np.isnat(end[:-1]) | (end[:-1] > start[1:]))
    if overlapping.any():
        i = int(np.argmax(overlapping))
        raise DataError(
            f"{count_of(int(overlapping.sum()), len(table), 'subscriptions')} start before the same customer's one "
            f"before has ended (first: {_case(table.iloc[[i]])}; then {_case(table.iloc[[i + 1]])}). One customer has "
            "one subscription at a time: make an id for each line of product, or mend the ends."
        )


def _settle_returning(table: pd.DataFrame, options: SubscriptionOptions, notes: QualityNotes) -> pd.DataFrame:
    """Apply the policy for customers with several subscriptions."""
    code, start, end = (table[name].to_numpy() for name in ("code", "start", "end"))
    again = np.r_[False, code[1:] == code[:-1]]
    n = int(again.sum())
    if n and options.returning == "error":
        i = int(np.argmax(again))
        raise DataError(
            f"{count_of(n, len(table), 'subscriptions')} are not the first of their customer (first: "
            f"{_case(table.iloc[[i]])}). Give returning='separate' to take each as a contract of its own, or 'join'."
        )
    joined = again & np.r_[False, start[1:] - end[:-1] <= _DAY] if options.returning == "join" else np.zeros_like(again)
    note = f"returning={options.returning!r}"
    notes.add("contracts", "subscriptions joined to the one before", int(joined.sum()), len(table), "rows", note)
    notes.add("contracts", "contracts of customers who came back", n - int(joined.sum()), len(table), "rows", note)
    if not joined.any():
        return table
    contract = np.cumsum(~joined) - 1
    last = np.r_[np.flatnonzero(np.diff(contract)), len(table) - 1]
    kept = table.take(last).reset_index(drop=True)
    return kept.assign(start=start[~joined])


def _columns(table: pd.DataFrame, options: SubscriptionOptions, notes: QualityNotes) -> dict[str, Any]:
    as_of = np.datetime64(options.observation_end, "D")
    start, end = (table[name].to_numpy().astype("datetime64[D]") for name in ("start", "end"))
    ended, today = ~np.isnat(end), np.full(len(table), as_of)
    # Made are the renewals before the end; one that is due on the as-of date counts for who still runs.
    tenure = count_renewals(start, np.where(ended, end - _DAY, today), options.period)
    due = renewal_date(start, tenure + 1, options.period)
    lost = ended & (due <= as_of)
    since = renewal_date(start, tenure, options.period)
    part = (due - today) / (due - since)
    early = ended & ~lost
    n = len(table)
    note = "as undecided to a fit as those who run"
    notes.add("contracts", "contracts that ended before their renewal came up", int(early.sum()), n, "contracts", note)
    notes.add("contracts", "contracts", n, n, "contracts")
    notes.add("contracts", "contracts that run", int((~ended).sum()), n, "contracts")
    return {
        "customer_id": table["customer"].to_numpy(),
        "tenure": tenure,
        "ended": ended,
        "lost": lost,
        "weight": np.ones(n),
        "next_renewal": np.where(ended, 1.0, part),
        "price": table["price"].to_numpy(dtype=np.float64) if options.price is not None else None,
        "start": start,
        "carried": {name: table[f"carry_{i}"].to_numpy() for i, name in enumerate(options.carry)},
        "period": options.period,
        "observation_end": options.observation_end,
        "currency": options.currency,
    }
