"""What a backtest found: forecasts beside outcomes, scores with intervals, and what it cost."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predclv.backtesting.blocks import QUANTILES, Block, Cohort
from predclv.data.summary_words import lines_to_html
from predclv.files import replace_file, replace_folder, write_text
from predclv.plots import backtest as plots
from predclv.plots.methods import method_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Backtest"]

_MANIFEST = "backtest.json"
# Columns of the quantiles in `forecasts`, at the levels in `QUANTILES`.
_QUANTILE_COLUMNS = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
_TABLES = (
    "scores",
    "totals",
    "runs",
    "tracks",
    "deciles",
    "pit",
    "gains",
    "reliability",
    "recalibrations",
    "weights",
)


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Methods side by side at past dates, scored against what customers then did.

    Attributes
    ----------
    scores : DataFrame
        A row a horizon, cut-off ("all": all of them together), method, quantity, group and metric: value with its
        interval, and the difference from the reference with its own. `predclv.backtesting.scores` defines the metrics.
    totals : DataFrame
        Expected and actual purchases and value of all customers, with the interval at four levels.
    runs : DataFrame
        A row a cut-off and method: whether it ran, its error, processor seconds, peak memory, notes.
    tracks : DataFrame
        Purchases of all customers from the cut-off on, expected and actual.
    deciles, pit, gains, reliability : DataFrame
        What the plots show.
    recalibrations, weights : DataFrame
        What was learnt at earlier cut-offs; empty where nothing was asked for.
    customers : DataFrame
        A row a cut-off and horizon: customers, their purchases and spend; customers who came within the horizon, and
        their purchases, which nobody forecasts.
    settings : dict
        What was asked.
    """

    scores: pd.DataFrame
    totals: pd.DataFrame
    runs: pd.DataFrame
    tracks: pd.DataFrame
    deciles: pd.DataFrame
    pit: pd.DataFrame
    gains: pd.DataFrame
    reliability: pd.DataFrame
    recalibrations: pd.DataFrame
    weights: pd.DataFrame
    customers: pd.DataFrame
    settings: Mapping[str, Any]
    blocks: Sequence[Block]
    cohorts: Mapping[dt.date, Cohort]

    def __repr__(self) -> str:
        counts = self.runs["status"].value_counts()
        other = ", ".join(f"{counts[status]} {status}" for status in ("failed", "skipped") if status in counts)
        said = f"; of {len(self.runs)} runs {other}" if other else ""
        cutoffs, horizons = self.settings["cutoffs"], self.settings["horizons"]
        where = f"1 cut-off ({cutoffs[0]})"
        if len(cutoffs) > 1:
            where = f"{len(cutoffs)} cut-offs ({cutoffs[0]} to {cutoffs[-1]})"
        return f"<Backtest: {len(self.settings['methods'])} methods at {where}, horizons {', '.join(horizons)}{said}>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return lines_to_html(self._lines(), self.table().round(3))

    def _lines(self) -> list[str]:
        """What was done, who was best, and where the rest stands."""
        lines = [f"{repr(self)[1:-1]}."]
        for horizon, crps in self.table().items():
            if crps.notna().any():
                lines.append(f"Lowest CRPS of purchases, {horizon}: {crps.idxmin()} ({crps.min():.4g}).")
        return [*lines, ".scores says whether that is more than noise, .runs what failed and why."]

    @cached_property
    def forecasts(self) -> pd.DataFrame:
        """Every forecast beside what happened: one row a cut-off, horizon, method, quantity and customer.

        Columns: cutoff, horizon, method, quantity, customer_id, mean, q025 to q975 (NaN for a method that gives no
        distribution), actual, crps, p_purchase (of purchases), pit_below and pit_at (forecast probability of less than
        what happened, and of that or less). Spend is listed for those who bought.
        """
        keys: dict[str, list[str]] = {
            "cutoff": [str(block.cutoff) for block in self.blocks],
            "horizon": [block.horizon for block in self.blocks],
            "method": [block.method for block in self.blocks],
            "quantity": [block.quantity for block in self.blocks],
        }
        lengths = [len(block.customers) for block in self.blocks]
        columns: dict[str, Any] = {name: _repeat(values, lengths) for name, values in keys.items()}
        parts = [_columns(block, self.cohorts[block.cutoff]) for block in self.blocks]
        columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return pd.DataFrame(columns)

    def table(self, metric: str = "crps", quantity: str = "purchases") -> pd.DataFrame:
        """One metric over all cut-offs together: a row a method, a column a horizon, in the order asked for."""
        rows = self.scores
        asked = (rows["metric"] == metric) & (rows["quantity"] == quantity)
        rows = rows[asked & (rows["cutoff"] == "all") & (rows["by"] == "all")]
        values = {(row.method, row.horizon): row.value for row in rows.itertuples()}
        methods = [name for name in self.settings["methods"] if name in set(rows["method"])]
        columns = {h: [values.get((name, h), np.nan) for name in methods] for h in self.settings["horizons"]}
        return pd.DataFrame(columns, index=pd.Index(methods, name="method"))

    @property
    def total_coverage(self) -> pd.DataFrame:
        """How often the interval of the total held, over cut-offs: what no interval of a customer can tell.

        Columns: horizon, method, quantity, level, cutoffs (with an interval), inside, coverage. With few cut-offs it
        says little, and all of a method's cut-offs share its customers.
        """
        known = self.totals.dropna(subset=["inside"])
        keys = ["horizon", "method", "quantity", "level"]
        table = known.groupby(keys, sort=False, observed=True)["inside"].agg(cutoffs="size", inside="sum").reset_index()
        return table.assign(coverage=table["inside"].astype(float) / table["cutoffs"])

    def report(self, path: str | os.PathLike[str], *, title: str | None = None, made_on: dt.date | None = None) -> None:
        """Write the report: one self-contained HTML file, whole or not at all.

        Raises
        ------
        ImportError
            jinja2 is absent.
        """
        from predclv.backtesting.report.page import write_backtest_report

        write_backtest_report(path, self, title=title, made_on=made_on)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write all tables to a folder, a Parquet file each with `backtest.json` beside them, whole or not at all.

        Raises
        ------
        FileExistsError
            The folder holds what no backtest wrote.
        """
        with replace_folder(path, manifest=_MANIFEST) as folder:
            for name in ("forecasts", *_TABLES, "customers"):
                getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)
            names = sorted(entry.name for entry in folder.iterdir())
            settings = json.loads(json.dumps(dict(self.settings), default=str))
            write_text(folder / _MANIFEST, json.dumps({"settings": settings, "files": names}, indent=2) + "\n")

    def write_forecasts(self, path: str | os.PathLike[str]) -> None:
        """Write `forecasts` alone to a Parquet file, whole or not at all."""
        with replace_file(path) as temporary:
            self.forecasts.to_parquet(temporary, index=False)

    def plot_scores(self, metric: str = "crps", *, ax: Axes | None = None, **options: Any) -> Axes:
        """Differences from the reference with their intervals."""
        return plots.plot_scores(self.scores, metric, ax=ax, **self._styled(options))

    def plot_calibration(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Expected against actual by decile of the forecast."""
        return plots.plot_calibration_by_decile(self.deciles, ax=ax, **self._styled(options))

    def plot_tracking(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Purchases of all customers from a cut-off on, expected by each method and actual."""
        return plots.plot_method_tracking(self.tracks, totals=self.totals, ax=ax, **self._styled(options))

    def plot_pit(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Histogram of the probability integral transform: flat where forecasts hold."""
        if self.pit.empty:
            raise ValueError("There is no PIT to draw: no method gives a predictive distribution.")
        return plots.plot_pit(self.pit, ax=ax, **self._styled(options))

    def plot_gains(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """What share of the outcome the customers with the highest forecasts brought."""
        return plots.plot_gains(self.gains, ax=ax, **self._styled(options))

    def plot_cost(self, metric: str = "crps", *, ax: Axes | None = None, **options: Any) -> Axes:
        """Score against processor time."""
        return plots.plot_score_against_cost(self.scores, self.runs, metric, ax=ax, **self._styled(options))

    def plot_totals(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Expected over actual total, by cut-off."""
        return plots.plot_total_tracking(self.totals, ax=ax, **self._styled(options))

    def plot_reliability(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Share of customers who bought against its forecast."""
        return plots.plot_reliability(self.reliability, ax=ax, **self._styled(options))

    def _styled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a plot, with the looks of the methods that are theirs in all plots and in the report."""
        return {"styles": method_styles(self.settings["methods"], self.settings["reference"]), **options}


def _repeat(values: Sequence[str], lengths: Sequence[int]) -> pd.Categorical:
    """A text for each block, as often as the block has rows."""
    codes, names = pd.factorize(np.asarray(values, dtype=object))
    return pd.Categorical.from_codes(np.repeat(codes, lengths), categories=pd.Index(names))


def _columns(block: Block, cohort: Cohort) -> dict[str, Any]:
    n = len(block.customers)
    quantiles = np.full((n, len(QUANTILES)), np.nan) if block.quantiles is None else block.quantiles
    columns = {"customer_id": cohort.customer_id[block.customers], "mean": block.mean}
    columns |= dict(zip(_QUANTILE_COLUMNS, quantiles.T, strict=True))
    columns |= {"actual": block.actual, "crps": block.crps}
    optional = {"p_purchase": block.p_purchase, "pit_below": block.below, "pit_at": block.at}
    return columns | {name: np.full(n, np.nan) if column is None else column for name, column in optional.items()}
