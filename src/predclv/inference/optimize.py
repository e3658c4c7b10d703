"""The mode of a log density: Newton's method on unconstrained parameters, damped where it must be.

The densities here have two to four parameters, exact Hessians, and one mode where the data are informative.
Where they are not, the density rises forever towards the edge of the domain. `maximize` recognises this,
stops, and says which parameters ran away, so that a model can put it in plain words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from predclv.errors import FitError
from predclv.inference.log_density import Derivatives, LogDensity, unconstrained_derivatives
from predclv.parameters import from_unconstrained, to_unconstrained

__all__ = ["Optimum", "maximize"]

FloatArray = NDArray[np.float64]
Edge = Literal["low", "high"]

# Half the squared distance to the mode, in standard errors: 1e-10 leaves 1e-5 of one before the last full step.
_DECREMENT = 1e-10
# A rise below this share of the value is rounding, which no line search can tell from a fall.
_ROUNDING = 1e-14
# A step changes no parameter by more than a factor e^2.
_LONGEST_STEP = 2.0
# A parameter this many times its start, or this fraction of it, has run away.
_RUNAWAY = math.log(1e5)
# A direction with less information than this is flat: a normal there would spread a parameter over a factor of
# e^10 (90 %), most of which the likelihood, flat on one side and steep on the other, excludes.
_FLAT = 1.0 / 3.0**2
# A parameter with more than this share of a flat direction goes with it.
_SHARE = 0.3


@dataclass(frozen=True)
class Optimum:
    """Where `maximize` ended.

    Attributes
    ----------
    values : (n,) array
        Natural parameter values.
    log_density : float
        Value of the log density there.
    covariance : (n, n) array
        Inverse of the negative Hessian in the unconstrained parameters, over the directions that the data
        inform; flat directions contribute nothing.
    n_iterations : int
        Newton steps taken.
    runaway : dict
        Parameters that went towards an edge of their domain, with the edge: the density has no mode, or one that
        hardly stands out, and the parameter is held where the search ended.
    n_flat : int
        Number of directions that the data do not inform.
    """

    values: FloatArray
    log_density: float
    covariance: FloatArray
    n_iterations: int
    runaway: dict[str, Edge]
    n_flat: int


def maximize(density: LogDensity, start: FloatArray, *, max_iterations: int = 200, proper: bool = False) -> Optimum:
    """Climb from natural values `start` (n,) to the mode of `density`.

    Where the density is `proper`, as under proper priors, it has a mode, and no direction counts as flat, however wide.

    Raises
    ------
    FitError
        The density is not finite at the start, or the mode is not reached in `max_iterations` steps.
    """
    first = to_unconstrained(density.parameters, start)
    position = first
    here = unconstrained_derivatives(density, position)
    if not here.is_finite:
        raise FitError(f"The log density is not finite at the start {_format(density, position)}.")
    for iteration in range(1, max_iterations + 1):
        step, decrement = _newton_step(here)
        if decrement < max(_DECREMENT, _ROUNDING * abs(here.value)):
            # So near, the Hessian is what it is at the mode, and the value a parabola's: one evaluation less.
            there = Derivatives(here.value + decrement, np.zeros_like(step), here.hessian)
            return _finish(density, first, position + step, there, iteration, proper)
        position, here, moved = _line_search(density, position, here, step)
        if not moved or (not proper and np.abs(position - first).max() > _RUNAWAY):
            return _finish(density, first, position, here, iteration, proper)
    raise FitError(
        f"No maximum after {max_iterations} Newton steps; the last point was {_format(density, position)}. "
        "Are the data scaled strangely, or too few?"
    )


def _newton_step(here: Derivatives) -> tuple[FloatArray, float]:
    """Ascent step (n,) and half the squared Newton decrement."""
    curvature, axes = np.linalg.eigh(-here.hessian)
    # Where the density curves upwards or not at all, the size of the curvature still gives a scale.
    scale = np.maximum(np.abs(curvature), 1e-10 * np.abs(curvature).max())
    along = axes.T @ here.gradient
    step = axes @ (along / scale)
    decrement = 0.5 * float(np.sum(along**2 / scale)) if (curvature > 0).all() else math.inf
    longest = np.abs(step).max()
    return (step * (_LONGEST_STEP / longest) if longest > _LONGEST_STEP else step), decrement


def _line_search(
    density: LogDensity, position: FloatArray, here: Derivatives, step: FloatArray
) -> tuple[FloatArray, Derivatives, bool]:
    """Halve the step until the density rises enough; tell whether it ever did."""
    slope = float(here.gradient @ step)
    for halving in range(40):
        fraction = 0.5**halving
        trial = position + fraction * step
        there = unconstrained_derivatives(density, trial)
        if there.is_finite and there.value >= here.value + 1e-4 * fraction * slope:
            return trial, there, True
    return position, here, False


def _finish(
    density: LogDensity, first: FloatArray, position: FloatArray, there: Derivatives, n_iterations: int, proper: bool
) -> Optimum:
    curvature, axes = np.linalg.eigh(-there.hessian)
    informed = curvature > (0.0 if proper else _FLAT)
    covariance = (axes[:, informed] / curvature[informed]) @ axes[:, informed].T
    travelled = position - first
    far = np.abs(travelled) > (np.inf if proper else 0.7 * _RUNAWAY)
    gone = far | (np.abs(axes[:, ~informed]) > _SHARE).any(axis=1)
    runaway: dict[str, Edge] = {
        parameter.name: "high" if moved > 0 else "low"
        for parameter, moved, is_gone in zip(density.parameters, travelled, gone, strict=True)
        if is_gone
    }
    if not runaway:
        _check_stationary(density, there, curvature, axes)
    return Optimum(
        values=from_unconstrained(density.parameters, position),
        log_density=there.value,
        covariance=covariance,
        n_iterations=n_iterations,
        runaway=runaway,
        n_flat=int(np.sum(~informed)),
    )


def _check_stationary(density: LogDensity, there: Derivatives, curvature: FloatArray, axes: FloatArray) -> None:
    # The gradient of a sum over n customers is rounded to about 1e-16 of its terms' size.
    along = axes.T @ there.gradient
    decrement = float(np.sum(along**2 / np.maximum(np.abs(curvature), _FLAT)))
    if decrement > 1e-6:
        raise FitError(
            f"The search stalled before a maximum, {math.sqrt(decrement):.2g} standard errors away "
            f"({density.n_observations:,} customers)."
        )


def _format(density: LogDensity, position: FloatArray) -> str:
    values = from_unconstrained(density.parameters, position)
    return ", ".join(f"{p.name} = {v:.4g}" for p, v in zip(density.parameters, values, strict=True))
