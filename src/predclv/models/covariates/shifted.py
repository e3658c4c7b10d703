"""Posteriors of customers with certain covariates, out of one posterior of parameters and coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from predclv.inference.evidence import Evidence
from predclv.inference.posterior import Draws, Posterior
from predclv.kernels.covariates import Link
from predclv.parameters import Parameter, jacobian

__all__ = ["shifted_posteriors"]

FloatArray = NDArray[np.float64]

# Covariances worked out at a time: some 50 MB.
_CHUNK = 16_384


@dataclass(frozen=True, eq=False)
class _ShiftedDraws:
    """Draws of the parameters of one pattern, row by row those of all: a callable, as `Posterior.make_draws` wants."""

    posterior: Posterior
    link: Link
    purchase: FloatArray
    dropout: FloatArray

    def __call__(self) -> Draws:
        """Shift them all."""
        return Draws(self.first(None))

    def first(self, n: int | None) -> FloatArray:
        """Shift the first `n`, read-only, in C order."""
        draws = np.ascontiguousarray(shift_draws(self.link, self.posterior.draws_array(n), self.purchase, self.dropout))
        draws.flags.writeable = False
        return draws


@dataclass(frozen=True, eq=False)
class _ShiftedPosterior(Posterior):
    """A posterior that shifts draws when they are asked for and keeps none: one pattern in a hundred thousand."""

    def draws_array(self, n: int | None = None) -> FloatArray:
        """See `Posterior`."""
        if n is not None and n < 1:
            raise ValueError(f"'n' must be at least 1. Got {n}.")
        return cast(_ShiftedDraws, self.make_draws).first(n)

    @property
    def _made(self) -> Draws:
        return self.make_draws()


def shift_draws(link: Link, draws: FloatArray, purchase: FloatArray, dropout: FloatArray) -> FloatArray:
    """Parameters of one pattern at each draw, (n_draws, 4)."""
    n = 4 + len(purchase)
    predictors = (
        np.einsum("ij,j->i", draws[:, part], z) for part, z in ((slice(4, n), purchase), (slice(n, None), dropout))
    )
    return np.column_stack(link.shift(draws[:, :4].T, *predictors))


def shifted_posteriors(
    posterior: Posterior,
    parameters: tuple[Parameter, ...],
    link: Link,
    purchase: FloatArray,
    dropout: FloatArray,
    evidence: Evidence,
) -> list[Posterior]:
    """A posterior of the four parameters for each pattern, (n_patterns, ...) covariates; draws belong together by row.

    Covariances are by the delta method, on the logarithmic scale.
    """
    point = posterior.point_array
    n = 4 + purchase.shape[1]
    predictors = (np.einsum("ij,j->i", z, c) for z, c in ((purchase, point[4:n]), (dropout, point[n:])))
    columns = link.shift(point[:4], *predictors)
    points = np.column_stack([np.broadcast_to(column, (len(purchase),)) for column in columns])
    diagnostics = {key: value for key, value in posterior.fit_diagnostics.items() if key not in _OF_ALL}
    covariances = np.concatenate(
        [
            _covariances(posterior, link, points[rows], purchase[rows], dropout[rows])
            for rows in (slice(i, i + _CHUNK) for i in range(0, len(points), _CHUNK))
        ]
    )
    return [
        _ShiftedPosterior(
            parameters,
            posterior.method,
            points[i],
            covariances[i],
            _ShiftedDraws(posterior, link, purchase[i], dropout[i]),
            diagnostics,
            evidence=evidence,
        )
        for i in range(len(points))
    ]


# Of the parameters by name, which are not those of one pattern.
_OF_ALL = ("runaway", "r_hat", "ess_bulk", "ess_tail", "n_patterns")


def _covariances(
    posterior: Posterior, link: Link, points: FloatArray, purchase: FloatArray, dropout: FloatArray
) -> FloatArray:
    """Covariances of the logarithms of each pattern's parameters, (n_patterns, 4, 4)."""
    base = posterior.point_array[:4]
    zero = np.zeros_like(points)
    natural, _ = link.to_natural(points, zero)
    working, _ = link.to_working(base, zero[0])
    # By the working parameters, then by everything unconstrained.
    by_working = natural / points[:, :, np.newaxis]
    slopes = working * jacobian(posterior.parameters[:4], base)
    moves = np.zeros((len(points), 4, len(posterior.point_array)))
    moves[:, :, :4] = slopes
    n = 4 + purchase.shape[1]
    moves[:, 1, 4:n] = -purchase
    moves[:, 3, n:] = link.dropout_sign * dropout
    change = np.matmul(by_working, moves)
    return np.asarray(change @ posterior.covariance_unconstrained @ np.swapaxes(change, 1, 2))
