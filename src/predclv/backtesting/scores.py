"""Scores of every method with paired bootstrap intervals against a reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd

from predclv.backtesting.blocks import Block, Cohort
from predclv.backtesting.bootstrap import Draws
from predclv.backtesting.comparison import Scored
from predclv.backtesting.metrics import Tally, add_tallies
from predclv.backtesting.tallies import N_BINS, find_deciles, tally_all, tally_groups

__all__ = ["SCORE_COLUMNS", "by_horizon", "find_scopes", "name_cutoff", "score_blocks"]

# The tallies of a method, by cut-off.
Tallies = Mapping[dt.date, Tally]

SCORE_COLUMNS = (
    "horizon",
    "cutoff",
    "method",
    "quantity",
    "by",
    "group",
    "metric",
    "customers",
    "value",
    "low",
    "high",
    "reference",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
)


def score_blocks(
    blocks: Sequence[Block],
    cohorts: Mapping[dt.date, Cohort],
    *,
    reference: str,
    n_bootstrap: int = 400,
    level: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Score forecasts, and say which methods differ from a reference by more than which customers one happens to have.

    Customers, not rows, are drawn with replacement: one drawn twice counts twice at every cut-off and horizon, and for
    every method alike. What all customers of a period share (a season, a campaign) is the same in every resample, so
    **that noise is not in the intervals**: few cut-offs say little about other periods, however narrow an interval is.

    Parameters
    ----------
    blocks : sequence of Block
        At most one for each cut-off, horizon, method and quantity; the table follows their order.
    cohorts : mapping of cut-off to Cohort
    reference : str
        Method that the others are compared with, where it has forecast the same.
    n_bootstrap : int
        Resamples; with 0 there are no intervals and no verdicts.
    level : float
        Probability of the intervals, in (0, 1).
    seed : int

    Returns
    -------
    DataFrame
        One row a score: horizon, cutoff (text; "all" for all cut-offs together), method, quantity, by, group, metric,
        customers (rows scored), value, low, high, reference, difference (from the reference's value), difference_low,
        difference_high, verdict ("better", "worse", "within noise", "reference", or "" where nothing is compared).

    Notes
    -----
    Metrics, for purchases and value: `bias` (total forecast over total actual, less 1); `mae`, `rmse`, `msle` (of
    log(1 + n)); `pearson`, `spearman`; `gini` (of the outcome ordered by forecast, over its own); `capture_10` and
    `capture_20` (part of the total that the tenth or fifth of the customers with the highest forecasts brought);
    `lift_10` (mean of that tenth over the mean of all); `crps`, the absolute error where a method gives no
    distribution. Equal forecasts stand in random order, and scores are the expectation over it.

    Where there is a distribution: `pit_coverage_50`, 80, 90, 95 (chance of the randomized PIT to lie in the central
    interval, in closed form), `raw_coverage_...` (share of outcomes between the quantiles; counts and values with many
    zeros lie there too often where the forecast is perfect, so that it gets no verdict), `pit_ks` (Kolmogorov-Smirnov
    distance of the randomized PIT from uniform, mean of 20 randomisations). Where there is `p_purchase`, with the
    quantity "purchases": `brier`, `log_score` (mean of -log of the chance given to what happened; infinite where that
    was 0), `reliability` (Murphy 1973, ten bins of equal size by forecast).

    Spend is scored for those who bought, and its outcome is a mean over few purchases, so it is forecast as a point and
    has the point metrics; not `capture_...`, shares of a sum of means, which is nobody's money. Its `crps` is its mae.

    Metrics that do not exist (a correlation with a constant, the bias of a total of 0) are NaN.

    All cut-offs together: those at which every method that has the horizon and quantity has a forecast, so that values
    stand side by side; where there is no such cut-off, each method's own, and methods are compared over those that both
    have. Means over rows are over the rows of all these cut-offs, bias is total over total, and what is neither
    (correlations, gini, capture, lift, pit_ks, reliability) is the mean over cut-offs.

    Groups (by "frequency", "decile" or a segment) have bias, mae, crps, coverage and pit_ks, the last without interval.
    Deciles are a method's own, 1 for its highest forecasts at the cut-off, so they are not compared. Groups of fewer
    than 20 customers at every cut-off have no intervals.

    Intervals are percentiles of the resamples in which a score exists, at least nine in ten. `pit_ks` and `reliability`
    are above 0 in any sample, also where the forecast is perfect, and more so in a resample, which has its own noise
    besides; their resamples are shifted to have the value as their mean, and the interval is of what so many customers
    give. A verdict is of the loss: the metric, its negative where more is better, the distance from 0 for bias and from
    the level for coverage; "better" and "worse" where the interval of the difference in loss excludes 0.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13. Field & Welsh (2007), Bootstrapping Clustered
    Data, J. R. Statist. Soc. B 69(3). Czado, Gneiting & Held (2009), Biometrics 65(4).
    """
    n_customers = 1 + max((int(cohort.cluster.max()) for cohort in cohorts.values()), default=-1)
    draws = Draws(n_customers, n_bootstrap, seed)
    groupings = list(dict.fromkeys(["all", *(name for cohort in cohorts.values() for name in cohort.groups), "decile"]))
    parts = []
    for (horizon, quantity), found in by_horizon(blocks).items():
        for by in groupings:
            tallies: dict[str, dict[dt.date, Tally]] = {}
            for block in found:
                tally = _tally(block, cohorts[block.cutoff], by, draws, seed)
                if tally is not None:
                    tallies.setdefault(block.method, {})[block.cutoff] = tally
            for table in _compare_methods(tallies, None if by == "decile" else reference, level):
                parts.append(table.assign(horizon=horizon, quantity=quantity, by=by))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SCORE_COLUMNS))
    return table[list(SCORE_COLUMNS)]


