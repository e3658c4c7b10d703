"""Draws from a posterior by importance sampling: a multivariate t at its mode, and weights that correct it.

Twice: from the mode and curvature, and again from the mean and covariance that the first round found. Draws come
from the second. Where both rounds agree, and the weights' tail is short, no chain is needed. Where not, the posterior
is often a bent ridge, which several t distributions along it cover: a last round of them is tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.errors import ConvergenceWarning, warn
from predclv.inference.log_density import SampledDensity
from predclv.inference.pareto import smooth_weights
from predclv.inference.posterior import N_DRAWS, Draws
from predclv.inference.spread import resample
from predclv.parameters import from_unconstrained, to_unconstrained

__all__ = ["ImportanceDraws", "draw_t", "gate", "log_t"]

FloatArray = NDArray[np.float64]

N_POINTS = 4096
_FEWEST_POINTS = 1024
# Points times rows: some three seconds of one core. Beyond, points are halved, down to the fewest.
_BUDGET = 420_000_000
_DEGREES = 5.0  # of the t: heavier tails than any posterior under proper priors that the data inform
_FARTHEST = 300.0  # unconstrained, mostly the logarithm of a parameter
_NARROWEST = 1e-4
# Pieces along a ridge; a bent one leaves each of them wider than its own points are spread.
_N_PIECES, _WIDER = 4, 1.5
_LARGEST_K = 0.5
_LARGEST_SHIFT = 0.1
_LARGEST_STRETCH = 0.05


class _Round(NamedTuple):
    """Weighted points on the unconstrained scale."""

    points: FloatArray
    weight: FloatArray
    k_hat: float
    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True)
class ImportanceDraws:
    """Equally weighted draws of a log density of unconstrained parameters; called with nothing.

    The leading 2^m draws are spread over the posterior like all of them.

    Attributes
    ----------
    density : SampledDensity
    center : (n_parameters,) array
        The mode, in natural values.
    covariance : (n_parameters, n_parameters) array
        Of the unconstrained parameters; positive definite.
    seed : int
    name : str
        What the warning calls the model.
    warns : bool
        Whether to warn where the gate does not hold.
    most_rounds : int
        How many proposals, each made from what the last one found, may be tried until two agree; at least 2. Where
        they do not, one of several pieces follows.
    most_points : int
        A power of two; halved where rows are very many.
    consequence : str
        What the warning says follows, and what to do.
    """

    density: SampledDensity
    center: FloatArray
    covariance: FloatArray
    seed: int
    name: str
    warns: bool = True
    n_draws: int = N_DRAWS
    most_rounds: int = 2
    most_points: int = N_POINTS
    consequence: str = (
        "The posterior is far from a normal one on the log scale; intervals may be wrong by more than a tenth. Sample "
        "instead (method='mcmc'), or give narrower priors."
    )

    def __call__(self) -> Draws:
        """Make the draws; a diagnostic that is not finite is None.

        Warns
        -----
        ConvergenceWarning
            The gate does not hold: see `gate`.
        """
        n_points = _number_of_points(self.density.n_rows, self.most_points)
        mode = to_unconstrained(self.density.parameters, self.center)
        final = self._sample(mode, self.covariance, n_points // 2, self.seed)
        k_hat_at_mode = _number(final.k_hat)
        for n_rounds in range(2, self.most_rounds + 1):
            pilot = final
            # Where a few points carry all the weight, they span no proposal; the gate then stays closed.
            spans = np.linalg.eigvalsh(pilot.covariance)[0] > _NARROWEST * np.linalg.eigvalsh(self.covariance)[0]
            adapted = (pilot.mean, pilot.covariance) if spans else (mode, self.covariance)
            final = self._sample(*adapted, n_points, self.seed + n_rounds - 1)
            diagnostics = {
                "approximation": "importance sampling",
                "k_hat_at_mode": k_hat_at_mode,
                "n_points": n_points,
                "n_rounds": n_rounds,
                **_describe(pilot, final, self._names),
            }
            objection = gate(diagnostics)
            if not objection:
                break
        if objection and (pieces := _pieces(final)) is not None:
            pilot, final = final, self._sample_pieces(pieces, n_points // _N_PIECES, self.seed + n_rounds)
            about: dict[str, Any] = {"n_points": len(final.points), "n_rounds": n_rounds + 1, "n_pieces": len(pieces)}
            diagnostics |= about | _describe(pilot, final, self._names)
            objection = gate(diagnostics)
        diagnostics["gate"] = objection or "passed"
        if objection and self.warns:
            warn(f"{self.name}: the draws are doubtful: {objection}. {self.consequence}", ConvergenceWarning)
        chosen = resample(final.points, final.weight, self.n_draws, self.seed)
        natural = from_unconstrained(self.density.parameters, final.points[chosen])
        return Draws(np.ascontiguousarray(natural), diagnostics)

    @property
    def _names(self) -> list[str]:
        return [parameter.name for parameter in self.density.parameters]

    def _sample(self, center: FloatArray, covariance: FloatArray, n: int, seed: int) -> _Round:
        return self._weigh(*draw_t(center, covariance, n, seed))

    def _sample_pieces(self, pieces: Sequence[_Piece], n: int, seed: int) -> _Round:
        """So many points of each of a mixture's t distributions, which have equal shares of it."""
        # A stream of its own for each.
        points = np.concatenate([draw_t(*piece, n, [seed, i])[0] for i, piece in enumerate(pieces)])
        return self._weigh(points, np.logaddexp.reduce([log_t(points, *piece) for piece in pieces]))

    def _weigh(self, points: FloatArray, log_proposal: FloatArray) -> _Round:
        n = len(points)
        # Far out a value, or its density, leaves the range of numbers: such a point weighs nothing.
        log_weight = np.full(n, -np.inf)
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            natural = from_unconstrained(self.density.parameters, points)
            inside = (np.abs(points) < _FARTHEST).all(axis=1)
            log_weight[inside] = self.density.values(natural[inside]) - log_proposal[inside]
        log_weight[~np.isfinite(log_weight)] = -np.inf
        log_weight, k_hat = smooth_weights(log_weight)
        weight = np.exp(log_weight)
        mean = weight @ points
        centered = points - mean
        return _Round(points, weight, k_hat, mean, (centered.T * weight) @ centered)


