"""Draws of segments that share strength, by importance sampling within importance sampling: no chain.

Points of each segment's parameters are drawn once, and the likelihood is worked out at them once. At any
h = (c, log tau) their weights give the segment's likelihood of h, so the marginal posterior of h costs no further
likelihood and is itself sampled by importance; and they give the segment's parameters given h. This is empirical Bayes
with what is not known of the population left in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.inference.hierarchy import Hierarchy, HyperMode
from predclv.inference.importance import ImportanceDraws, draw_t, log_t
from predclv.inference.log_density import Derivatives
from predclv.inference.posterior import N_DRAWS, Draws
from predclv.inference.spread import order_by_halving, whiten
from predclv.parameters import Parameter, from_unconstrained, to_unconstrained

__all__ = ["HierarchyDraws"]

FloatArray = NDArray[np.float64]

# Points a segment; fewer where segments are many, so that weights at all h stay within some seconds.
_MOST_POINTS, _FEWEST_POINTS = 2048, 512
_POINTS = 32_768
# A point at one h costs about as much as three rows of a table of likelihoods.
_ROWS = 3
# h at a time: their weights stay in the processor's cache, and their products with the points below the size from which
# OpenBLAS shares them out among threads, which wait for each other many times as long where processors are busy.
_BLOCK = 8
# Proposals somewhat wider than the posterior cost little; narrower ones miss what is beyond them.
_WIDENED = 1.2
_Z95 = 1.6448536269514722
# Few segments leave log tau a skewed posterior, to which the first proposal, a symmetric one, is a poor guide.
_ROUNDS = 5
# Twice as many dimensions as a model has: with fewer points the gate would close on the noise of the rounds.
_HYPER_POINTS = 16_384
_CONSEQUENCE = (
    "This is about what {n} segments have in common and how far they differ (_spread), of which few segments, or such "
    "as are much alike, say little. The less a segment's own customers say, the more its intervals rest on it, and "
    "those of a new segment most. Sample instead (method='mcmc'), give narrower priors, or leave segments out that are "
    "alike."
)


@dataclass(frozen=True, eq=False)
class _Points:
    """Points of one segment's unconstrained parameters, with likelihood over proposal.

    Attributes
    ----------
    positions : (n_points, n_parameters) array
        In an order that keeps neighbours together.
    log_ratio : (n_points,) array
        Log of the likelihood over the proposal's density, and over the number of points.
    """

    positions: FloatArray
    log_ratio: FloatArray

    @cached_property
    def _features(self) -> FloatArray:
        return np.hstack([self.positions**2, self.positions])

    def log_weights(self, normal: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Log weights at each h of `normal_factors`, (n, n_points); their sum is the likelihood of h."""
        factors, constant = normal
        log_weights: FloatArray = factors @ self._features.T
        log_weights += self.log_ratio
        log_weights += constant
        return log_weights


@dataclass(frozen=True, eq=False)
class _Marginal:
    """Marginal posterior of the hyper parameters: a log density for `ImportanceDraws`."""

    hierarchy: Hierarchy
    points: Sequence[_Points]
    shift: FloatArray

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.hierarchy.hyper_parameters

    @property
    def n_observations(self) -> int:
        return self.hierarchy.n_observations

    @property
    def n_rows(self) -> int:
        return _ROWS * sum(len(points.positions) for points in self.points)

    def derivatives(self, values: FloatArray) -> Derivatives:
        raise NotImplementedError("the mode is found by Laplace's method, in `hierarchy`")

    def values(self, theta: FloatArray) -> FloatArray:
        hyper = to_unconstrained(self.parameters, theta)
        value = self.hierarchy.log_prior.values(hyper)
        for start in range(0, len(hyper), _BLOCK):
            block = slice(start, start + _BLOCK)
            normal = normal_factors(*split_hyper(hyper[block], self.shift))
            for points in self.points:
                value[block] += _exponentials(points.log_weights(normal))[0]
        return value


