"""Forecasts of what a purchase is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predclv.kernels.gamma_gamma.compiled import expected_spend

__all__ = ["mean_expected_spend"]

FloatArray = NDArray[np.float64]


def mean_expected_spend(x: FloatArray, mean_spend: FloatArray, theta: FloatArray) -> FloatArray:
    """Expected spend per purchase given each history, averaged over parameters.

    Parameters
    ----------
    x, mean_spend : (n_customers,) arrays
        Repeat purchases and their mean spend; both 0 for a one-time buyer, whose spend is the population's.
    theta : (n_draws, 3) array
        p, q, gamma; one row for a point estimate.

    Returns
    -------
    (n_customers,) array
        Infinite where some draw has ``p x + q <= 1``.
    """
    total = np.zeros(x.shape[0])
    for row in np.ascontiguousarray(theta):
        total += expected_spend(x, mean_spend, row[np.newaxis])[0]
    return np.asarray(total / theta.shape[0])
