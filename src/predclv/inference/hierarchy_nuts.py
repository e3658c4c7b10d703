"""Segments that share strength as NUTS walks them: coordinates in which neither small nor large ones make a funnel.

A segment without data follows the population, and is sampled best as its distance to the center in spreads (not
centered); one with many data has parameters of its own, whatever the population (centered). Between them lies a weight
lambda for each parameter of each segment: y ~ N(lambda c, tau^lambda), u = c + tau^(1 - lambda) (y - lambda c);
Papaspiliopoulos, Roberts & Skold (2003), Bayesian Statistics 7. Here lambda is the share of the prior variance that the
data took away at the mode of the hyper parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predclv.inference.hierarchy import Hierarchy, HyperMode
from predclv.inference.nuts import Evaluate
from predclv.parameters import Parameter, from_unconstrained

__all__ = ["HierarchyTarget"]

FloatArray = NDArray[np.float64]

# Logarithm of a parameter less its lower end: beyond, products of parameters leave the range of numbers.
_FARTHEST = 300.0


@dataclass(frozen=True, eq=False)
class HierarchyTarget:
    """Joint posterior of hyper parameters and segments; a `Target`.

    Positions hold 2 n_parameters standardised hyper parameters, then n_parameters for each segment.
    """

    hierarchy: Hierarchy
    mode: HyperMode

    @property
    def size(self) -> int:
        """See `Target`."""
        return self._n_hyper + self.mode.segments.modes.size

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Of `natural`: hyper parameters, then each segment's, called "r[name]"."""
        own = (
            Parameter(f"{p.name}[{name}]", p.meaning, p.typical, p.above, p.unit)
            for name in self.hierarchy.names
            for p in self.hierarchy.parameters
        )
        return (*self.hierarchy.hyper_parameters, *own)

    def make_evaluate(self) -> Evaluate:
        """See `Target`."""
        gradients = [_on_unconstrained_scale(h.make_gradient(), self._above) for h in self.hierarchy.likelihoods]
        prior, share, root = self.hierarchy.log_prior, self.share, self._hyper_root
        half, n_hyper = self._n_hyper // 2, self._n_hyper

        def evaluate(position: FloatArray) -> tuple[float, FloatArray]:
            hyper = self.mode.hyper + root @ position[:n_hyper]
            if not np.abs(hyper).max() < _FARTHEST:
                return -math.inf, np.zeros(len(position))
            center, log_spread = hyper[:half], hyper[half:]
            standard = position[n_hyper:].reshape(-1, half)
            coordinate = self.middle + np.einsum("sij,sj->si", self._roots, standard)
            stretch, scale = np.exp((1 - share) * log_spread), np.exp(share * log_spread)
            from_center = coordinate - share * center
            unconstrained = center + stretch * from_center
            if not np.abs(unconstrained).max() < _FARTHEST:
                return -math.inf, np.zeros(len(position))
            value, by_hyper = prior.value_and_gradient(hyper)
            slope = np.empty_like(unconstrained)
            for s, gradient in enumerate(gradients):
                own, slope[s] = gradient(unconstrained[s])
                value += own
            distance = from_center / scale
            value -= 0.5 * float(np.sum(distance**2)) + float((share * log_spread).sum())
            by_coordinate = slope * stretch - distance / scale
            by_center = slope * (1 - share * stretch) + share * distance / scale
            by_log_spread = slope * (1 - share) * stretch * from_center + share * (distance**2 - 1)
            by_hyper = by_hyper + np.concatenate([by_center.sum(axis=0), by_log_spread.sum(axis=0)])
            back = np.einsum("sij,si->sj", self._roots, by_coordinate)
            whole = np.concatenate([root.T @ by_hyper, back.ravel()])
            if not (math.isfinite(value) and np.isfinite(whole).all()):
                return -math.inf, np.zeros(len(position))
            return value, whole

        return evaluate

    def coordinates(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """h, (..., 2 n_parameters), and y, (..., n_segments, n_parameters), at positions (..., size)."""
        hyper = self.mode.hyper + positions[..., : self._n_hyper] @ self._hyper_root.T
        standard = positions[..., self._n_hyper :].reshape(*positions.shape[:-1], *self.share.shape)
        return hyper, self.middle + np.einsum("sij,...sj->...si", self._roots, standard)

    def natural(self, positions: FloatArray) -> FloatArray:
        """See `Target`."""
        hyper, coordinate = self.coordinates(positions)
        center, log_spread = np.split(hyper, 2, axis=-1)
        center, log_spread = center[..., np.newaxis, :], log_spread[..., np.newaxis, :]
        unconstrained = center + np.exp((1 - self.share) * log_spread) * (coordinate - self.share * center)
        own = from_unconstrained(self.hierarchy.parameters, unconstrained)
        shared = from_unconstrained(self.hierarchy.hyper_parameters, hyper)
        return np.concatenate([shared, own.reshape(*positions.shape[:-1], -1)], axis=-1)

    @property
    def _n_hyper(self) -> int:
        return len(self.mode.hyper)

    @property
    def _above(self) -> FloatArray:
        return np.array([p.above for p in self.hierarchy.parameters])

    @cached_property
    def _hyper_root(self) -> FloatArray:
        return np.linalg.cholesky(self.mode.covariance).astype(np.float64, copy=False)

    @cached_property
    def share(self) -> FloatArray:
        """lambda, (n_segments, n_parameters): 0 is not centered, 1 is centered."""
        variance = np.diagonal(self.mode.segments.covariances, axis1=1, axis2=2)
        return np.asarray(np.clip(1.0 - variance / self.mode.spread**2, 0.0, 1.0))

    @cached_property
    def _stretch(self) -> FloatArray:
        return np.asarray(self.mode.spread ** (1 - self.share))

    @cached_property
    def middle(self) -> FloatArray:
        """Coordinates y at the segments' modes, (n_segments, n_parameters)."""
        center = self.mode.center
        return np.asarray(self.share * center + (self.mode.segments.modes - center) / self._stretch)

    @property
    def covariances(self) -> FloatArray:
        """Of each segment's y given h, (n_segments, n_parameters, n_parameters)."""
        stretch = self._stretch
        return np.asarray(self.mode.segments.covariances / (stretch[:, :, np.newaxis] * stretch[:, np.newaxis, :]))

    @cached_property
    def _roots(self) -> FloatArray:
        return np.linalg.cholesky(self.covariances).astype(np.float64, copy=False)


def _on_unconstrained_scale(
    gradient: Callable[[FloatArray], tuple[float, FloatArray]], above: FloatArray
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    def evaluate(unconstrained: FloatArray) -> tuple[float, FloatArray]:
        excess = np.exp(unconstrained)
        value, slope = gradient(excess + above)
        return value, slope * excess

    return evaluate
