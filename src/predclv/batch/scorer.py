"""Batches of RFM rows, or of contracts, in, batches of scores out: what every engine runs.

A scored row is a pure function of the model, the options and that row, bit for bit: whatever the size of the batches,
the rows beside it and their order.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.batch.contract_forecasts import ContractForecasts
from predclv.batch.contract_rows import ContractNeeds, ContractRows, read_contract_rows
from predclv.batch.row_forecasts import RowForecasts
from predclv.batch.rows import REASONS, Needs, Rows, read_rows, reason_column
from predclv.data.checks import quote_list, suggest
from predclv.data.columns import check_margin
from predclv.data.durations import Horizon, parse_moment
from predclv.data.periods import parse_periods
from predclv.errors import DataError, FitError, ObservationEndWarning, warn
from predclv.forecast.customers import COUNT_COLUMNS, VALUE_COLUMNS
from predclv.forecast.value_tables import MOST_BYTES
from predclv.inference.posterior import check_level
from predclv.models.contracts.inputs import horizon_rate
from predclv.models.contracts.model import ContractModel
from predclv.models.customer_table import Request
from predclv.models.estimates import Estimate, choose_theta
from predclv.models.horizons import parse_discount_rate, warn_long_horizon
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["BLOCK_ROWS", "Scorer", "in_blocks"]

#: Rows worked at a time, by default: they bound the memory and change no result.
BLOCK_ROWS = 262_144

_WHOLE = ("purchases_low", "purchases_high")
_NO_COUNTS = REASONS.index("frequency, recency and T are no counts of opportunities")
_NO_NUMBER = REASONS.index("the forecast is not a number")


class Scorer:
    """Score RFM rows, or contracts, with a fitted model, batch by batch.

    Parameters
    ----------
    model : CLV, TransactionModel or ContractModel
        Fitted; a model alone gives the columns on purchases, or on renewals.
    horizon : str, number, Timedelta or date
        As in `CLV.predict`; an end date, or months, need `observation_end`.
    discount_rate, margin, level, estimate
        As in `CLV.predict`; `margin` is a number or a column of the rows.
    columns : sequence of str, optional
        Which columns of the per-customer table are wanted; the others are not worked out. All by default.
    observation_end : str, date or datetime, optional
        As-of date of the rows; by default that of the fit, with a warning where the horizon depends on it.
    block_rows : int
        Rows worked at a time: more of them share more work and take more memory.
    table_bytes : int
        Memory that tables of value may take from block to block; with less, some are worked out again.

    Attributes
    ----------
    input_columns : tuple of str
        Columns that are read; others may be there.
    time_unit : str
        Unit of recency and T.
    schema : pyarrow.Schema
        Columns that are given, after customer_id.
    n_scored : int
        Rows scored so far.
    n_outside : int
        Of these, how many lie outside twice the range of the fit, as `CLV.predict` warns of.
    rejected : Counter of str
        Rows split off so far, by reason.

    Raises
    ------
    TypeError
        The model is of another kind, or its covariates are a ColumnTransformer.
    ValueError, DataError
        An option means nothing, or a column is unknown.

    Notes
    -----
    Rows are taken one by one: an id that comes twice is scored twice, as it comes. Whether ids are unique is for who
    holds the whole table to say (`predclv score` does, within bounded memory). Of contracts it is not asked: a customer
    may have had several.

    Rows of contracts are those of `Subscriptions.to_pandas`: tenure, ended, next_renewal and, for value, price.

    With covariates, customers of one pattern of them share tables as all do without. Where in the fit most patterns
    were a customer's alone, the interval of value is worked out customer by customer, at milliseconds each.
    """

    def __init__(
        self,
        model: CLV | TransactionModel | ContractModel,
        horizon: Any = "1 year",
        *,
        discount_rate: float = 0.10,
        margin: float | str = 1.0,
        level: float = 0.9,
        estimate: Estimate | None = None,
        columns: Sequence[str] | None = None,
        observation_end: Any = None,
        block_rows: int = BLOCK_ROWS,
        table_bytes: int = MOST_BYTES,
    ) -> None:
        if not isinstance(model, CLV | TransactionModel | ContractModel):
            raise TypeError(f"'model' must be a fitted CLV, transaction or contract model. Got {type(model).__name__}.")
        check_is_fitted(model)
        self._model = model
        self._transactions: TransactionModel | ContractModel = model.transactions_ if isinstance(model, CLV) else model
        self._fitted = self._transactions.fingerprint_
        as_of = self._fitted.observation_end if observation_end is None else observation_end
        moment = parse_moment("observation_end", as_of)
        parsed = self._parse(horizon, moment)
        if observation_end is None and moment is not None:
            self._warn_of_as_of(horizon, moment)
        wanted = _check_columns(columns, isinstance(model, CLV))
        if not isinstance(model, CLV) and not math.isfinite(parsed.length):
            raise ValueError("Without value the horizon must be finite: purchases may have no finite mean.")
        delta = self._rate(discount_rate, parsed)
        self._request = Request(parsed.length, delta, check_level(level), estimate, wanted)
        choose_theta(self._transactions.posterior_, estimate)  # refuses an unknown estimate
        self._margin = 1.0 if isinstance(margin, str) else check_margin(margin)
        asks_value = bool(set(wanted) & set(VALUE_COLUMNS))
        by_column = margin if isinstance(margin, str) and asks_value else None
        self._block_rows = _check_whole("block_rows", block_rows)
        most = _check_whole("table_bytes", table_bytes)
        self._needs: Needs
        self._forecasts: RowForecasts | ContractForecasts
        if isinstance(self._transactions, ContractModel):
            self._needs = ContractNeeds(asks_value, by_column, _segments(model))
            self._forecasts = ContractForecasts(cast("CLV | ContractModel", model), self._request)
        else:
            covariates = getattr(self._transactions, "covariates_", None)
            known = {} if covariates is None else covariates.columns
            self._needs = Needs(asks_value, by_column, _segments(model), known)
            self._forecasts = RowForecasts(cast("CLV | TransactionModel", model), self._request, most)
        self.n_scored, self.n_outside, self.rejected = 0, 0, Counter[str]()
        warn_long_horizon(parsed, self._fitted.longest_age, self._fitted.time_unit)

    def _parse(self, horizon: Any, as_of: dt.date | None) -> Horizon:
        """The horizon in the model's own time."""
        if isinstance(self._transactions, ContractModel):
            return parse_periods(horizon, self.time_unit, as_of)
        return self._transactions.parse_horizon(horizon, self.time_unit, as_of)

    def _warn_of_as_of(self, horizon: Any, moment: dt.date) -> None:
        """Say which as-of date rows are taken to have, where the horizon depends on it."""
        try:
            self._parse(horizon, None)
        except DataError:
            warn(
                f"horizon={horizon!r} counts from the as-of date of the rows, which nothing tells: taken is that of "
                f"the fit, {moment}. Give observation_end.",
                ObservationEndWarning,
            )

    def _rate(self, discount_rate: float, horizon: Horizon) -> float:
        """The continuous discount rate in the model's own time."""
        if isinstance(self._transactions, ContractModel):
            return horizon_rate(discount_rate, horizon.length, self.time_unit)
        return parse_discount_rate(discount_rate, horizon, self.time_unit)

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Columns that are read."""
        return self._needs.columns

    @property
    def time_unit(self) -> str:
        """Unit of recency and T; of contracts, what is renewed."""
        return self._fitted.time_unit

    @property
    def model(self) -> CLV | TransactionModel | ContractModel:
        """What rows are scored with."""
        return self._model

    @property
    def range_of_fit(self) -> tuple[int, float]:
        """Most purchases and longest age of a customer of the fit."""
        return self._fitted.most_purchases, self._fitted.longest_age

    @property
    def unique_ids(self) -> bool:
        """Whether a customer has one row; a customer may have had several contracts."""
        return not isinstance(self._transactions, ContractModel)

    @property
    def needs(self) -> Needs:
        """What is read, and how it is checked."""
        return self._needs

    @property
    def schema(self) -> pa.Schema:
        """Columns that are given, after customer_id."""
        finite = math.isfinite(self._request.horizon)
        return pa.schema(
            [
                pa.field(name, pa.int64() if name in _WHOLE and finite else pa.float64(), nullable=False)
                for name in self._request.columns
            ]
        )

    def schema_for(self, rows: pa.Schema) -> pa.Schema:
        """Schema of the scores of rows of a schema: their customer_id, then `schema`."""
        self._needs.check(rows)
        kind = rows.field("customer_id").type
        # A column of nulls alone has no type that its values, of which none is scored, might have.
        kind = pa.string() if pa.types.is_null(kind) else kind
        return pa.schema([pa.field("customer_id", kind, nullable=False), *self.schema])

    def quarantine_schema(self, rows: pa.Schema) -> pa.Schema:
        """Schema of rows split off: as they came, and the reason."""
        return pa.schema([pa.field("reason", pa.string(), nullable=False), *(field for field in rows)])

    def score(
        self, batches: Iterable[pa.RecordBatch], quarantine: Callable[[pa.Table], object] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the scores of the rows that can be scored, in their order.

        Parameters
        ----------
        batches : iterable of pyarrow.RecordBatch
            With `input_columns`, all of one schema.
        quarantine : callable of pyarrow.Table, optional
            Takes the rows that cannot be scored: a first column "reason", then the row as it came.

        Raises
        ------
        DataError
            Columns are missing or hold no numbers; or rows cannot be scored and there is no `quarantine`.
        """
        for block in in_blocks(batches, self._block_rows):
            scores, rest = self.split(block)
            if rest.num_rows:
                if quarantine is None:
                    raise DataError(_refusal(rest, block.num_rows))
                quarantine(rest)
            yield from scores.to_batches()

    def split(
        self, table: pa.Table, also_rejected: NDArray[np.integer[Any]] | None = None, original: pa.Table | None = None
    ) -> tuple[pa.Table, pa.Table]:
        """Score a table in one piece; return the scores, and the rows that cannot be scored with their reasons.

        Parameters
        ----------
        table : pyarrow.Table
        also_rejected : (n_rows,) integer array, optional
            Codes in `rows.REASONS` of what the caller knows against rows; 0 for nothing. A row's own faults come first.
        original : pyarrow.Table, optional
            The rows as they came, where `table` is made from them, to give back those that cannot be scored.
        """
        schema = self.schema_for(table.schema)
        rows = self._read(table)
        reason = rows.reason
        if also_rejected is not None:
            reason = np.where(reason == 0, also_rejected, reason)
        columns = {field.name: np.zeros(table.num_rows, field.type.to_pandas_dtype()) for field in self.schema}
        which = np.flatnonzero(reason == 0)
        if which.size:
            self._fill(rows, which, columns, reason)
        good = reason == 0
        arrays = [table["customer_id"], *columns.values()]
        if not good.all():
            kept = pa.array(good)
            arrays = [arrays[0].filter(kept), *(column[good] for column in columns.values())]
        arrays[0] = arrays[0].cast(schema.field("customer_id").type)
        source = table if original is None else original
        rest = source.filter(pa.array(~good)).add_column(0, "reason", reason_column(reason[~good], self._needs.reasons))
        self._count(rows, good, reason)
        return pa.table(arrays, schema=schema), rest.cast(self.quarantine_schema(source.schema))

    def _read(self, table: pa.Table) -> Rows | ContractRows:
        """A table's columns, its rows judged one by one."""
        if isinstance(self._needs, ContractNeeds):
            return read_contract_rows(table, self._needs, self._margin)
        rows = read_rows(table, self._needs, self._margin)
        assert isinstance(self._transactions, TransactionModel)
        if self._transactions.bindings.counts_opportunities:
            whole = (np.floor(rows.T) == rows.T) & (np.floor(rows.recency) == rows.recency)
            rows.reason[(rows.reason == 0) & ~(whole & (rows.frequency <= rows.recency))] = _NO_COUNTS
        return rows

    def _count(self, rows: Rows | ContractRows, good: NDArray[np.bool_], reason: NDArray[np.int16]) -> None:
        self.n_scored += int(good.sum())
        self.n_outside += int((rows.beyond(self._fitted) & good).sum())
        self.rejected.update(
            {self._needs.reasons[code]: int(n) for code, n in enumerate(np.bincount(reason, minlength=1)) if code and n}
        )

    def _fill(
        self,
        rows: Rows | ContractRows,
        which: NDArray[np.int64],
        columns: dict[str, NDArray[Any]],
        reason: NDArray[np.int16],
    ) -> None:
        """Score some rows; those without an answer get a reason."""
        try:
            found = self._forecasts.columns(cast(Any, rows), which, self._needs.spend)
        except FitError:
            # An interval of counts beyond all bounds: found by halves, for the others have their answers.
            if which.size == 1:
                reason[which] = _NO_NUMBER
                return
            for half in np.array_split(which, 2):
                self._fill(rows, half, columns, reason)
            return
        for name, column in found.items():
            columns[name][which] = column
            if column.dtype.kind == "f" and (math.isfinite(self._request.horizon) or name in VALUE_COLUMNS):
                reason[which[np.isnan(column)]] = _NO_NUMBER


