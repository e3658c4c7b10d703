"""Which parameter values a forecast is taken at: the point, or draws, and how many."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from predclv.inference.posterior import Posterior

__all__ = ["CUSTOMER_DRAWS", "MEAN_DRAWS", "Estimate", "center_draws", "choose_theta"]

FloatArray = NDArray[np.float64]
Estimate = Literal["point", "draws"]

# Draws for a forecast of single customers: parameter uncertainty moves one customer's interval little, and
# Sobol points spread so few draws well.
CUSTOMER_DRAWS = 64
# Draws behind the interval of one customer's mean: its ends are then off by 2 % of its width (CDNOW; 6 % with 64).
MEAN_DRAWS = 256


def choose_theta(posterior: Posterior, estimate: Estimate | None) -> FloatArray:
    """Theta, (1 or n_draws, n_parameters), that an expectation is taken at.

    None means the convention: the point for maximum likelihood, as the papers do, the draws for a posterior.
    """
    if estimate not in (None, "point", "draws"):
        raise ValueError(f"'estimate' must be 'point', 'draws' or None. Got {estimate!r}.")
    if estimate == "point" or (estimate is None and posterior.method == "mle"):
        return posterior.point_array[np.newaxis, :].copy()
    return posterior.draws_array()


def center_draws(horizon: float) -> int | None:
    """Draws behind an expectation; None is all. Over an infinite horizon each costs some hundred times as much."""
    return None if np.isfinite(horizon) else MEAN_DRAWS
