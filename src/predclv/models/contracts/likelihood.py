"""The likelihood of contracts bound to subscriptions, and data like them brought about by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from predclv.data.subscriptions import Subscriptions
from predclv.forecast.contract_paths import replicate_losses
from predclv.inference.evidence import Replicate, Replicated
from predclv.kernels.contracts import likelihood as kernel
from predclv.kernels.contracts import log_likelihood
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter

__all__ = ["bind_likelihood", "bind_replicate", "by_renewal"]

FloatArray = NDArray[np.float64]
#: From a model's own parameters, (n_draws, n_parameters), to those of the kernels, (n_draws, 3).
Full = Callable[[FloatArray], FloatArray]
ByRenewal = tuple[FloatArray, FloatArray]


def by_renewal(subs: Subscriptions) -> ByRenewal:
    """Customers who stayed, and who left, at the 1st, 2nd, ... renewal."""
    return kernel.count_by_renewal(subs.tenure.astype(np.float64), subs.lost.astype(np.float64), subs.weight)


def bind_likelihood(subs: Subscriptions, parameters: tuple[Parameter, ...], full: Full) -> Likelihood:
    """Bind the log-likelihood of contracts; its rows are the distinct (tenure, lost)."""
    code, row = np.unique(2 * subs.tenure + subs.lost, return_inverse=True)
    weight: FloatArray = np.bincount(row, weights=subs.weight).astype(np.float64)
    tenure, lost = (code // 2).astype(np.float64), (code % 2).astype(np.float64)
    data = kernel.count_by_renewal(tenure, lost, weight)
    n = len(parameters)
    return Likelihood(
        parameters,
        n_observations=round(subs.n_customers),
        n_rows=len(data[0]),
        evaluate=partial(_derivatives, full, n, data),
        make_evaluate_many=partial(partial, _values, full, data),
        make_evaluate_gradient=partial(partial, _gradient, full, n, data),
        pointwise=partial(_pointwise, full),
        rows={"tenure": tenure, "lost": lost},
        weight=weight,
        literal=log_likelihood,
    )


def bind_replicate(likelihood: Likelihood, full: Full) -> Replicate:
    """Say how losses like those of the data are brought about."""
    rows = likelihood.rows
    return partial(_replicate, full, kernel.count_by_renewal(rows["tenure"], rows["lost"], likelihood.weight))


def _derivatives(full: Full, n: int, data: ByRenewal, theta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    value, gradient, hessian = kernel.log_likelihood_derivatives(*data, full(theta[np.newaxis])[0])
    return float(value), gradient[:n], hessian[:n, :n]


def _gradient(full: Full, n: int, data: ByRenewal, theta: FloatArray) -> tuple[float, FloatArray]:
    return _derivatives(full, n, data, theta)[:2]


def _values(full: Full, data: ByRenewal, theta: FloatArray) -> FloatArray:
    values: FloatArray = kernel.log_likelihood_values(*data, full(theta))
    return values


def _pointwise(full: Full, tenure: FloatArray, lost: FloatArray, theta: FloatArray) -> FloatArray:
    # Copies, because the compiled kernels tell arrays that cannot be written to from others.
    values: FloatArray = kernel.pointwise_log_likelihood(tenure.copy(), lost.copy(), full(theta))
    return values


def _replicate(full: Full, data: ByRenewal, theta: FloatArray, seed: int) -> Replicated:
    return replicate_losses(*data, full(theta), seed)