class _Piece(NamedTuple):
    """A t distribution of a mixture."""

    mean: FloatArray
    covariance: FloatArray


def _pieces(of: _Round) -> list[_Piece] | None:
    """Cut a round along its longest axis into pieces of equal weight; None where some have too few points.

    The first is the whole, in case that the others miss something.
    """
    deviation = np.sqrt(np.diag(of.covariance))
    if not (deviation > 0).all():
        return None
    centered = of.points - of.mean
    axis = np.linalg.eigh(of.covariance / np.outer(deviation, deviation))[1][:, -1]
    order = np.argsort((centered / deviation) @ axis, kind="stable")
    piece = np.empty(len(order), dtype=np.int64)
    piece[order] = np.minimum((np.cumsum(of.weight[order]) * _N_PIECES).astype(np.int64), _N_PIECES - 1)
    found = [_Piece(of.mean, of.covariance)]
    for number in range(_N_PIECES):
        weight, points = of.weight[piece == number], of.points[piece == number]
        weight = weight / weight.sum()
        mean = weight @ points
        covariance = ((points - mean).T * weight) @ (points - mean)
        found.append(_Piece(mean, _WIDER * covariance))
    least = _NARROWEST * np.linalg.eigvalsh(of.covariance)[0]
    return found if all(np.linalg.eigvalsh(each.covariance)[0] > least for each in found) else None


def _describe(pilot: _Round, final: _Round, names: Sequence[str]) -> dict[str, float | str | None]:
    """The last round by itself; and how far two are apart, in standard deviations, where they are farthest."""
    error = np.sqrt(np.maximum(np.diag(final.covariance), np.finfo(np.float64).tiny))
    shift = np.abs(pilot.mean - final.mean) / error
    stretch = np.abs(np.sqrt(np.diag(pilot.covariance)) / error - 1.0)
    return {
        "k_hat": _number(final.k_hat),
        "effective_sample_size": float(1.0 / np.sum(final.weight**2)),
        "disagreement_mean": _number(np.max(shift)),
        "disagreement_mean_of": names[int(np.argmax(shift))],
        "disagreement_sd": _number(np.max(stretch)),
        "disagreement_sd_of": names[int(np.argmax(stretch))],
    }


def gate(diagnostics: Mapping[str, Any]) -> str:
    """Say in words why draws should not be trusted; an empty string where they may be.

    They may where k-hat is below 0.5, and both rounds agree to 0.1 standard deviations in mean and 5 % in standard
    deviation for each log parameter.
    """
    keys = ("k_hat", "disagreement_mean", "disagreement_sd")
    k_hat, shift, stretch = (math.inf if diagnostics[key] is None else diagnostics[key] for key in keys)
    objections = []
    if not k_hat < _LARGEST_K:
        objections.append(f"k-hat is {k_hat:.3f}, and should be below {_LARGEST_K}")
    if not shift < _LARGEST_SHIFT:
        objections.append(
            f"two proposals differ by {shift:.2f} standard deviations in a mean{_of(diagnostics, 'mean')}"
        )
    if not stretch < _LARGEST_STRETCH:
        objections.append(f"two proposals differ by {stretch:.0%} in a standard deviation{_of(diagnostics, 'sd')}")
    return "; ".join(objections)


def _of(diagnostics: Mapping[str, Any], what: str) -> str:
    name = diagnostics.get(f"disagreement_{what}_of")
    return f", most in that of {name}" if name else ""


def _number(value: float) -> float | None:
    """A float, or None where there is none: JSON has no infinity."""
    return float(value) if math.isfinite(value) else None


def draw_t(center: FloatArray, covariance: FloatArray, n: int, seed: int | list[int]) -> tuple[FloatArray, FloatArray]:
    """Scrambled Sobol points through a multivariate t, and their log density by `log_t`."""
    from scipy.special import gammaincinv, ndtri
    from scipy.stats import qmc

    size = len(center)
    uniform = qmc.Sobol(size + 1, scramble=True, rng=seed).random(n)
    uniform = np.clip(uniform, 0.5 / 2**30, 1.0 - 0.5 / 2**30)
    normal = ndtri(uniform[:, :size])
    chi_squared = 2.0 * gammaincinv(0.5 * _DEGREES, uniform[:, size])
    standard = normal * np.sqrt(_DEGREES / chi_squared)[:, np.newaxis]
    points = center + standard @ np.linalg.cholesky(covariance).T
    return points, log_t(points, center, covariance)


def log_t(points: FloatArray, center: FloatArray, covariance: FloatArray) -> FloatArray:
    """Log density of `draw_t`'s multivariate t at points (n, size), but for a constant of the size alone."""
    root = np.linalg.cholesky(covariance)
    standard = np.linalg.solve(root, (points - center).T)
    tail = 0.5 * (_DEGREES + len(center)) * np.log1p(np.sum(standard**2, axis=0) / _DEGREES)
    return np.asarray(-tail - np.log(np.diag(root)).sum())


def _number_of_points(n_rows: int, most: int) -> int:
    """At most so many; halved for very many rows, whose posterior is all but normal, down to 1,024."""
    n_points = most
    while n_points > _FEWEST_POINTS and n_points * n_rows > _BUDGET:
        n_points //= 2
    return n_points
