"""The BG family's log-likelihood and gradient, without the Hessian: what a sampler asks for at every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from predclv.kernels.bg_family_likelihood import log_likelihood_derivatives

__all__ = ["bind_gradient"]

Floats = npt.NDArray[np.float64]


def bind_gradient(
    x: Floats, t_x: Floats, T: Floats, weight: Floats, k: int = 1, dropout_at_first: bool = False
) -> Callable[[Floats], tuple[float, Floats]]:
    """Bind weighted rows; the result maps theta (4,) to the log-likelihood and its gradient (4,)."""
    return partial(_without_hessian, x, t_x, T, weight, k, dropout_at_first)


def _without_hessian(
    x: Floats, t_x: Floats, T: Floats, weight: Floats, k: int, dropout_at_first: bool, theta: Floats
) -> tuple[float, Floats]:
    return log_likelihood_derivatives(x, t_x, T, weight, theta, k, dropout_at_first)[:2]
