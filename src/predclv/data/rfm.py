"""RFMSummary: what a purchase log says of each customer, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.data import compatible
from predclv.data.compatible import NOT_ASKED, NotAsked
from predclv.data.frozen import CopiedFrame
from predclv.data.rfm_readers import RFMReaders
from predclv.errors import DataError, see

if TYPE_CHECKING:
    from predclv.data.regularity import Regularity

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
class RFMSummary(RFMReaders):
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
    spend_apart : bool
        Whether a row's `monetary_value` is that of other customers than its recency and T, who have its frequency and
        carried columns in common: so `batch.collapse_customers` keeps rows few. Each is right by itself, which is all
        that fits read; forecasts of value, which take both together, refuse it.
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

    # Declared once more, for mypy reads an inherited descriptor of a dataclass as what the class gives, too.
    quality: CopiedFrame = CopiedFrame()  # noqa: RUF009, a descriptor

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
                + see("one-time buyers")
            )

    def require_customers(self, what: str) -> None:
        """Raise DataError where rows stand for several customers, and `what` is about customers one by one."""
        if self.weight is not None:
            raise DataError(
                f"{what} takes one row a customer, and the {len(self):,} rows of this summary stand for "
                f"{self.n_customers:,} customers. Give it rfm.expand()."
            )

    def require_joint_spend(self, what: str) -> None:
        """Raise DataError where a row's spend is not that of its history, and `what` takes both together."""
        if self.spend_apart:
            raise DataError(
                f"{what} takes history and spend of the same customers, and this collapsed summary, made for fits, "
                "keeps them apart. Give it the customers themselves; a table too large for memory goes to predclv "
                "score."
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

    def __str__(self) -> str:
        from predclv.data.summary_words import customers_in_words

        return "\n".join(customers_in_words(self))

    def _repr_html_(self) -> str:
        from predclv.data.summary_words import customers_in_words, lines_to_html

        return lines_to_html(customers_in_words(self), self[:5].to_pandas() if len(self) else None)
