"""The continuation of cohorts as tables, with bands, and set against what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.calendar import period_index
from predclv.decisions.cohorts.table import CohortTable
from predclv.errors import DataError
from predclv.kernels.period_paths import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["CohortForecast", "tabulate_cells", "tabulate_totals"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class CohortForecast:
    """Predicted continuation of cohorts.

    Attributes
    ----------
    cells : pandas.DataFrame
        A row for each cohort and future period: segment (where there are several), cohort, age, period, customers, and
        of each measure (active, purchases and, with amounts, revenue and margin) its mean over the simulations,
        ..._low and ..._high: the band in which what happens will lie with probability `level`, for it holds what is
        not known of the parameters, which customers a cohort happens to have, and chance. Besides them retention (mean
        active over customers) with its band. In the period that the as-of date cuts, what was observed of it is
        counted in.
    totals : pandas.DataFrame
        The same by period for all these cohorts together, from joint draws: not the sum of the cells' ends. Nobody who
        is yet to come is in it.
    draws : (n_draws, n_cohorts, n_periods, 4) array
        Simulated active customers, purchases, revenue, margin; cohorts in the order of the table.
    settings : mapping
        period, by, level, end, horizon, currency, n_draws, shocks (`Shocks`: what the bands hold of good and bad
        times).
    """

    cells: pd.DataFrame
    totals: pd.DataFrame
    draws: FloatArray
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<CohortForecast: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.totals.round(2)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """What the present customers will do in the last period of the horizon, in words."""
        last, level = self.totals.iloc[-1], self.settings["level"]
        text = f"of {last['customers']:,.0f} customers {last['active']:,.0f} ({last['active_low']:,.0f} to "
        text += f"{last['active_high']:,.0f}, {level:.0%} band) will buy in {last['period']}"
        if "revenue" in self.totals:
            sums = self.draws[..., MEASURES.index("revenue")].sum(axis=(1, 2))
            low, high = np.quantile(sums, _levels(level), method="inverted_cdf")
            text += f"; revenue until then {sums.mean():,.0f} ({low:,.0f} to {high:,.0f})"
        return text

    def against(self, later: CohortTable) -> pd.DataFrame:
        """Set the forecast against what a later table observed: how many cells lay in their bands.

        Parameters
        ----------
        later : CohortTable
            Of the same log with a later as-of date; its whole periods count.

        Returns
        -------
        DataFrame
            cohort (and segment), age, period, measure, predicted, low, high, observed, inside. The share of `inside` is
            to be held against `level`, knowing that cells of one cohort move together, and that counts, which are
            whole, lie in their band somewhat more often.
        """
        keys = [name for name in ("segment", "cohort", "age", "period") if name in self.cells]
        if any(name not in later.cells for name in keys) or later.settings["period"] != self.settings["period"]:
            raise DataError("The later table is by other segments or periods than the forecast.")
        seen = later.cells[later.cells["is_whole"]]
        both = self.cells.merge(seen, on=keys, suffixes=("", "_observed"))
        if both.empty:
            raise DataError(f"The later table, until {later.settings['end']}, holds no whole period of the forecast.")
        parts = []
        for name in MEASURES:
            if name not in self.cells or name not in seen:
                continue
            part = both[keys].assign(
                measure=name,
                predicted=both[name],
                low=both[f"{name}_low"],
                high=both[f"{name}_high"],
                observed=both[f"{name}_observed"].astype(np.float64),
            )
            parts.append(part.assign(inside=(part["observed"] >= part["low"]) & (part["observed"] <= part["high"])))
        return pd.concat(parts, ignore_index=True)

    def plot(self, table: CohortTable, measure: str = "active", *, ax: Axes | None = None) -> Axes:
        """What was observed by period and what is predicted, with the band; see `predclv.plots.plot_continuation`."""
        from predclv.plots.cohorts import plot_continuation

        return plot_continuation(self, table, measure, ax=ax)


def tabulate_cells(
    found: FloatArray, table: CohortTable, numbers: IntArray, names: tuple[str, ...], level: float
) -> pd.DataFrame:
    """A row for each cohort and period, from draws (n_draws, n_cohorts, n_periods, n_measures)."""
    n_cohorts, n_periods = found.shape[1:3]
    cells = table.cohorts.drop(columns="note").loc[np.repeat(np.arange(n_cohorts), n_periods)].reset_index(drop=True)
    of = np.tile(numbers, n_cohorts) - np.repeat(table.activity.cohorts["cohort"].to_numpy(), n_periods)
    cells.insert(len(table.keys), "age", of)
    cells.insert(len(table.keys) + 1, "period", period_index(np.tile(numbers, n_cohorts), table.settings["period"]))
    return _with_bands(cells, found.reshape(len(found), -1, found.shape[3]), names, level)


def tabulate_totals(
    found: FloatArray, table: CohortTable, numbers: IntArray, names: tuple[str, ...], level: float
) -> pd.DataFrame:
    """A row for each period, of all cohorts together, from the same draws."""
    totals = pd.DataFrame({"period": period_index(numbers, table.settings["period"])})
    totals["customers"] = int(table.cohorts["customers"].sum())
    return _with_bands(totals, found.sum(axis=1), names, level)


def _with_bands(rows: pd.DataFrame, draws: FloatArray, names: tuple[str, ...], level: float) -> pd.DataFrame:
    """Add mean, low and high of each measure; `draws` is (n_draws, n_rows, n_measures)."""
    for i, name in enumerate(names):
        rows[name] = draws[..., i].mean(axis=0)
        rows[f"{name}_low"], rows[f"{name}_high"] = np.quantile(
            draws[..., i], _levels(level), axis=0, method="inverted_cdf"
        )
    for end in ("", "_low", "_high"):
        rows[f"retention{end}"] = rows[f"active{end}"] / rows["customers"]
    return rows


def _levels(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]
