"""How a summary is made: from a purchase log, or from a ready table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from predclv.data.rfm_columns import RFMColumns
from predclv.errors import DataError

__all__ = ["RFMReaders"]


class RFMReaders(RFMColumns):
    """The two ways to an `RFMSummary`."""

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
        minor_unit: float | str | None = None,
    ) -> Self:
        """Summarise a purchase log, one row a purchase (or a line of one).

        Parameters
        ----------
        log : pandas, polars (eager or lazy), pyarrow or Spark frame, DuckDB relation, or path
            A path is a .csv or .parquet file or a folder of .parquet files. A lazy frame, a relation or a frame of
            Spark is aggregated by its own engine: only a row for each customer comes to memory. By
            `predclv.batch.summarize`, not even that does.
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
        minor_unit : float or str, optional
            The smallest amount of the currency: 0.01 for cents, 1 where there are none. Money is then added up in whole
            numbers of it, so that every engine finds the same; an amount that is no multiple of it, to a millionth
            of it, is an error. As floats, engines agree to 1e-12.

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
            minor_unit=minor_unit,
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
    ) -> Self:
        """Take a ready table of one row a customer, or with `weight` of one row for several alike.

        Parameters
        ----------
        table : pandas, polars (eager or lazy) or pyarrow frame, DuckDB relation, or path
        time_unit : {"hour", "day", "week", "year"}
            Unit of recency and T; needed, unless `opportunities` is given, or the table is Parquet that says it, as
            that of `predclv summarize` do.
        frequency, recency, T : str
            Columns, as defined in `RFMSummary`.
        customer_id, monetary_value, first_purchase, log_itt, weight : str, optional
            Columns. Left out, those of the same name where the table has them; customers without ids are numbered
            from 0. `monetary_value` and `log_itt` are 0 or null where frequency is 0. The index of a pandas table is a
            column where its name is the one looked for; an index of another name is refused where there are no ids.
        carry : sequence of str
            Further columns to keep.
        collapse, observation_end, observation_start, currency
            How the table was made, where known: kept, shown and compared. Those that a file says need not be given.
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
        UnitError
            The file says other units than those that are given.
        """
        from predclv.data.rfm_table import read_rfm_table
        from predclv.data.units import settle_units

        units = settle_units(
            table,
            time_unit=time_unit,
            collapse=collapse,
            opportunities=opportunities,
            observation_end=observation_end,
            observation_start=observation_start,
            currency=currency,
        )
        unit = units["time_unit"] or units["opportunities"]
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
            **{**units, "time_unit": unit},
            backend=backend,
        )
