"""Draws around a maximum of the likelihood, as in large samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.inference.posterior import N_DRAWS, Draws
from predclv.parameters import Parameter, from_unconstrained, to_unconstrained

__all__ = ["NormalDraws"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NormalDraws:
    """Draws from a normal on the unconstrained scale: the large-sample approximation, by Sobol points.

    Called with nothing. The leading 2^m rows are themselves well spread, which is what a forecast for single
    customers uses.
    """

    parameters: tuple[Parameter, ...]
    center: FloatArray
    covariance: FloatArray
    seed: int
    n_draws: int = N_DRAWS

    def __call__(self) -> Draws:
        """Make the draws."""
        from scipy.special import ndtri
        from scipy.stats import qmc

        uniform = qmc.Sobol(len(self.parameters), scramble=True, rng=self.seed).random(self.n_draws)
        # Sobol points lie in [0, 1); half a cell keeps the quantile finite.
        standard = ndtri(np.clip(uniform, 0.5 / 2**30, None))
        variance, axes = np.linalg.eigh(self.covariance)
        root = axes * np.sqrt(np.maximum(variance, 0.0))
        unconstrained = to_unconstrained(self.parameters, self.center) + standard @ root.T
        return Draws(np.ascontiguousarray(from_unconstrained(self.parameters, unconstrained)))
