"""How much each customer weighs in a fit, and what is left of it in the difference of two that share customers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.sources import ROWS, Rows, Snapshot, find_ids, stretches
from predclv.kernels.gamma_gamma.pointwise import pointwise_log_likelihood
from predclv.models.base import Model
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.transactions import TransactionModel
from predclv.parameters import from_unconstrained, to_unconstrained

__all__ = ["covariances_of_difference", "unconstrained"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STEP = 1e-4  # of the logarithm of a parameter: central differences are then good to 1e-8
_AT_ONCE = 65_536


class _Scatter:
    """Sum of the outer products of rows about their mean, row by row as they come."""

    def __init__(self, width: int) -> None:
        self.n, self._shift = 0, np.zeros(width)
        self._sum, self._products = np.zeros(width), np.zeros((width, width))

    def add(self, weights: FloatArray) -> None:
        if len(weights) == 0:
            return
        if self.n == 0:
            self._shift = weights.mean(axis=0)
        centred = weights - self._shift
        self.n += len(weights)
        self._sum += centred.sum(axis=0)
        self._products += centred.T @ centred

    @property
    def matrix(self) -> FloatArray:
        return np.asarray(self._products - np.outer(self._sum, self._sum) / max(self.n, 1))


def covariances_of_difference(
    old_model: Model,
    new_model: Model,
    fits: Sequence[tuple[Model, Model]],
    old: Snapshot,
    new: Snapshot,
    origin: Rows | None = None,
    rows: int = ROWS,
) -> list[FloatArray | None]:
    """Covariance of the difference of the estimates of each pair of fits, on the unconstrained scale.

    Parameters
    ----------
    old_model, new_model : Model
        They know which fit speaks of which customers.
    fits : sequence of (Model, Model)
        An old and a new fit: the models themselves, or those of a segment.
    origin : (n_new,) int array, optional
        Where each customer of the new snapshot stands in the old one, -1 where there is none; by default by their ids.
    rows : int
        Customers at a time.

    Returns
    -------
    list of (n_parameters, n_parameters) array or None
        None where either snapshot has no customers of that kind.
    """
    if origin is None:
        place = find_ids(old.customer_id, new.customer_id)
        origin = np.full(len(new), -1, dtype=np.int32)
        origin[place[place >= 0]] = np.flatnonzero(place >= 0)
    if not fits:
        return []
    before, after = (
        _Side(model, side) for model, side in zip((old_model, new_model), zip(*fits, strict=True), strict=True)
    )
    sums = [_Scatter(len(fit.posterior_.parameters)) for fit, _ in fits]
    for some in stretches(len(new), rows):
        partner = origin[some]
        both = np.flatnonzero(partner >= 0)
        now = after.scores(new.pick(np.arange(some.start, some.stop)))
        then = before.scores(old.pick(partner[both])) if len(both) else None
        for i, total in enumerate(sums):
            weights = after.weigh(i, *now)
            if then is not None:
                weights[both] -= before.weigh(i, *then)
            total.add(weights)
    gone = np.ones(len(old), dtype=bool)
    gone[origin[origin >= 0]] = False
    alone = np.flatnonzero(gone)
    for some in stretches(len(alone), rows):
        then = before.scores(old.pick(alone[some]))
        for i, total in enumerate(sums):
            total.add(-before.weigh(i, *then))
    # Scores add up to nothing at a maximum of the likelihood; a prior holds the balance elsewhere.
    return [
        total.matrix if before.seen[member] and after.seen[other] else None
        for total, member, other in zip(sums, before.targets, after.targets, strict=True)
    ]


class _Side:
    """A model with its segments, or alone, and how much a score in each of them moves each estimate in question.

    Segments share strength: a customer of one moves the estimates of the others too, as the posterior has them vary
    together. Left out, the intervals of segments that are alike are far too narrow.
    """

    def __init__(self, model: Model, fits: Sequence[Model]) -> None:
        self._model = model
        self._members = list(model.segments_.values()) if model.segments_ else [model]
        self._places = {one.posterior_: i for i, one in enumerate(self._members)}
        self.targets = [self._places[fit.posterior_] for fit in fits]
        self.seen = np.zeros(len(self._members), dtype=bool)
        self._moves = [self._moved_by(target) for target in self.targets]

    def _moved_by(self, target: int) -> FloatArray:
        """Covariance of each member's parameters with the target's, (n_members, n_parameters, n_parameters)."""
        if len(self._members) == 1:
            return np.asarray(self._members[0].posterior_.covariance_unconstrained)[np.newaxis]
        own = self._centred[target]
        return np.asarray(np.einsum("knp,nq->kpq", self._centred, own) / (len(own) - 1))

    @cached_property
    def _centred(self) -> FloatArray:
        """Draws of all members, which belong together row by row, less their means: (n_members, n_draws, n)."""
        posteriors = [one.posterior_ for one in self._members]
        draws = np.stack([to_unconstrained(one.parameters, one.draws_array()) for one in posteriors])
        return np.asarray(draws - draws.mean(axis=1, keepdims=True))

    def scores(self, rfm: RFMSummary) -> tuple[IntArray, FloatArray]:
        """Return which member each customer is of, and their scores, (n_customers, n_parameters)."""
        member = np.zeros(len(rfm), dtype=np.int64)
        found = np.zeros((len(rfm), len(self._members[0].posterior_.parameters)))
        for own, part, at in self._model.parts(rfm):
            member[at], found[at] = self._places[own.posterior_], _scores(own, part)
        self.seen[np.unique(member)] = True
        return member, found

    def weigh(self, i: int, member: IntArray, scores: FloatArray) -> FloatArray:
        """By how much each customer moves the i-th estimate, (n_customers, n_parameters), unconstrained."""
        weights = np.empty_like(scores)
        for one in np.unique(member):
            at = member == one
            weights[at] = scores[at] @ self._moves[i][one]
        return weights


def unconstrained(model: Model) -> FloatArray:
    """The estimate, on the unconstrained scale."""
    return to_unconstrained(model.posterior_.parameters, model.posterior_.point_array)


def _scores(model: Model, rfm: RFMSummary) -> FloatArray:
    """Derivative of each customer's log-likelihood by the unconstrained parameters, (n_customers, n_parameters)."""
    posterior = model.posterior_
    at = unconstrained(model)
    steps = np.concatenate([at + _STEP * np.eye(len(at)), at - _STEP * np.eye(len(at))])
    theta = np.ascontiguousarray(from_unconstrained(posterior.parameters, steps))
    out = np.zeros((len(rfm), len(at)))
    if isinstance(model, GammaGamma):
        assert rfm.monetary_value is not None
        used = np.flatnonzero((rfm.frequency > 0) & (rfm.monetary_value > 0))
        columns = rfm.frequency[used].astype(np.float64), rfm.monetary_value[used]
        out[used] = _differences(lambda x, m: pointwise_log_likelihood(x, m, theta), columns, len(at))
        return out
    assert isinstance(model, TransactionModel)
    rows, inverse = histories(rfm)
    bindings = model.bindings
    found = _differences(
        lambda x, t_x, T: bindings.pointwise_log_likelihood(x, t_x, T, theta), (rows.x, rows.t_x, rows.T), len(at)
    )
    return found[inverse]


def _differences(values: Any, columns: tuple[FloatArray, ...], n: int) -> FloatArray:
    out = np.empty((len(columns[0]), n))
    for some in stretches(len(out), _AT_ONCE):
        found = values(*(np.ascontiguousarray(column[some]) for column in columns))
        out[some] = ((found[:n] - found[n:]) / (2 * _STEP)).T
    return out