def _check_columns(columns: Sequence[str] | None, with_value: bool) -> tuple[str, ...]:
    known = (*COUNT_COLUMNS, *VALUE_COLUMNS) if with_value else COUNT_COLUMNS
    if columns is None:
        return known
    if isinstance(columns, str):
        raise ValueError(f"columns={columns!r} must be a list of columns: [{columns!r}].")
    wanted = [name for name in columns if name != "customer_id"]
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"{name!r} is no column of the forecast.{suggest(name, known)} There are {quote_list(known)}."
            )
    if not wanted:
        raise ValueError(f"'columns' names nothing to forecast. There are {quote_list(known)}.")
    return tuple(name for name in known if name in wanted)


def _check_whole(option: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{option!r} must be a whole number from 1 on. Got {value!r}.")
    return value


def _segments(model: CLV | TransactionModel | ContractModel) -> dict[str, list[str]]:
    """Columns that say which segment a row is in, and the segments that every model of it knows."""
    found: dict[str, list[str]] = {}
    parts = [getattr(model, name) for name in ("transactions_", "spend_") if hasattr(model, name)]
    for one in parts if isinstance(model, CLV) else (model,):
        if one.segments_ and one.segment is not None:
            known = found.get(one.segment, list(one.segments_))
            found[one.segment] = [name for name in known if name in one.segments_]
    return found


def in_blocks(batches: Iterable[pa.RecordBatch], n: int) -> Iterator[pa.Table]:
    """Tables of n rows, the last of what is left."""
    waiting: list[pa.RecordBatch] = []
    have = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, n - have)
            waiting.append(part)
            have += part.num_rows
            start += part.num_rows
            if have == n:
                yield pa.Table.from_batches(waiting)
                waiting, have = [], 0
    if have:
        yield pa.Table.from_batches(waiting)


def _refusal(rest: pa.Table, n: int) -> str:
    reasons = Counter(rest["reason"].to_pylist())
    first, customer = rest["reason"][0].as_py(), rest["customer_id"][0].as_py()
    more = f", for {len(reasons)} reasons in all" if len(reasons) > 1 else ""
    return (
        f"{rest.num_rows:,} of {n:,} rows cannot be scored{more} (first: customer {customer}, {first}). Mend them, or "
        "say where they go: quarantine=."
    )
