"""RFMSummary: what a purchase log says of each customer, frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from predclv.data import compatible, rfm_checks
from predclv.data.checks import OWN_COLUMNS
from predclv.data.compatible import NOT_ASKED, NotAsked
from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.data.frames import PANDAS, Backend, nullable
from predclv.data.frozen import CopiedFrame, locked
from predclv.errors import DataError

if TYPE_CHECKING:
    from predclv.data.regularity import Regularity
    from predclv.kernels.collapse import Collapsed

__all__ = ["RFMSummary", "RepeatSpend"]

FloatArray = NDArray[np.float64]


class RepeatSpend(NamedTuple):
    """What a spend model learns from: repeat buyers with a positive mean spend.

    A row each, of which `RFMSummary.repeat_spend_weight` says how many customers it stands for; `n_left_out` counts
    customers.
    """

    frequency: FloatArray
    mean_spend: FloatArray
    n_left_out: int


@dataclass(frozen=True, eq=False, repr=False)
class RFMSummary:
    """Recency, frequency, age and spend of each customer, with the units and policies they were counted in.

    Made by `from_transactions` or `from_frame`; arrays are read-only and share one order of customers.

    Attributes
    ----------
    customer_id : (n_customers,) array
        Without duplicates.
    frequency : (n_customers,) int array
        Repeat purchases: the first is not counted.
    recency : (n_customers,) float array
        Time from the first purchase to the last, in `time_unit`; 0 for one-time buyers.
    T : (n_customers,) float array
        Age: time from the first purchase to `observation_end`, in `time_unit`; 0 is valid.
    monetary_value : (n_customers,) float array or None
        Mean spend of the repeat purchases, 0 for one-time buyers; None where no amounts were given.
    first_purchase : (n_customers,) datetime64 array or None
    log_itt : (n_customers,) float array or None
        Sum of the natural logarithms of the times between a customer's purchases, in `time_unit`; 0 for one-time
        buyers. None where it was not asked for: only models of regular buyers need it.
    weight : (n_rows,) int array or None
        How many customers a row stands for, from 1 on; None where each row is one customer. The other arrays are then
        of rows, too. Fits, scores and forecasts of rows count them; for the rest there is `expand`.
    carried : read-only mapping of str to (n_customers,) array
        Customer columns carried along, for segments and margins. Whole numbers and flags with gaps are objects with
        None, so that no digit is lost.
    time_unit : {"hour", "day", "week", "year"}
        Or what `opportunities` says.
    collapse : {"none", "hour", "day", "week", "month"} or None
        Which purchases counted as one; None where a ready table did not say.
    opportunities : {"year", "quarter", "month", "week", "day"} or None
        Where not None, nothing is measured but counted: T is how many opportunities to buy, periods of the calendar
        after that of the first purchase, a customer has had, `frequency` how many were used, `recency` the last one.
        Observation ends with a whole one. `BGBB` takes such a summary, the models of times do not.
    observation_end, observation_start : date, datetime or None
    currency : str or None
    returns : str or None
        Policy for negative amounts.
    quality : pandas.DataFrame
        What was dropped, merged, netted and set aside: step, what, count, total, unit, share, note, first_case. A
        copy, so that a change of it changes nothing here.
    backend : Backend
        The caller's dataframe library.

    Raises
    ------
    DataError
        The columns contradict each other or the definitions above.
    """

    customer_id: NDArray[Any]
    frequency: NDArray[np.int64]
    recency: FloatArray
    T: FloatArray
    monetary_value: FloatArray | None = None
    first_purchase: NDArray[np.datetime64] | None = None
    log_itt: FloatArray | None = None
    weight: NDArray[np.int64] | None = None
    carried: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    time_unit: str = "week"
    collapse: str | None = None
    observation_end: dt.date | None = None
    observation_start: dt.date | None = None
    currency: str | None = None
    returns: str | None = None
    opportunities: str | None = None
    quality: CopiedFrame = CopiedFrame()  # noqa: RUF009, a descriptor
    backend: Backend = PANDAS

    def __post_init__(self) -> None:
        labels = self.time_unit, self.collapse, self.returns, self.currency, self.carried, self.opportunities
        rfm_checks.check_labels(*labels)
        columns = rfm_checks.check_columns(
            self.customer_id, self.frequency, self.recency, self.T, self.monetary_value, self.time_unit
        )
        n = len(columns["frequency"])
        if self.opportunities is not None:
            object.__setattr__(self, "collapse", self.opportunities)
            rfm_checks.check_opportunities(*(columns[name] for name in ("customer_id", "frequency", "recency", "T")))
        if self.first_purchase is not None:
            columns["first_purchase"] = rfm_checks.check_dates("first_purchase", self.first_purchase, n)
        if self.log_itt is not None:
            gaps = columns["customer_id"], columns["frequency"], columns["recency"]
            columns["log_itt"] = rfm_checks.check_log_itt(*gaps, self.log_itt)
        if self.weight is not None:
            columns["weight"] = rfm_checks.check_weight(columns["customer_id"], self.weight)
        carried = {name: rfm_checks.check_length(name, column, n) for name, column in self.carried.items()}
        for name, column in columns.items():
            object.__setattr__(self, name, column)
        object.__setattr__(self, "carried", carried)
        self._lock()
        object.__setattr__(self, "observation_end", parse_moment("observation_end", self.observation_end))
        object.__setattr__(self, "observation_start", parse_moment("observation_start", self.observation_start))

    def _lock(self) -> None:
        for name in OWN_COLUMNS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, locked(getattr(self, name)))
        carried = MappingProxyType({name: locked(column) for name, column in self.carried.items()})
        object.__setattr__(self, "carried", carried)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "carried": dict(self.carried)}
        state.pop("collapsed", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock()

    @classmethod
    def from_transactions(
        cls,
        log: Any,
        *,
        customer_id: str = "customer_id",
        date: str = "date",
        amount: str | None = None,
        time_unit: str = "week",
        collapse: str = "day",
        observation_end: Any = None,
        observation_start: Any = None,
        acquired: str | None = None,
        carry: Sequence[str] = (),
        carry_conflict: str = "error",
        returns: str = "net",
        currency: str | None = None,
        time_zone: str | None = None,
        date_format: str | None = None,
        after_end: str = "set_aside",
        on_null: str = "error",
        regularity: bool = False,
        opportunities: str | None = None,
    ) -> RFMSummary:
        """Summarise a purchase log, one row a purchase (or a line of one).

        Parameters
        ----------
        log : pandas, polars (eager or lazy) or pyarrow frame, DuckDB relation, or path
            A path is a .csv or .parquet file or a folder of .parquet files. A lazy frame or a relation is aggregated
            by its own engine: only a row for each customer comes to memory.
        customer_id, date : str
            Columns. Dates are dates, datetimes, or text in ISO 8601 (another format: `date_format`).
        amount : str, optional
            Column of the money of each row; without it there is no spend model.
        time_unit : {"hour", "day", "week", "year"}
            The ruler of recency and T. A year is 365.25 days.
        collapse : {"none", "hour", "day", "week", "month"}
            Purchases of a customer within one such period are one purchase, dated at its start. Weeks start on Monday.
            With "none", every row is a purchase.
        observation_end : date, datetime or ISO text, optional
            As-of date. A date means that whole day. Left out, the last date in the log, with a warning.
        observation_start : date, datetime or ISO text, optional
            Customers who bought before it are left out and counted: the log may not know their first purchase.
        acquired : str, optional
            Column with each customer's true date of acquisition. Customers acquired before the log starts are left
            out and counted.
        carry : sequence of str
            Columns that say something constant about the customer, kept in `carried`. In a CSV file they are text,
            unless all of a column are numbers that lose nothing as such ('01' does).
        carry_conflict : {"error", "first", "last"}
            What to do where such a column changes within a customer: refuse, or take the value of the earliest or
            latest row (the smallest, where several rows share that moment).
        returns : {"net", "ignore", "error"}
            What a negative amount is. "net": it lowers the spend of the customer's purchase of the same period, else
            of the latest earlier one, and never makes or removes a purchase (see the notes).
        currency : str, optional
            A column, which must hold one currency, or a code such as "USD".
        time_zone : str, optional
            Zone whose calendar and clock count, for a column that knows time zones. Elapsed time is by that clock,
            so a day is a day, and with hours one that spans the change to summer time counts an hour too much.
        date_format : str, optional
            strptime format of dates that are text or whole numbers and not ISO 8601; refused for others.
        after_end : {"set_aside", "error"}
            What to do with rows after `observation_end`.
        on_null : {"error", "drop"}
            What to do with rows without a customer (null or blank), date or finite amount.
        regularity : bool
            Also sum up the logarithms of the times between purchases, as `log_itt`: what `regularity` reads. It takes a
            sort of all purchases.
        opportunities : {"year", "quarter", "month", "week", "day"}, optional
            Count opportunities instead of measuring times, as `BGBB` needs: the periods of the calendar after that of
            the first purchase, each used or not. Purchases within one count once, and their money is added up. One
            that `observation_end` cuts is none: observation ends with the last whole one, and `quality` says so.
            `time_unit` and `collapse` are then left out.

        Returns
        -------
        RFMSummary
            Sorted by `customer_id`.

        Raises
        ------
        DataError
            The message says where, how many of how many, the first case and the remedy.

        Warns
        -----
        ObservationEndWarning
            `observation_end` was left out.
        DataQualityWarning
            Nobody bought twice, or many customers appear just when the log starts.

        Notes
        -----
        Returns under "net". A row with a negative amount is a return and never a purchase. It is set against the
        customer's purchase in the same period of `collapse`, else against the latest earlier one. Where that is the
        first purchase, repeat spend stays as it is; else the customer's repeat spend falls by it. A return before any
        purchase is set aside. Repeat spend that returns make negative is 0. Each of these is counted in `quality`.
        """
        from predclv.data.options import LogOptions
        from predclv.data.summarize import summarize

        options = LogOptions(
            customer_id=customer_id,
            date=date,
            amount=amount,
            time_unit=time_unit,
            collapse=collapse,
            observation_end=observation_end,
            observation_start=observation_start,
            acquired=acquired,
            carry=carry,
            carry_conflict=carry_conflict,
            returns=returns,
            currency=currency,
            time_zone=time_zone,
            date_format=date_format,
            after_end=after_end,
            on_null=on_null,
            regularity=regularity,
            opportunities=opportunities,
        )
        return cls(**summarize(log, options).fields)

    @classmethod
    def from_frame(
        cls,
        table: Any,
        *,
        time_unit: str | None = None,
        customer_id: str | None = None,
        frequency: str = "frequency",
        recency: str = "recency",
        T: str = "T",
        monetary_value: str | None = None,
        first_purchase: str | None = None,
        log_itt: str | None = None,
        weight: str | None = None,
        carry: Sequence[str] = (),
        collapse: str | None = None,
        observation_end: Any = None,
        observation_start: Any = None,
        currency: str | None = None,
        opportunities: str | None = None,
    ) -> RFMSummary:
        """Take a ready table of one row a customer, or with `weight` of one row for several alike.

        Parameters
        ----------
        table : pandas, polars (eager or lazy) or pyarrow frame, DuckDB relation, or path
        time_unit : {"hour", "day", "week", "year"}
            Unit of recency and T; needed, unless `opportunities` is given.
        frequency, recency, T : str
            Columns, as defined in `RFMSummary`.
        customer_id, monetary_value, first_purchase, log_itt, weight : str, optional
            Columns. Left out, those of the same name where the table has them; customers without ids are numbered
            from 0. `monetary_value` and `log_itt` are 0 or null where frequency is 0. The index of a pandas table is a
            column where its name is the one looked for; an index of another name is refused where there are no ids.
        carry : sequence of str
            Further columns to keep.
        collapse, observation_end, observation_start, currency
            How the table was made, where known: kept, shown and compared.
        opportunities : {"year", "quarter", "month", "week", "day"}, optional
            What was counted, where recency and T are numbers of opportunities.

        Returns
        -------
        RFMSummary
            In the order of the table.

        Raises
        ------
        DataError
            The table contradicts itself.
        """
        from predclv.data.rfm_table import read_rfm_table

        unit = time_unit or opportunities
        if unit is None:
            raise DataError("Say in which unit recency and T are: time_unit='week', for instance.")
        names = {
            "customer_id": customer_id,
            "frequency": frequency,
            "recency": recency,
            "T": T,
            "monetary_value": monetary_value,
            "first_purchase": first_purchase,
            "log_itt": log_itt,
            "weight": weight,
        }
        columns, backend = read_rfm_table(table, names, carry)
        return cls(
            **columns,
            time_unit=unit,
            opportunities=opportunities,
            collapse=collapse,
            observation_end=observation_end,
            observation_start=observation_start,
            currency=currency,
            backend=backend,
        )

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns of `to_pandas`)."""
        optional = self.monetary_value, self.first_purchase, self.log_itt, self.weight
        return len(self), 4 + sum(column is not None for column in optional) + len(self.carried)

    @property
    def days_per_unit(self) -> float:
        """Days in one `time_unit`."""
        return DAYS_PER_UNIT[self.time_unit]

    @property
    def n_repeat_buyers(self) -> int:
        """Customers with at least one repeat purchase."""
        if self.weight is None:
            return int(np.count_nonzero(self.frequency))
        return int(self.weight[self.frequency > 0].sum())

    @property
    def n_customers(self) -> int:
        """Customers: as many as rows, or the sum of the weights."""
        return len(self) if self.weight is None else int(self.weight.sum())

    @property
    def mean_frequency(self) -> float:
        """Mean of `frequency` over customers."""
        return float(np.average(self.frequency, weights=self.weight))

    @property
    def mean_age(self) -> float:
        """Mean of `T` over customers."""
        return float(np.average(self.T, weights=self.weight))

    @cached_property
    def collapsed(self) -> Collapsed:
        """Distinct (x, t_x, T) with the customers of each, and which of them each row has (`inverse`)."""
        from predclv.kernels.collapse import collapse

        rows = collapse(self.frequency, self.recency, self.T, self.weight)
        inverse = None if rows.inverse is None else locked(rows.inverse)
        return type(rows)(locked(rows.x), locked(rows.t_x), locked(rows.T), locked(rows.weight), inverse)

    def __getitem__(self, rows: slice | ArrayLike | tuple[Any, Any]) -> RFMSummary:
        """Return the summary of some customers: a slice, positions, or a mask. A single position gives one row.

        Raises
        ------
        DataError
            Nobody is picked, somebody twice (a summary has one row a customer), or `rows` are no rows; a mask has
            another length.
        IndexError
            A position lies outside.
        """
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
            rows = rows[0]  # how scikit-learn indexes what is no frame
        picked = rfm_checks.check_rows(rows, len(self))
        return replace(self, **self._columns_of(picked))

    def pick(self, positions: NDArray[np.int64]) -> RFMSummary:
        """Return the summary of customers at distinct positions, as indexing does, without checking them again.

        What is picked from a summary that was checked needs no check, which for one customer costs most of the time.
        """
        some = object.__new__(type(self))
        some.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("collapsed", *OWN_COLUMNS)})
        some.__dict__.update(self._columns_of(positions))
        some._lock()
        return some

    def _columns_of(self, picked: slice | NDArray[Any]) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in OWN_COLUMNS}
        columns = {name: None if column is None else column[picked] for name, column in own.items()}
        return {**columns, "carried": {name: column[picked] for name, column in self.carried.items()}}

    def to_pandas(self) -> pd.DataFrame:
        """Return customer_id, frequency, recency, T, the carried columns and, where there are such, the others.

        They are monetary_value, first_purchase, log_itt and weight.
        """
        columns: dict[str, NDArray[Any]] = {
            "customer_id": self.customer_id,
            "frequency": self.frequency,
            "recency": self.recency,
            "T": self.T,
        }
        if self.monetary_value is not None:
            columns["monetary_value"] = self.monetary_value
        if self.first_purchase is not None:
            columns["first_purchase"] = self.first_purchase
        if self.log_itt is not None:
            columns["log_itt"] = self.log_itt
        if self.weight is not None:
            columns["weight"] = self.weight
        return pd.DataFrame(columns | {name: nullable(column) for name, column in self.carried.items()})

    def to_native(self, frame: pd.DataFrame | None = None) -> Any:
        """Give a pandas result, by default `to_pandas()`, in the library that this summary came from.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            A DuckDB relation gives a pyarrow Table, which any connection can query.
        """
        return self.backend.from_pandas(self.to_pandas() if frame is None else frame)

    def repeat_spend(self) -> RepeatSpend:
        """Return what a spend model learns from.

        Returns
        -------
        RepeatSpend
            `frequency` and `mean_spend` of the repeat buyers with a positive mean spend, and how many repeat buyers
            were left out because theirs is zero.

        Raises
        ------
        DataError
            The summary has no amounts.
        """
        if self.monetary_value is None:
            raise DataError(
                "The summary holds no spend. Give from_transactions amount='...' or from_frame monetary_value='...'."
            )
        repeat = self.frequency > 0
        used = repeat & (self.monetary_value > 0)
        columns = self.frequency[used].astype(np.float64), self.monetary_value[used]
        if self.weight is None:
            return RepeatSpend(*columns, int(np.count_nonzero(repeat) - np.count_nonzero(used)))
        return RepeatSpend(*columns, int(self.weight[repeat & ~used].sum()))

    @property
    def repeat_spend_weight(self) -> FloatArray | None:
        """How many customers each row of `repeat_spend` stands for; None where each is one."""
        if self.weight is None or self.monetary_value is None:
            return None
        return self.weight[(self.frequency > 0) & (self.monetary_value > 0)].astype(np.float64)

    def regularity(self) -> Regularity:
        """Estimate how regular customers buy: 1 at random; from about 1.5 on, models of random times serve badly.

        Returns
        -------
        Regularity
            The shape of the gaps that customers have in common, with an interval, and `advice` in words.

        Raises
        ------
        DataError
            The summary holds no times between purchases, or nobody made two repeat purchases.

        Examples
        --------
        >>> print(RFMSummary.from_transactions(log, regularity=True).regularity())  # doctest: +SKIP
        """
        from predclv.data.regularity import estimate_regularity

        columns = self.frequency.astype(np.float64), self.recency, self.require_log_itt()
        found = estimate_regularity(*columns, self.weight)
        if found is None:
            raise DataError("Nobody made two repeat purchases, so no customer has two gaps to compare.")
        return found

    def require_log_itt(self) -> FloatArray:
        """Return `log_itt`, or raise DataError where the summary was made without."""
        if self.log_itt is None:
            raise DataError(
                "The summary holds no times between purchases. Give from_transactions regularity=True, or from_frame a "
                "column log_itt: the sum of the natural logarithms of a customer's times between purchases, in the "
                "time unit."
            )
        return self.log_itt

    def require_repeat_buyers(self) -> None:
        """Raise DataError where no customer bought twice: nothing can be learnt about rates or dropout."""
        if self.n_repeat_buyers == 0:
            raise DataError(
                f"All {self.n_customers:,} customers bought once: the data say nothing of how often customers return "
                "or when they leave. Observe for longer, or check that customer_id names a customer and not an order."
            )

    def expand(self) -> RFMSummary:
        """Return the summary with one row a customer; itself, where there are no weights.

        A row of weight 3 becomes three, whose ids are its own as text with "#1", "#2" and "#3" behind; a row of weight
        1 gets "#1". Everything else is repeated as it is.

        Raises
        ------
        DataError
            Two ids print alike, such as 1 and '1'.
        """
        if self.weight is None:
            return self
        rows = np.repeat(np.arange(len(self)), self.weight)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(self.weight) - self.weight, self.weight) + 1
        ids = [f"{customer}#{number}" for customer, number in zip(self.customer_id[rows], copy, strict=True)]
        repeated: dict[str, Any] = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in ("frequency", "recency", "T", "monetary_value", "first_purchase", "log_itt")
        }
        carried = {name: column[rows] for name, column in self.carried.items()}
        return replace(self, customer_id=np.array(ids, dtype=object), **repeated, weight=None, carried=carried)

    def require_customers(self, what: str) -> None:
        """Raise DataError where rows stand for several customers, and `what` is about customers one by one."""
        if self.weight is not None:
            raise DataError(
                f"{what} takes one row a customer, and the {len(self):,} rows of this summary stand for "
                f"{self.n_customers:,} customers. Give it rfm.expand()."
            )

    def require_compatible(
        self,
        *,
        time_unit: str | NotAsked = NOT_ASKED,
        currency: str | NotAsked | None = NOT_ASKED,
        collapse: str | NotAsked | None = NOT_ASKED,
    ) -> None:
        """Raise UnitError where this summary was counted otherwise than a model's.

        Parameters
        ----------
        time_unit : str, optional
            What the model was fitted in.
        currency : str or None, optional
            Likewise; None where it was not known, which agrees with None alone.
        collapse : str or None, optional
            Likewise; None, here or there, agrees with all, for a ready table need not say.
        """
        if time_unit is not NOT_ASKED:
            compatible.check_time_unit(time_unit, self.time_unit)
        if currency is not NOT_ASKED:
            compatible.check_currency(currency, self.currency)
        if collapse is not NOT_ASKED:
            compatible.check_collapse(collapse, self.collapse)

    def __repr__(self) -> str:
        spend = "no spend" if self.monetary_value is None else f"spend{f' in {self.currency}' if self.currency else ''}"
        end = "" if self.observation_end is None else f", as of {self.observation_end}"
        collapse = "" if self.collapse is None else f", purchases merged by {self.collapse}"
        ruler = f"in {self.time_unit}s{collapse}"
        if self.opportunities is not None:
            ruler = f"in opportunities, one a {self.opportunities}"
        rows = "" if self.weight is None else f" in {len(self):,} rows"
        return (
            f"<RFMSummary: {self.n_customers:,} customers{rows}, {self.n_repeat_buyers:,} of them repeat buyers, "
            f"{ruler}{end}, {spend}>"
        )

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        head = self.to_pandas().head(5)._repr_html_()  # type: ignore[operator]
        return f"<p>{self.__repr__()[1:-1]}</p>{head}"
