"""Newton's method on densities whose mode, or lack of one, is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from predclv.errors import FitError
from predclv.inference.log_density import Derivatives, unconstrained_derivatives
from predclv.inference.optimize import maximize
from predclv.parameters import Parameter, from_unconstrained, to_unconstrained

SHAPE = Parameter("shape", "shape", (0.5, 5.0))
RATE = Parameter("rate", "rate", (0.5, 5.0), above=0.25)


@dataclass(frozen=True)
class Quadratic:
    """A normal density in the natural parameters, far from quadratic in their logs."""

    mode: np.ndarray
    precision: np.ndarray
    parameters: tuple[Parameter, ...] = (SHAPE, RATE)
    n_observations: int = 1

    def derivatives(self, values):
        away = values - self.mode
        return Derivatives(-0.5 * away @ self.precision @ away, -self.precision @ away, -self.precision)


@dataclass(frozen=True)
class Ridge:
    """Rises towards infinity along shape = rate; only their difference is known."""

    parameters: tuple[Parameter, ...] = (SHAPE, RATE)
    n_observations: int = 1

    def derivatives(self, values):
        shape, rate = values
        gap = np.log(shape) - np.log(rate)
        gap_slope = np.array([1 / shape, -1 / rate])
        gap_curve = np.diag([-1 / shape**2, 1 / rate**2])
        # -1/shape rises for ever; the gap has a normal density.
        value = -1 / shape - 50 * (gap - 0.3) ** 2
        gradient = np.array([1 / shape**2, 0.0]) - 100 * (gap - 0.3) * gap_slope
        hessian = np.diag([-2 / shape**3, 0.0]) - 100 * (np.outer(gap_slope, gap_slope) + (gap - 0.3) * gap_curve)
        return Derivatives(value, gradient, hessian)


@dataclass(frozen=True)
class Broken:
    parameters: tuple[Parameter, ...] = (SHAPE,)
    n_observations: int = 1

    def derivatives(self, values):
        return Derivatives(np.nan, np.zeros(1), np.zeros((1, 1)))


@pytest.mark.parametrize("start", [(1.0, 1.0), (0.01, 300.0), (40.0, 0.26)])
def test_reaches_the_mode_from_afar(start):
    mode, precision = np.array([2.0, 7.0]), np.array([[400.0, -30.0], [-30.0, 25.0]])
    optimum = maximize(Quadratic(mode, precision), np.array(start))
    np.testing.assert_allclose(optimum.values, mode, rtol=1e-9)
    assert optimum.runaway == {}
    assert optimum.n_flat == 0
    # d value / d u = value - above, so the covariance scales by it.
    slope = mode - np.array([0.0, 0.25])
    np.testing.assert_allclose(optimum.covariance, np.linalg.inv(precision) / np.outer(slope, slope), rtol=1e-8)


def test_names_the_parameters_that_run_away_and_keeps_what_is_known():
    optimum = maximize(Ridge(), np.array([1.0, 1.25]))
    assert optimum.runaway == {"shape": "high", "rate": "high"}
    assert optimum.n_flat == 1
    # Along the ridge nothing is known; across it the log ratio has precision 100.
    across = np.array([1.0, -1.0])
    assert across @ optimum.covariance @ across == pytest.approx(1 / 100, rel=1e-3)
    assert np.log(optimum.values[0] / optimum.values[1]) == pytest.approx(0.3, abs=1e-4)


def test_says_that_a_density_is_not_finite():
    with pytest.raises(FitError, match=r"not finite at the start shape = 1"):
        maximize(Broken(), np.array([1.0]))


def test_chain_rule_against_differences():
    density = Quadratic(np.array([2.0, 7.0]), np.array([[4.0, -3.0], [-3.0, 25.0]]))
    at = to_unconstrained(density.parameters, np.array([1.5, 3.0]))
    exact = unconstrained_derivatives(density, at)
    step = 1e-5
    for i in range(2):
        shift = step * np.eye(2)[i]
        above, below = unconstrained_derivatives(density, at + shift), unconstrained_derivatives(density, at - shift)
        assert exact.gradient[i] == pytest.approx((above.value - below.value) / (2 * step), rel=1e-7)
        np.testing.assert_allclose(exact.hessian[i], (above.gradient - below.gradient) / (2 * step), rtol=1e-7)


def test_transform_round_trip():
    values = np.array([[0.3, 0.2501], [1e5, 1e-3 + 0.25]])
    there = to_unconstrained((SHAPE, RATE), values)
    np.testing.assert_allclose(from_unconstrained((SHAPE, RATE), there), values, rtol=1e-12)
