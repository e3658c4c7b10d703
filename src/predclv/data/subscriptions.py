"""Subscriptions: how often each contract has been renewed, and which have ended; frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from predclv.data import rfm_checks, subscription_checks
from predclv.data.durations import parse_moment
from predclv.data.frames import PANDAS, Backend, nullable
from predclv.data.frozen import CopiedFrame, locked
from predclv.data.periods import DAYS_PER_PERIOD, check_period

__all__ = ["Subscriptions"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Subscriptions:
    """How often each contract has been renewed, whether it has ended, and at what price it runs.

    Made by `from_log`, `from_cohorts` or `from_frame`; arrays are read-only and share one order of contracts.

    At the end of each period a contract is renewed, or ends for good. A contract that was renewed k times has tenure k
    and is in its period k + 1, the first included. Each renewal that came up by the as-of date says something: that it
    was made, or that it was declined (`lost`). A renewal still to come says nothing yet, also where the customer has
    already given notice: those who will not give it are not known either, and to count the ones alone would make
    customers look less loyal than they are.

    Attributes
    ----------
    customer_id : (n,) array
        As given; a customer who came back appears once for each contract.
    tenure : (n,) int array
        Renewals made.
    ended : (n,) bool array
        Whether the contract does not run any more at the as-of date.
    lost : (n,) bool array
        Whether it ended at a renewal that had come up by then: what a fit counts as leaving. `ended` without `lost`
        has left within the period.
    weight : (n,) float array
        Customers that a row stands for: 1 in a log.
    price : (n,) float array or None
        Paid at each renewal.
    next_renewal : (n,) float array
        Part of a period, above 0 and at most 1, from the as-of date to the contract's next renewal; 1 where only whole
        periods are known. Of ended contracts it says nothing.
    start : (n,) datetime64 array or None
    carried : read-only mapping of str to (n,) array
        Columns carried along, for segments and margins.
    period : {"day", "week", "month", "quarter", "year"}
    observation_end : date or None
        As-of date, whose whole day counts.
    currency : str or None
    quality : pandas.DataFrame
        What was dropped, joined, cut and set aside; as in `RFMSummary`. A copy.
    backend : Backend
        The caller's dataframe library.

    Raises
    ------
    DataError
        The columns contradict each other or the definitions above.
    """

    customer_id: NDArray[Any]
    tenure: NDArray[np.int64]
    ended: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    weight: FloatArray
    next_renewal: FloatArray
    price: FloatArray | None = None
    start: NDArray[np.datetime64] | None = None
    carried: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    period: str = "month"
    observation_end: dt.date | None = None
    currency: str | None = None
    quality: CopiedFrame = CopiedFrame()  # noqa: RUF009, a descriptor
    backend: Backend = PANDAS

    def __post_init__(self) -> None:
        check_period(self.period)
        subscription_checks.check_labels(self.currency, self.carried)
        columns = subscription_checks.check_columns(
            self.customer_id, self.tenure, self.ended, self.lost, self.weight, self.next_renewal, self.price
        )
        n = len(columns["tenure"])
        if self.start is not None:
            columns["start"] = rfm_checks.check_dates("start", self.start, n)
        carried = {name: rfm_checks.check_length(name, column, n) for name, column in self.carried.items()}
        for name, column in columns.items():
            object.__setattr__(self, name, locked(column))
        object.__setattr__(self, "carried", carried)
        self._lock()
        object.__setattr__(self, "observation_end", parse_moment("observation_end", self.observation_end))

    def _lock(self) -> None:
        for name in subscription_checks.COLUMNS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, locked(getattr(self, name)))
        carried = MappingProxyType({name: locked(column) for name, column in self.carried.items()})
        object.__setattr__(self, "carried", carried)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "carried": dict(self.carried)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock()

    @classmethod
    def from_log(
        cls,
        log: Any,
        *,
        customer_id: str = "customer_id",
        start: str = "start",
        end: str = "end",
        price: str | None = None,
        period: str = "month",
        observation_end: Any = None,
        carry: Sequence[str] = (),
        returning: str = "separate",
        after_end: str = "error",
        on_null: str = "error",
        currency: str | None = None,
        time_zone: str | None = None,
        date_format: str | None = None,
    ) -> Subscriptions:
        """Count the renewals in a log of subscriptions, one row a subscription.

        Parameters
        ----------
        log : pandas, polars (eager or lazy) or pyarrow frame, DuckDB relation, or path
        customer_id, start, end : str
            Columns. Start and end are dates, datetimes, of which the day counts, or text in ISO 8601. The end is the
            first day without the contract, or the last with it: both give the same renewals. Null: it still runs;
            make null what stands for that, such as 9999-12-31.
        price : str, optional
            Column of what is paid for each period; without it there is no value.
        period : {"month", "week", "quarter", "year", "day"}
            What is renewed. Months are those of the calendar from the start.
        observation_end : date or ISO text
            As-of date; that whole day is observed.
        carry : sequence of str
            Further columns to keep.
        returning : {"separate", "join", "error"}
            What the next subscription of a customer is: a contract of its own, with a tenure from 0; or, with "join",
            the continuation of the one before it where that ended on the day, or the day before, it starts (a change
            of plan), with the later price and columns; or nothing that may be.
        after_end : {"error", "cut"}
            What to do with what lies after `observation_end`. "cut" looks from that date: later subscriptions are set
            aside, and those that end later still run.
        on_null : {"error", "drop"}
            What to do with rows without customer or start.
        currency : str, optional
            A code such as "USD".
        time_zone, date_format : str, optional
            As in `RFMSummary.from_transactions`.

        Returns
        -------
        Subscriptions
            Ordered by customer and start.

        Raises
        ------
        DataError
            The message says where, how many of how many, the first case and the remedy: ends before starts, dates
            after the as-of date, null ids or starts, overlapping subscriptions of a customer, bad prices.

        Notes
        -----
        A renewal that is due on the as-of date counts: a contract that still runs has made it. A contract of 31 January
        is due on 28 February, 31 March, ... Whoever ends within a period made the renewals before.
        """
        from predclv.data.subscription_log import SubscriptionOptions, read_subscriptions

        options = SubscriptionOptions(
            customer_id=customer_id,
            start=start,
            end=end,
            price=price,
            period=period,
            observation_end=observation_end,
            carry=carry,
            returning=returning,
            after_end=after_end,
            on_null=on_null,
            currency=currency,
            time_zone=time_zone,
            date_format=date_format,
        )
        return cls(**read_subscriptions(log, options))

    @classmethod
    def from_cohorts(
        cls,
        table: Any,
        *,
        cohort: str | None = None,
        values: str = "counts",
        size: float | Mapping[Any, float] | None = None,
        price: float | None = None,
        period: str = "year",
        observation_end: Any = None,
        currency: str | None = None,
    ) -> Subscriptions:
        """Take the customers of one or more cohorts who are left after 0, 1, 2, ... renewals.

        Parameters
        ----------
        table : sequence, Series or frame
            A single cohort as a sequence: its size, then who is left after each renewal. Several as a frame with a row
            each and a column a period, the first of them the size; cells that are not observed yet are empty.
        cohort : str, optional
            Column that names the cohorts; by default the index of a pandas frame, else they are numbered.
        values : {"counts", "percent"}
            What the cells hold.
        size : number or mapping of cohort to number, optional
            Customers at the start, for percentages: survivors are then rounded to whole customers. Without it a cohort
            counts as 100 customers, with a warning: estimates hold, their errors are those of so many.
        price : float, optional
            Paid at each renewal, by everyone.
        period, observation_end, currency
            As in `from_log`. Each cohort is observed up to its last renewal in the table, and its next one is due a
            whole period later.

        Returns
        -------
        Subscriptions
            A row for each group of customers who left together, or are left, with their number as `weight`; the cohort
            is carried as "cohort".

        Raises
        ------
        DataError
            Survivors rise, are negative or (counts) not whole, or a cell is missing between others.

        Warns
        -----
        DataQualityWarning
            Percentages without a size.
        """
        from predclv.data.cohorts import read_cohorts

        fields = read_cohorts(table, cohort=cohort, values=values, size=size, price=price)
        return cls(**fields, period=period, observation_end=observation_end, currency=currency)

    @classmethod
    def from_frame(
        cls,
        table: Any,
        *,
        customer_id: str | None = None,
        tenure: str = "tenure",
        ended: str = "ended",
        lost: str | None = None,
        weight: str | None = None,
        next_renewal: str | None = None,
        price: str | None = None,
        start: str | None = None,
        carry: Sequence[str] = (),
        period: str = "month",
        observation_end: Any = None,
        currency: str | None = None,
    ) -> Subscriptions:
        """Take a ready table of one row a contract, such as `to_pandas` gives.

        Parameters
        ----------
        table : pandas, polars (eager or lazy) or pyarrow frame, DuckDB relation, or path
        tenure, ended : str
            Columns, as defined in `Subscriptions`; flags may be written as true and false, or as 1 and 0.
        customer_id, lost, weight, next_renewal, price, start : str, optional
            Columns. Left out, those of the same name where the table has them. Without them contracts are numbered
            from 0, all that ended did so at a renewal that had come up, each row is one contract, and the next renewal
            is a whole period away.
        carry : sequence of str
            Further columns to keep.
        period, observation_end, currency
            As in `from_log`.

        Returns
        -------
        Subscriptions
            In the order of the table.

        Raises
        ------
        DataError
            The table contradicts itself.
        """
        from predclv.data.subscription_table import read_subscription_table

        names = {
            "customer_id": customer_id,
            "tenure": tenure,
            "ended": ended,
            "lost": lost,
            "weight": weight,
            "next_renewal": next_renewal,
            "price": price,
            "start": start,
        }
        columns, backend = read_subscription_table(table, names, carry)
        return cls(**columns, period=period, observation_end=observation_end, currency=currency, backend=backend)

    def __len__(self) -> int:
        return len(self.tenure)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns of `to_pandas`)."""
        return len(self), len(self.to_pandas().columns)

    @property
    def n_customers(self) -> float:
        """Contracts that the rows stand for."""
        return float(self.weight.sum())

    @property
    def days_per_period(self) -> float:
        """Days in one period, on average."""
        return DAYS_PER_PERIOD[self.period]

    def __getitem__(self, rows: slice | ArrayLike | tuple[Any, Any]) -> Subscriptions:
        """Return some rows: a slice, positions, or a mask. A single position gives one row.

        Raises
        ------
        DataError, IndexError
            As for `RFMSummary`.
        """
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
            rows = rows[0]  # how scikit-learn indexes what is no frame
        picked = rfm_checks.check_rows(rows, len(self))
        own = {
            name: getattr(self, name)[picked] for name in subscription_checks.COLUMNS if getattr(self, name) is not None
        }
        return replace(self, **own, carried={name: column[picked] for name, column in self.carried.items()})

    def observed_retention(self) -> pd.DataFrame:
        """Who came to each renewal, and who renewed: the data behind a retention curve.

        Returns
        -------
        DataFrame
            period (from 0 to the last renewal that anyone came to), at_risk, renewed (NaN at 0, as is retention),
            retention, survival: the product of the shares so far, by Kaplan and Meier.
        """
        from predclv.kernels.contracts.likelihood import count_by_renewal

        stayed, left = count_by_renewal(self.tenure.astype(np.float64), self.lost.astype(np.float64), self.weight)
        came = stayed + left
        n = int(np.count_nonzero(came))  # those who came to a renewal came to all before it
        share = stayed[:n] / came[:n]
        return pd.DataFrame(
            {
                "period": np.arange(n + 1),
                "at_risk": np.r_[np.nan, came[:n]],
                "renewed": np.r_[np.nan, stayed[:n]],
                "retention": np.r_[np.nan, share],
                "survival": np.cumprod(np.r_[1.0, share]),
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return customer_id, tenure, ended, lost, weight, next_renewal, price and start where known, and the rest."""
        columns = {name: getattr(self, name) for name in subscription_checks.COLUMNS if getattr(self, name) is not None}
        return pd.DataFrame(columns | {name: nullable(column) for name, column in self.carried.items()})

    def to_native(self, frame: pd.DataFrame | None = None) -> Any:
        """Give a pandas result, by default `to_pandas()`, in the library that the log came from; see `RFMSummary`."""
        return self.backend.from_pandas(self.to_pandas() if frame is None else frame)

    def __repr__(self) -> str:
        running = float(self.weight[~self.ended].sum())
        end = "" if self.observation_end is None else f", as of {self.observation_end}"
        price = "no prices" if self.price is None else f"prices{f' in {self.currency}' if self.currency else ''}"
        return (
            f"<Subscriptions: {self.n_customers:,.0f} contracts, {running:,.0f} of them running, renewed by the "
            f"{self.period}{end}, {price}>"
        )

    def __str__(self) -> str:
        from predclv.data.summary_words import subscriptions_in_words

        return "\n".join(subscriptions_in_words(self))

    def _repr_html_(self) -> str:
        from predclv.data.summary_words import lines_to_html, subscriptions_in_words

        return lines_to_html(subscriptions_in_words(self), self[:5].to_pandas() if len(self) else None)
