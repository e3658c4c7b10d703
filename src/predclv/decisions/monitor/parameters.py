"""How far the parameters moved from one fit to the next, with intervals that know both fits share customers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.decisions.monitor.influence import covariances_of_difference, unconstrained
from predclv.decisions.monitor.sources import ROWS, Rows, Snapshot
from predclv.models.base import Model
from predclv.parameters import are_logarithmic

__all__ = ["COLUMNS", "compare_parameters"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COLUMNS = ("model", "segment", "parameter", "old", "new", "ratio", "ratio_low", "ratio_high", "moved", "p_all")

# Below so many customers the estimates of a fit are far from normal.
_FEWEST = 200


def compare_parameters(
    old_model: Model,
    new_model: Model,
    old: Snapshot,
    new: Snapshot,
    level: float,
    origin: Rows | None = None,
    rows: int = ROWS,
) -> tuple[pd.DataFrame, str]:
    """Compare two fits of one kind of model, each on its own snapshot.

    An estimate moves by about its covariance times the score of the data, a sum over customers. So the difference of
    two estimates is a sum over customers too: of what each weighs in the new fit, less what the same customer weighed
    in the old one. Its variance is that of this sum, whatever the two have in common (White 1982, Econometrica 50(1),
    for one fit). Segments share strength, so a customer of one moves the estimates of all, as their joint posterior has
    them vary together.

    Parameters
    ----------
    origin : (n_new,) int array, optional
        Where each customer of the new snapshot stands in the old one, -1 where there is none; by default by their ids.
    rows : int
        Customers at a time.

    Returns
    -------
    table : DataFrame
        A row a parameter: old, new, their ratio with an interval, whether that excludes 1 (moved), and p_all, the
        chance of differences as large in all parameters of the model together, were there none.
    reason : str
        Why there is no table, or ""; never both.
    """
    reason = _obstacle(old_model, new_model, old, new)
    if reason:
        return pd.DataFrame(columns=list(COLUMNS)), reason
    pairs: dict[str | None, tuple[Model, Model]] = {None: (old_model, new_model)}
    if old_model.segments_:
        both = [name for name in old_model.segments_ if name in new_model.segments_]
        pairs = {name: (old_model.segments_[name], new_model.segments_[name]) for name in both}
    moved = covariances_of_difference(old_model, new_model, list(pairs.values()), old, new, origin, rows)
    found: list[dict[str, Any]] = []
    for (name, fits), covariance in zip(pairs.items(), moved, strict=True):
        if covariance is not None:
            found += _compare(*fits, covariance, level, name)
    return pd.DataFrame(found, columns=list(COLUMNS)), ""


def _obstacle(old_model: Model, new_model: Model, old: Snapshot, new: Snapshot) -> str:
    for model, rfm, which in ((old_model, old, "old"), (new_model, new, "new")):
        if getattr(model, "covariates_", None) is not None:
            return "With covariates each fit measures them on its own scale, so parameters cannot be set side by side."
        seen, end = model.fingerprint_, rfm.observation_end
        other_date = seen.observation_end is not None and end is not None and seen.observation_end != end.isoformat()
        if seen.n_customers != rfm.n_customers or other_date:
            return (
                f"The {which} model was fitted on {seen.n_customers:,} customers as of "
                f"{seen.observation_end or 'a date not known'}, and not on the {which} snapshot."
            )
    for model, which in ((old_model, "old"), (new_model, "new")):
        held = list(model.posterior_.fit_diagnostics.get("runaway", ()))
        if held:
            return (
                f"The {which} fit of {type(model).__name__} holds {' and '.join(held)} where its search ended, for the "
                "data do not determine it: there is nothing to set side by side."
            )
    n = min(len(old), len(new))
    if n < _FEWEST:
        return f"{n:,} customers are too few for the approximation by which two fits are compared."
    if list(old_model.posterior_.names) != list(new_model.posterior_.names):
        return "The two fits do not have the same parameters."
    k = [getattr(model, "k_", 1) for model in (old_model, new_model)]
    if k[0] != k[1]:
        return f"The old fit counts every {k[0]}. event as a purchase, the new one every {k[1]}.: other parameters."
    return ""


def _compare(
    old_model: Model, new_model: Model, covariance: FloatArray, level: float, segment: str | None
) -> list[dict[str, Any]]:
    before, after = old_model.posterior_, new_model.posterior_
    n = len(before.parameters)
    difference = unconstrained(new_model) - unconstrained(old_model)
    known = np.isfinite(covariance).all()
    error = np.sqrt(np.diag(covariance)) if known else np.full(n, np.nan)
    p_all = _p_of_all(difference, covariance) if known else np.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    logarithmic = are_logarithmic(before.parameters)
    rows = []
    for i, parameter in enumerate(before.parameters):
        low, high = difference[i] - z * error[i], difference[i] + z * error[i]
        ends = np.exp([difference[i], low, high]) if logarithmic[i] else np.full(3, np.nan)
        rows.append(
            {
                "model": type(old_model).__name__,
                "segment": segment,
                "parameter": parameter.name,
                "old": before.point_array[i],
                "new": after.point_array[i],
                "ratio": ends[0],
                "ratio_low": ends[1],
                "ratio_high": ends[2],
                "moved": bool(low > 0 or high < 0),
                "p_all": p_all,
            }
        )
    return rows


def _p_of_all(difference: FloatArray, covariance: FloatArray) -> float:
    """Wald's test that all differences are none, in the directions that the data determine."""
    scale = np.sqrt(np.diag(covariance))
    if (scale <= 0).any():
        return float("nan")
    correlation = covariance / np.outer(scale, scale)
    size, directions = np.linalg.eigh(correlation)
    used = size > 1e-8 * size.max()
    along = directions[:, used].T @ (difference / scale)
    return float(stats.chi2.sf((along**2 / size[used]).sum(), int(used.sum())))
