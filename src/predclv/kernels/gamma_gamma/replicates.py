"""Replicated mean spends of the Gamma-Gamma model: what other customers with the same counts would have spent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

__all__ = ["cumulative_probability", "replicate_mean_spend"]

FloatArray = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny
_HUGE = 1e300


def replicate_mean_spend(generator: np.random.Generator, x: FloatArray, theta: FloatArray) -> FloatArray:
    """Mean spend over `x` purchases of one new customer each: x m ~ Gamma(p x, rate nu), nu ~ Gamma(q, rate gamma).

    Parameters
    ----------
    generator : numpy.random.Generator
    x : (n_customers,) array
        Purchases, >= 1.
    theta : (3,) array
        p, q, gamma.

    Returns
    -------
    (n_customers,) array, > 0
    """
    p, q, gamma = theta
    # Gammas of small shape underflow to zero, where neither a ratio nor a logarithm exists.
    total = np.maximum(generator.standard_gamma(p * x), _TINY)
    return np.asarray(gamma / x * total / np.maximum(generator.standard_gamma(q, len(x)), _TINY))


def cumulative_probability(m: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
    """P(mean spend <= m | x): x m / gamma is a ratio of a Gamma(p x) to a Gamma(q), a beta prime.

    Parameters
    ----------
    m : array, >= 0
        May be infinite.
    x : array, >= 1
        Broadcast against `m`.
    theta : (3,) array, or (3, ...) where each has its own
        p, q, gamma.

    References
    ----------
    Fader & Hardie (2013), brucehardie.com/notes/025, eq. (1a), integrated.
    """
    p, q, gamma = theta
    # An infinite ratio over itself would be NaN.
    ratio = np.minimum(x * m / gamma, _HUGE)
    return np.asarray(betainc(p * x, q, ratio / (1.0 + ratio)))