def by_horizon(blocks: Sequence[Block]) -> dict[tuple[str, str], list[Block]]:
    """Blocks of each horizon and quantity."""
    found: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        found.setdefault((block.horizon, block.quantity), []).append(block)
    return found


def find_scopes(cutoffs: Mapping[str, set[dt.date]]) -> list[tuple[str, list[dt.date]]]:
    """Each cut-off by itself, and "all": those that every method has, or any, where there is none that all have.

    Parameters
    ----------
    cutoffs : mapping of method to its cut-offs
    """
    every = sorted(set().union(*cutoffs.values()))
    common = [cutoff for cutoff in every if all(cutoff in own for own in cutoffs.values())]
    return [*((name_cutoff(cutoff), [cutoff]) for cutoff in every), ("all", common or every)]


def name_cutoff(cutoff: dt.date) -> str:
    """Cut-off as tables have it: "1997-09-30", with the time of day where it has one."""
    if isinstance(cutoff, dt.datetime) and cutoff.time() != dt.time():
        return cutoff.isoformat(sep=" ")
    return cutoff.strftime("%Y-%m-%d")


def _tally(block: Block, cohort: Cohort, by: str, draws: Draws, seed: int) -> Tally | None:
    cluster = cohort.cluster[block.customers]
    if by == "all":
        return tally_all(block, cluster, draws, seed)
    if by == "decile":
        labels = [str(number + 1) for number in range(N_BINS)]
        return tally_groups(block, cluster, labels, find_deciles(block.mean) - 1, draws, seed)
    if by not in cohort.groups:
        return None
    labels, codes = cohort.groups[by]
    return tally_groups(block, cluster, labels, codes[block.customers], draws, seed)


def _compare_methods(tallies: Mapping[str, Tallies], reference: str | None, level: float) -> list[pd.DataFrame]:
    """Tables of each cut-off, and of all, for each method."""
    other = tallies.get(reference, {}) if reference is not None else {}
    tables = []
    for name, scope in find_scopes({method: set(of_method) for method, of_method in tallies.items()}):
        for method, of_method in tallies.items():
            own = [cutoff for cutoff in scope if cutoff in of_method]
            if not own:
                continue
            table = _score(of_method, own, level).table()
            common = [cutoff for cutoff in own if cutoff in other]
            if method == reference:
                table["verdict"] = "reference"
            elif common:
                paired = _score(of_method, common, level).compare(_score(other, common, level))
                compared = list(paired.columns[2:])
                table = table.drop(columns=compared).merge(paired, on=["group", "metric"], how="left")
                table["verdict"] = table["verdict"].fillna("")
            tables.append(table.assign(cutoff=name, method=method, reference=reference or ""))
    return tables


def _score(tallies: Tallies, cutoffs: list[dt.date], level: float) -> Scored:
    return Scored(add_tallies([tallies[cutoff] for cutoff in cutoffs]), level)
