"""The mode of what segments have in common, by Laplace's method in each segment.

Tierney & Kadane (1986), Journal of the American Statistical Association 81(393).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.errors import FitError
from predclv.inference.hierarchy import SPREAD, Hierarchy, HyperMode, SegmentModes
from predclv.inference.log_density import FullDensity, unconstrained_derivatives
from predclv.parameters import to_unconstrained

__all__ = ["find_hyper_mode", "rough_hyper_mode"]

FloatArray = NDArray[np.float64]

# Half the squared distance to a conditional mode, in standard errors: 1e-12 keeps its value to as much.
_DECREMENT = 1e-12
_MOST_STEPS = 100
# A step changes no parameter by more than a factor e^2.
_LONGEST_STEP = 2.0
_EM_STEPS = 25
_DIFFERENCE = 1e-3


def find_hyper_mode(hierarchy: Hierarchy, start: FloatArray, name: str) -> HyperMode:
    """Climb to the mode of the marginal posterior of h.

    Parameters
    ----------
    hierarchy : Hierarchy
    start : (n_parameters,) array
        Natural values to begin at, as for complete pooling.
    name : str
        What errors call the model.

    Raises
    ------
    FitError
        No mode was reached.
    """
    from scipy.optimize import minimize

    climb, hyper = _begin(hierarchy, start)
    for _ in range(_EM_STEPS):
        hyper = climb.expect_and_maximize(hyper)
    options: Any = {"gtol": 1e-4}
    curvature = -climb.hessian(hyper)
    if np.isfinite(curvature).all() and np.linalg.eigvalsh(curvature)[0] > 0:
        # The mode is a step away or two, once it is known how far apart contours lie.
        inverse = np.linalg.inv(curvature)
        options["hess_inv0"] = 0.5 * (inverse + inverse.T)
    # Differences make the gradient, so the mode is near and not exact; the importance sampler forgives that.
    found: Any = minimize(climb.fall, hyper, jac=True, method="BFGS", options=options)
    hyper = np.asarray(found.x, dtype=np.float64)
    hessian = climb.hessian(hyper)
    if not np.isfinite(hessian).all() or np.linalg.eigvalsh(-hessian)[0] <= 0:
        raise FitError(
            f"{name}: no mode was found for what {len(hierarchy.names)} segments have in common. Narrow the priors, or "
            "use method='mcmc'."
        )
    covariance = np.linalg.inv(-hessian).astype(np.float64, copy=False)
    return HyperMode(hyper, covariance, climb.segments(hyper), climb.value(hyper))


def rough_hyper_mode(hierarchy: Hierarchy, start: FloatArray) -> HyperMode:
    """Where chains may begin when there is no mode: `start`, typical spreads, and the priors' widths."""
    climb, hyper = _begin(hierarchy, start)
    ends = np.transpose([hierarchy.priors[p.name].quantile([0.16, 0.84]) - p.above for p in hierarchy.hyper_parameters])
    covariance = np.diag((0.5 * np.log(ends[1] / ends[0])) ** 2)
    return HyperMode(hyper, covariance, climb.segments(hyper), climb.value(hyper))


def _begin(hierarchy: Hierarchy, start: FloatArray) -> tuple[_Climb, FloatArray]:
    """Every segment at `start`, and spreads at their prior medians."""
    center = to_unconstrained(hierarchy.parameters, start)
    spreads = [float(hierarchy.priors[f"{p.name}{SPREAD}"].quantile(0.5)) for p in hierarchy.parameters]
    return _Climb(hierarchy, np.tile(center, (len(hierarchy.names), 1))), np.concatenate([center, np.log(spreads)])