@dataclass(frozen=True, eq=False)
class HierarchyDraws:
    """Joint draws of hyper parameters and of all segments' parameters; called with nothing, and made once.

    Draw i of every segment belongs to draw i of the hyper parameters.

    Attributes
    ----------
    hierarchy : Hierarchy
    mode : HyperMode
    seed : int
    name : str
        What the warning calls the model.
    warns : bool
    """

    hierarchy: Hierarchy
    mode: HyperMode
    seed: int
    name: str
    warns: bool = True
    n_draws: int = N_DRAWS

    def __call__(self) -> Draws:
        """Draws of the hyper parameters, (n_draws, 2 n_parameters)."""
        return self._made[0]

    def of_segment(self, segment: int) -> Draws:
        """Draws of one segment's parameters, (n_draws, n_parameters)."""
        return self._made[1][segment]

    @cached_property
    def _made(self) -> tuple[Draws, list[Draws]]:
        shift = self.mode.center
        points = [self._points(segment, shift) for segment in range(len(self.hierarchy.names))]
        marginal = _Marginal(self.hierarchy, points, shift)
        natural = from_unconstrained(marginal.parameters, self.mode.hyper)
        hyper = ImportanceDraws(
            marginal,
            natural,
            self.mode.covariance,
            self.seed,
            self.name,
            warns=self.warns,
            n_draws=self.n_draws,
            most_rounds=_ROUNDS,
            most_points=_HYPER_POINTS,
            consequence=_CONSEQUENCE.format(n=len(self.hierarchy.names)),
        )()
        center, spread = split_hyper(to_unconstrained(marginal.parameters, hyper.values), shift)
        segments, effective = [], []
        for segment, own in enumerate(points):
            positions, size = self._choose(own, center, spread, segment)
            segments.append(Draws(from_unconstrained(self.hierarchy.parameters, positions + shift), {}))
            effective.append(size)
        found: dict[str, Any] = {
            **hyper.diagnostics,
            "approximation": "nested importance sampling",
            "n_segments": len(segments),
            "n_points_of_a_segment": len(points[0].positions),
            "least_effective_points": min(effective),
        }
        return Draws(hyper.values, found), segments

    def _points(self, segment: int, shift: FloatArray) -> _Points:
        likelihood, parameters = self.hierarchy.likelihoods[segment], self.hierarchy.parameters
        n = int(np.clip(_POINTS // len(self.hierarchy.names), _FEWEST_POINTS, _MOST_POINTS))
        n = 2 ** int(np.log2(n))
        mode = self.mode.segments.modes[segment]
        # Half of the points where the segment probably is, half where it may be if segments differ by more than that.
        proposals = [_WIDENED * self.mode.segment_covariances(spread)[segment] for spread in self._spreads]
        positions = np.concatenate(
            [draw_t(mode, covariance, n // 2, [self.seed, 1, segment, i])[0] for i, covariance in enumerate(proposals)]
        )
        log_proposal = np.logaddexp(*(log_t(positions, mode, covariance) for covariance in proposals))
        with np.errstate(all="ignore"):
            log_ratio = likelihood.values(from_unconstrained(parameters, positions)) - log_proposal
        log_ratio[~np.isfinite(log_ratio)] = -np.inf
        positions = positions - shift
        order = order_by_halving(whiten(positions, np.full(n, 1.0 / n)), np.full(n, 1.0 / n), int(np.log2(n)))
        return _Points(positions[order], log_ratio[order] - np.log(n))

    @cached_property
    def _spreads(self) -> tuple[FloatArray, FloatArray]:
        """Spreads at the mode, and such as are not exceeded with a probability of 95 %."""
        log_error = np.sqrt(np.diag(self.mode.covariance))[len(self.mode.spread) :]
        return self.mode.spread, self.mode.spread * np.exp(_Z95 * log_error)

    def _choose(
        self, points: _Points, center: FloatArray, spread: FloatArray, segment: int
    ) -> tuple[FloatArray, float]:
        """One point for each h, in proportion to its weight there, and the median effective number of points."""
        from scipy.stats import qmc

        # Another dimension for each segment, and none the first: that is what the hyper parameters were chosen by, and
        # two sequences of one dimension share their digits, so that what they choose would not be independent.
        uniform = qmc.Sobol(segment + 2, scramble=True, rng=[self.seed, 2, segment]).random(len(center))[:, -1]
        chosen, effective = np.empty(len(center), dtype=np.int64), np.empty(len(center))
        for start in range(0, len(center), _BLOCK):
            block = slice(start, start + _BLOCK)
            _, weight, total = _exponentials(points.log_weights(normal_factors(center[block], spread[block])))
            weight /= total
            cumulated = np.cumsum(weight, axis=1)
            place = uniform[block, np.newaxis] * cumulated[:, -1:]
            chosen[block] = np.minimum((cumulated <= place).sum(axis=1), weight.shape[1] - 1)
            effective[block] = 1.0 / np.sum(weight**2, axis=1)
        return points.positions[chosen], float(np.median(effective))


def split_hyper(hyper: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centers, less `shift`, and spreads of many h, (n, n_parameters) each."""
    center, log_spread = np.split(hyper, 2, axis=1)
    return center - shift, np.exp(log_spread)


def normal_factors(center: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the normals' logarithms at centers and spreads (n, n_parameters): factors of features, and a constant each.

    The exponent of the normal, multiplied out, is one matrix product for all points and all h.
    """
    precision = spread**-2
    factors = np.hstack([-0.5 * precision, center * precision])
    constant = -0.5 * (center**2 * precision).sum(axis=1) - np.log(spread).sum(axis=1)
    return factors, constant[:, np.newaxis]


def _exponentials(log_weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithm of each row's sum; weights in place of their logarithms, the largest 1; and the sum of those."""
    largest = log_weights.max(axis=1, keepdims=True)
    log_weights -= largest
    weight = np.exp(log_weights, out=log_weights)
    total = weight.sum(axis=1, keepdims=True)
    return (largest + np.log(total))[:, 0], weight, total
