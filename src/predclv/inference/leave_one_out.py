"""Leave-one-out validation from the draws of one posterior, by distinct history.

Weights 1 / p(history | draw) turn draws given all customers into draws given all but one; Pareto smoothing steadies
them and says where that does not work. Customers with one history have one score, so each history is worked out once.

References
----------
Vehtari, Gelman & Gabry (2017), Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC,
Statistics and Computing 27(5). Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from predclv.errors import InfluenceWarning, warn
from predclv.inference import arviz_versions as az
from predclv.inference.arviz import evidence_of, theta_of
from predclv.inference.evidence import RowLikelihood, customers_in_order
from predclv.inference.pareto import smooth_weights
from predclv.inference.posterior import Posterior

__all__ = ["leave_one_out"]

FloatArray = NDArray[np.float64]

_BLOCK = 64 * 2**20  # bytes of log-likelihood worked on at a time


class _Scores(NamedTuple):
    """By row, (n_rows,) each: log score unseen, log score seen, and the Pareto shape of the weights."""

    unseen: FloatArray
    seen: FloatArray
    k: FloatArray


def leave_one_out(posteriors: Sequence[Posterior]) -> Any:
    """See `Posterior.loo`; several posteriors, as of segments, score each their own customers."""
    scored = [_score(posterior) for posterior in posteriors]
    scores = _Scores(*(np.concatenate(parts) for parts in zip(*(each for each, _ in scored), strict=True)))
    weight = np.concatenate([own for _, own in scored])
    known = [evidence_of(posterior).require_likelihood("loo()") for posterior in posteriors]
    rows = {name: np.concatenate([likelihood.rows[name] for likelihood in known]) for name in known[0].rows}
    each = customers_in_order(rows, weight)
    n_draws = int(np.prod(theta_of(posteriors[0]).shape[:2]))
    n_customers = int(weight.sum())
    elpd = float(weight @ scores.unseen)
    # Vehtari et al. (2024), section 3.2.4.
    good_k = min(1.0 - 1.0 / np.log10(n_draws), 0.7)
    bad = scores.k > good_k
    if bad.any():
        _warn_of_influence(evidence_of(posteriors[0]).name, rows, weight, scores.k, bad, good_k)
    by_customer = [
        xr.DataArray(values[each], dims="customer", coords={"history": ("customer", each)}, name=name)
        for name, values in (("elpd_i", scores.unseen), ("pareto_shape", scores.k))
    ]
    return az.make_elpd_data(
        elpd=elpd,
        se=float(np.sqrt(weight @ (scores.unseen - elpd / n_customers) ** 2)),
        p=float(weight @ scores.seen) - elpd,
        n_samples=n_draws,
        n_data_points=n_customers,
        warning=bool(bad.any()),
        good_k=good_k,
        elpd_i=by_customer[0],
        pareto_k=by_customer[1],
    )


def _score(posterior: Posterior) -> tuple[_Scores, FloatArray]:
    """Scores by row, and the rows' weights."""
    likelihood = evidence_of(posterior).require_likelihood("loo()")
    theta = theta_of(posterior)
    return _score_rows(likelihood, theta.reshape(-1, theta.shape[-1]), _relative_efficiency(theta)), likelihood.weight


def _score_rows(likelihood: RowLikelihood, theta: FloatArray, r_eff: float) -> _Scores:
    n_draws, n_rows = len(theta), len(likelihood.weight)
    scores = _Scores(*(np.empty(n_rows) for _ in _Scores._fields))
    block = max(_BLOCK // (8 * n_draws), 1)
    for start in range(0, n_rows, block):
        values = likelihood.row_values(theta, slice(start, start + block)).T
        for i, row in enumerate(np.ascontiguousarray(values), start):
            log_weight, scores.k[i] = smooth_weights(-row, r_eff)
            scores.unseen[i] = _log_sum_exp(log_weight + row)
            scores.seen[i] = _log_sum_exp(row) - np.log(n_draws)
    return scores


def _log_sum_exp(values: FloatArray) -> float:
    largest = values.max()
    return float(largest + np.log(np.exp(values - largest).sum()))


def _relative_efficiency(theta: FloatArray) -> float:
    """Effective sample size over the number of draws, (n_chains, n_draws, n_parameters), as `arviz.loo` takes it.

    Draws that are no chain count as independent: they come from points that are spread more evenly than chance would.
    """
    if len(theta) == 1:
        return 1.0
    n_draws = theta.shape[0] * theta.shape[1]
    return float(np.mean([az.ess_mean(theta[:, :, i]) for i in range(theta.shape[-1])]) / n_draws)


def _warn_of_influence(
    name: str,
    rows: Mapping[str, FloatArray],
    weight: FloatArray,
    k: FloatArray,
    bad: NDArray[np.bool_],
    good_k: float,
) -> None:
    worst = int(np.argmax(np.where(bad, k, -np.inf)))
    history = ", ".join(f"{column} {values[worst]:.4g}" for column, values in rows.items())
    warn(
        f"{name}: {weight[bad].sum():,.0f} of {weight.sum():,.0f} customers move the posterior too much for their "
        f"leave-one-out score to be trusted (the most: {history}; Pareto k {k[worst]:.2f}, and should be at most "
        f"{good_k:.2f}). Look at these customers, or compare models on a holdout instead (split_transactions).",
        InfluenceWarning,
    )
