"""Gamma-Gamma spend's log-likelihood and gradient, without the Hessian: what a sampler asks for at every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from predclv.kernels.gamma_gamma_compiled import log_likelihood_derivatives

__all__ = ["bind_gradient"]

FloatArray = NDArray[np.float64]


def bind_gradient(x: FloatArray, m: FloatArray, weight: FloatArray) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Bind weighted rows; the result maps theta (3,) to the log-likelihood and its gradient (3,)."""
    return partial(_directly, x, m, weight)


def _directly(x: FloatArray, m: FloatArray, weight: FloatArray, theta: FloatArray) -> tuple[float, FloatArray]:
    return log_likelihood_derivatives(x, m, weight, theta)[:2]