@dataclass
class _Climb:
    """The marginal posterior of h; it remembers the segments' modes, from which the next ones are a step away."""

    hierarchy: Hierarchy
    modes: FloatArray

    def segments(self, hyper: FloatArray) -> SegmentModes:
        center, spread = np.split(hyper, 2)
        spread = np.exp(spread)
        modes, precisions, total = np.empty_like(self.modes), [], 0.0
        for s, likelihood in enumerate(self.hierarchy.likelihoods):
            modes[s], value, precision = _climb_segment(likelihood, center, spread, self.modes[s])
            total += value - float(np.log(spread).sum()) - 0.5 * float(np.linalg.slogdet(precision)[1])
            precisions.append(precision)
        self.modes = modes
        return SegmentModes(modes, np.array(precisions), total)

    def value(self, hyper: FloatArray) -> float:
        return self.segments(hyper).log_marginal + self.hierarchy.log_prior.value(hyper)

    def fall(self, hyper: FloatArray) -> tuple[float, FloatArray]:
        """Negative value and gradient."""
        return -self.value(hyper), -self.gradient(hyper)

    def gradient(self, hyper: FloatArray) -> FloatArray:
        steps = _DIFFERENCE * np.eye(len(hyper))
        return np.array([(self.value(hyper + step) - self.value(hyper - step)) / (2 * _DIFFERENCE) for step in steps])

    def hessian(self, hyper: FloatArray) -> FloatArray:
        step = 10 * _DIFFERENCE
        steps = step * np.eye(len(hyper))
        here = self.value(hyper)
        beside = np.array([self.value(hyper + one) + self.value(hyper - one) - 2 * here for one in steps])
        hessian = np.diag(beside)
        for i, j in zip(*np.triu_indices(len(hyper), 1), strict=True):
            both = steps[i] + steps[j]
            across = self.value(hyper + both) + self.value(hyper - both) - 2 * here
            hessian[i, j] = hessian[j, i] = 0.5 * (across - beside[i] - beside[j])
        return hessian / step**2

    def expect_and_maximize(self, hyper: FloatArray) -> FloatArray:
        """One step of EM, with Laplace's moments of the segments and one Newton step of h: it nears the mode fast."""
        found, spread = self.segments(hyper), np.exp(hyper[len(hyper) // 2 :])
        variance = np.diagonal(found.covariances, axis1=1, axis2=2)
        distance = found.modes - hyper[: len(spread)]
        slope, curvature = self.hierarchy.log_prior.derivatives(hyper)
        second_moment = (distance**2 + variance) / spread**2
        slope = slope + np.concatenate([(distance / spread**2).sum(axis=0), (second_moment - 1).sum(axis=0)])
        curvature = curvature - np.concatenate([len(distance) / spread**2, 2 * second_moment.sum(axis=0)])
        return np.asarray(hyper + np.clip(-slope / np.minimum(curvature, -1e-8), -1.0, 1.0))


def _climb_segment(
    likelihood: FullDensity, center: FloatArray, spread: FloatArray, start: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    """Mode, value and negative Hessian of a segment's log-likelihood less half the squared distance to the center."""
    position = start
    value, slope, precision = _segment_derivatives(likelihood, center, spread, position)
    if not np.isfinite(value):
        position = center.copy()
        value, slope, precision = _segment_derivatives(likelihood, center, spread, position)
    for _ in range(_MOST_STEPS):
        variance, axes = np.linalg.eigh(precision)
        # Where the density curves upwards, its steepness is taken for its curvature.
        step = axes @ ((axes.T @ slope) / np.maximum(np.abs(variance), 1e-8))
        if 0.5 * abs(float(slope @ step)) < _DECREMENT:
            break
        step *= min(1.0, _LONGEST_STEP / float(np.abs(step).max()))
        for _ in range(30):
            nearby = _segment_derivatives(likelihood, center, spread, position + step)
            if np.isfinite(nearby[0]) and nearby[0] >= value - 1e-12 * abs(value):
                break
            step = 0.5 * step
        else:
            break
        position = position + step
        value, slope, precision = nearby
    if np.linalg.eigvalsh(precision)[0] <= 0:
        precision = axes @ np.diag(np.maximum(np.abs(variance), 1e-8)) @ axes.T
    return position, value, precision


def _segment_derivatives(
    likelihood: FullDensity, center: FloatArray, spread: FloatArray, position: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Value, gradient and negative Hessian by the unconstrained parameters."""
    with np.errstate(all="ignore"):
        data = unconstrained_derivatives(likelihood, position)
    distance = (position - center) / spread
    if not data.is_finite:
        return -np.inf, np.zeros_like(position), np.diag(spread**-2)
    value = data.value - 0.5 * float(distance @ distance)
    return value, data.gradient - distance / spread, np.diag(spread**-2) - data.hessian
