"""How far the parameters moved from one fit to the next, with intervals that know both fits share customers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.kernels.gamma_gamma_pointwise import pointwise_log_likelihood
from predclv.models.base import Model
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.transactions import TransactionModel
from predclv.parameters import are_logarithmic, from_unconstrained, to_unconstrained

__all__ = ["COLUMNS", "compare_parameters"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COLUMNS = ("model", "segment", "parameter", "old", "new", "ratio", "ratio_low", "ratio_high", "moved", "p_all")

_STEP = 1e-4  # of the logarithm of a parameter: central differences are then good to 1e-8
_ROWS = 65_536


def compare_parameters(
    old_model: Model, new_model: Model, old: RFMSummary, new: RFMSummary, level: float
) -> tuple[pd.DataFrame, str]:
    """Compare two fits of one kind of model, each on its own snapshot.

    An estimate moves by about its covariance times the score of the data, a sum over customers. So the difference of
    two estimates is a sum over customers too: of what each weighs in the new fit, less what the same customer weighed
    in the old one. Its variance is that of this sum, whatever the two have in common (White 1982, Econometrica 50(1),
    for one fit).

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
    rows: list[dict[str, Any]] = []
    if not old_model.segments_:
        return pd.DataFrame(_compare(old_model, new_model, old, new, level, None)), ""
    before = {part.model.posterior_: part for part in old_model.parts(old)}
    after = {part.model.posterior_: part for part in new_model.parts(new)}
    for name, model in old_model.segments_.items():
        if name not in new_model.segments_:
            continue
        other = new_model.segments_[name]
        first, second = before.get(model.posterior_), after.get(other.posterior_)
        if first is not None and second is not None:
            rows += _compare(model, other, first.rfm, second.rfm, level, name)
    return pd.DataFrame(rows, columns=list(COLUMNS)), ""


def _obstacle(old_model: Model, new_model: Model, old: RFMSummary, new: RFMSummary) -> str:
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
    if list(old_model.posterior_.names) != list(new_model.posterior_.names):
        return "The two fits do not have the same parameters."
    k = [getattr(model, "k_", 1) for model in (old_model, new_model)]
    if k[0] != k[1]:
        return f"The old fit counts every {k[0]}. event as a purchase, the new one every {k[1]}.: other parameters."
    return ""


def _compare(
    old_model: Model, new_model: Model, old: RFMSummary, new: RFMSummary, level: float, segment: str | None
) -> list[dict[str, Any]]:
    before, after = old_model.posterior_, new_model.posterior_
    n = len(before.parameters)
    difference = _unconstrained(new_model) - _unconstrained(old_model)
    covariance = _covariance_of_difference(old_model, new_model, old, new)
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


def _unconstrained(model: Model) -> FloatArray:
    return to_unconstrained(model.posterior_.parameters, model.posterior_.point_array)


def _covariance_of_difference(old_model: Model, new_model: Model, old: RFMSummary, new: RFMSummary) -> FloatArray:
    """Covariance of the difference of the estimates, on the unconstrained scale."""
    first, second = _influences(old_model, old), _influences(new_model, new)
    place = pd.Index(new.customer_id).get_indexer(pd.Index(old.customer_id))
    both = place >= 0
    second[place[both]] -= first[both]
    rest = first[~both]
    # Scores add up to nothing at a maximum of the likelihood; a prior holds the balance elsewhere.
    return np.asarray(_scatter(second) + _scatter(rest))


def _scatter(weights: FloatArray) -> FloatArray:
    if len(weights) == 0:
        return np.zeros((weights.shape[1], weights.shape[1]))
    centred = weights - weights.mean(axis=0)
    return np.asarray(centred.T @ centred)


def _influences(model: Model, rfm: RFMSummary) -> FloatArray:
    """By how much each customer moves the estimate, (n_customers, n_parameters), unconstrained."""
    covariance = np.asarray(model.posterior_.covariance_unconstrained)
    return np.asarray(_scores(model, rfm) @ covariance)


def _scores(model: Model, rfm: RFMSummary) -> FloatArray:
    """Derivative of each customer's log-likelihood by the unconstrained parameters, (n_customers, n_parameters)."""
    posterior = model.posterior_
    at = _unconstrained(model)
    steps = np.concatenate([at + _STEP * np.eye(len(at)), at - _STEP * np.eye(len(at))])
    theta = np.ascontiguousarray(from_unconstrained(posterior.parameters, steps))
    out = np.zeros((len(rfm), len(at)))
    if isinstance(model, GammaGamma):
        assert rfm.monetary_value is not None
        used = np.flatnonzero((rfm.frequency > 0) & (rfm.monetary_value > 0))
        columns = rfm.frequency[used].astype(np.float64), rfm.monetary_value[used]
        out[used] = _differences(lambda x, m: pointwise_log_likelihood(x, m, theta), columns, len(at))
        return out
    assert isinstance(model, TransactionModel)
    rows, inverse = histories(rfm)
    bindings = model.bindings
    found = _differences(
        lambda x, t_x, T: bindings.pointwise_log_likelihood(x, t_x, T, theta), (rows.x, rows.t_x, rows.T), len(at)
    )
    return found[inverse]


def _differences(values: Any, columns: tuple[FloatArray, ...], n: int) -> FloatArray:
    out = np.empty((len(columns[0]), n))
    for start in range(0, len(out), _ROWS):
        some = slice(start, start + _ROWS)
        found = values(*(np.ascontiguousarray(column[some]) for column in columns))
        out[some] = ((found[:n] - found[n:]) / (2 * _STEP)).T
    return out


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
