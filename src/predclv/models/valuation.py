"""What every way to value customers offers, and the table of a portfolio that all of them fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import segments
from predclv.errors import DataError
from predclv.forecast import portfolio
from predclv.forecast.value_path import ValuePath
from predclv.models.estimates import Estimate
from predclv.models.outlook import Outlook

__all__ = ["THREE_YEARS_IN_DAYS", "TOTAL", "Valuation", "portfolio_segments", "portfolio_table", "seed_of_part"]

#: Name of the row of all customers in a portfolio.
TOTAL = "existing customers"

#: From then on value counts as late.
THREE_YEARS_IN_DAYS = 3 * 365.25


class Valuation(Protocol):
    """Fitted models that say what customers are worth, whatever they are fitted on; `CLV` explains the options."""

    def score(self, data: Any) -> float:
        """Mean log-likelihood at the estimate."""
        ...

    def predict(
        self,
        data: Any,
        horizon: Any,
        *,
        discount_rate: float,
        margin: float | str,
        level: float,
        estimate: Estimate | None,
    ) -> Any:
        """Columns of each customer."""
        ...

    def portfolio(
        self,
        data: Any,
        horizon: Any,
        *,
        by: str | None,
        discount_rate: float,
        margin: float | str,
        level: float,
        estimate: Estimate | None,
        n_draws: int | None,
    ) -> pd.DataFrame:
        """Totals by segment and in all."""
        ...

    def outlook(
        self, data: Any, horizon: Any, *, discount_rate: float, margin: float | str, estimate: Estimate | None
    ) -> Outlook:
        """Customers, one by one, and a horizon, checked: for what is asked of groups."""
        ...

    def new_customer(
        self,
        horizon: Any,
        *,
        segment: str | Mapping[str, str] | None,
        covariates: Mapping[str, Any] | None,
        include_first: bool,
        price: float | None,
        discount_rate: float,
        margin: float,
        level: float,
        estimate: Estimate | None,
    ) -> pd.DataFrame:
        """Columns of a customer about to be won."""
        ...

    def new_customer_path(
        self,
        horizon: Any,
        *,
        segment: str | Mapping[str, str] | None,
        covariates: Mapping[str, Any] | None,
        include_first: bool,
        price: float | None,
        discount_rate: float,
        margin: float,
        estimate: Estimate | None,
        n_times: int,
        n_draws: int,
    ) -> ValuePath:
        """Expected value of a customer about to be won, as time goes by."""
        ...

    def of_segment(self, segment: str | Mapping[str, str] | None) -> Self:
        """Value one segment's customers alone; ValueError where it is not said, or not known."""
        ...


def portfolio_segments(data: Any, by: str | None) -> tuple[list[Any], NDArray[np.int64]]:
    """Names of the segments, and each customer's code; DataError where one is called as the row of all is."""
    names, codes = segments(data, by)
    if TOTAL in map(str, names):
        raise DataError(f"A segment in column {by!r} is called {TOTAL!r}, as the row of all is. Rename it.")
    return names, codes


def portfolio_table(
    names: Sequence[Any],
    sums: Sequence[portfolio.Sums],
    totals: Sequence[portfolio.Totals],
    *,
    by: str | None,
    level: float,
    finite: bool,
) -> pd.DataFrame:
    """Table of a portfolio, from the expectations and the simulated totals of its parts."""
    expected = portfolio.expected_totals(sums, level)
    intervals = portfolio.intervals(portfolio.add(totals), level, finite=finite)
    table = pd.DataFrame({**expected, **intervals})
    if by is None:
        table = table.iloc[-1:]
    # As text, which tells them apart (`segments` sees to it), so that every file format takes the column.
    table.insert(0, "segment", [*map(str, names), TOTAL])
    expected_clv = table["expected_clv"].to_numpy()
    table["share_of_value"] = portfolio.share(expected_clv, expected_clv[-1])
    table["share_low"], table["share_high"] = portfolio.share_intervals(totals, level)[:, -len(table) :]
    return table[list(portfolio.COLUMNS)].reset_index(drop=True)


def seed_of_part(seed: int, number: int) -> int:
    """Seed of a part's simulation: the model's own for the first, others for the rest."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
