"""What is said of groups of customers, whatever made them: customers, value with intervals, share of equity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.periods import parse_periods
from predclv.errors import DataError
from predclv.inference.posterior import check_level
from predclv.models.contracts.model import ContractModel
from predclv.models.estimates import Estimate
from predclv.models.outlook import Outlook
from predclv.models.valuation import portfolio_table
from predclv.value import CLV

__all__ = ["FEW", "Question", "group_table", "require_finite"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Customers below whom a group is too small to be spoken of as one.
FEW = 30

_COLUMNS = (
    "segment",
    "customers",
    "share_of_customers",
    "expected_buyers",
    "expected_clv",
    "clv_low",
    "clv_high",
    "expected_clv_low",
    "expected_clv_high",
    "mean_clv",
    "mean_clv_low",
    "mean_clv_high",
    "share_of_value",
    "share_low",
    "share_high",
)


@dataclass(frozen=True)
class Question:
    """What is asked of customers, with the options of `CLV.predict`.

    Attributes
    ----------
    clv : CLV
    data : RFMSummary or Subscriptions
    horizon, discount_rate, margin, level, estimate
        As in `CLV.predict`.
    """

    clv: CLV
    data: Any
    horizon: Any
    discount_rate: float
    margin: float | str
    level: float
    estimate: Estimate | None

    def outlook(self) -> Outlook:
        """Check everything, warn once, and return what answers."""
        if not isinstance(self.clv, CLV):
            raise TypeError(f"'clv' must be a fitted CLV. Got {type(self.clv).__name__}.")
        check_level(self.level)
        found = self.clv._valuation.outlook(
            self.data, self.horizon, discount_rate=self.discount_rate, margin=self.margin, estimate=self.estimate
        )
        if len(found.customer_id) == 0:
            raise DataError("There are no customers to speak of.")
        return found

    def settings(self) -> dict[str, Any]:
        """What was asked, to be kept with the answer."""
        model = self.clv.transactions_
        unit = model.fingerprint_.time_unit
        end = self.data.observation_end
        parsed = (
            parse_periods(self.horizon, unit, end)
            if isinstance(model, ContractModel)
            else model.parse_horizon(self.horizon, unit, end)
        )
        return {
            "horizon": parsed.label,
            "length": parsed.length,
            "time_unit": unit,
            "discount_rate": self.discount_rate,
            "margin": self.margin,
            "level": self.level,
            "currency": self.data.currency,
            "as_of": self.data.observation_end,
            "kind": model.KIND,
            "models": [type(one).__name__ for one in self.clv._fitted().values()],
        }


def group_table(
    outlook: Outlook, names: Sequence[str], codes: IntArray, level: float, n_draws: int | None = None
) -> pd.DataFrame:
    """A row a group, and one of all: customers, value with intervals, the mean customer's, and the share of equity.

    Parameters
    ----------
    outlook : Outlook
    names : sequence of str
    codes : (n_rows,) array
        Group of each row, from 0.
    level : float
    n_draws : int, optional

    Returns
    -------
    DataFrame
        segment, customers, share_of_customers, expected_buyers, expected_clv, clv_low, clv_high (of the outcome),
        expected_clv_low, expected_clv_high (of the mean), mean_clv with mean_clv_low, mean_clv_high (a customer's, of
        the mean), share_of_value with share_low, share_high (of the outcome, draw by draw).
    """
    sums, totals = outlook.totals(codes, len(names), n_draws)
    # Any name stands for "by groups".
    table = portfolio_table(names, sums, totals, by="", level=level, finite=bool(np.isfinite(outlook.length)))
    customers = table["customers"].to_numpy(dtype=np.float64)
    table["share_of_customers"] = customers / customers[-1]
    for name in ("", "_low", "_high"):
        total = table[f"expected_clv{name}"].to_numpy()
        table[f"mean_clv{name}"] = np.divide(total, customers, out=np.full(len(total), np.nan), where=customers > 0)
    return table[list(_COLUMNS)]


def require_finite(expected: FloatArray, customer_id: NDArray[Any]) -> FloatArray:
    """Return expected values, or raise DataError where some are infinite or no numbers."""
    wrong = ~np.isfinite(expected)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"The expected value is infinite or unknown for {wrong.sum():,} of {len(expected):,} customers (first: "
            f"customer {customer_id[first]}): the spend model has no mean for them. Fit it with method='map', whose "
            "priors keep q above 1."
        )
    return expected
