"""Any segment of the customers: how many, what they will be worth, and what share of all value that is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predclv.decisions.segments.groups import Question, group_table
from predclv.models.estimates import Estimate
from predclv.models.valuation import portfolio_segments
from predclv.value import CLV

__all__ = ["value_by_segment"]


def value_by_segment(
    clv: CLV,
    rfm: Any,
    horizon: Any = "1 year",
    *,
    by: str,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    estimate: Estimate | None = None,
    n_draws: int | None = None,
) -> pd.DataFrame:
    """Say what the customers of each segment are worth, in all and each, and what share of the value they hold.

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases or contracts.
    rfm : RFMSummary or Subscriptions
    by : str
        A carried column.
    horizon, discount_rate, margin, level, estimate, n_draws
        As in `CLV.portfolio`, whose numbers these are.

    Returns
    -------
    pandas.DataFrame
        A row a segment, in order, and one of all: segment, customers, share_of_customers, expected_buyers,
        expected_clv, clv_low, clv_high (of the outcome), expected_clv_low, expected_clv_high (of the mean), mean_clv
        with mean_clv_low, mean_clv_high (an average customer's, of the mean), share_of_value with share_low, share_high
        (of the outcome: a draw's part of that draw's total, so that what moves all segments alike moves no share).

    Raises
    ------
    As `CLV.portfolio`.
    """
    names, codes = portfolio_segments(rfm, by)
    outlook = Question(clv, rfm, horizon, discount_rate, margin, level, estimate).outlook()
    return group_table(outlook, list(map(str, names)), codes, level, n_draws)
