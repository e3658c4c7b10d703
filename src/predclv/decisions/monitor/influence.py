"""How much each customer weighs in a fit, and what is left of it in the difference of two that share customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.sources import ROWS, Rows, Snapshot, find_ids, stretches
from predclv.kernels.gamma_gamma_pointwise import pointwise_log_likelihood
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
    sides = [{fit.posterior_: i for i, fit in enumerate(side)} for side in zip(*fits, strict=True)] if fits else []
    width = [len(fit.posterior_.parameters) for fit, _ in fits]
    second, rest = [_Scatter(k) for k in width], [_Scatter(k) for k in width]
    seen = np.zeros(len(fits), dtype=bool)
    for some in stretches(len(new), rows):
        partner = origin[some]
        label, before = _weights_of_old(old_model, sides[0], old, partner, max(width, default=0))
        seen[label[label >= 0]] = True
        left = label.copy()
        for i, at, weights in _weigh_parts(new_model, sides[1], new.pick(np.arange(some.start, some.stop))):
            same = label[at] == i
            weights[same] -= before[at][same]
            left[at[same]] = -1
            second[i].add(weights)
        # Who is in another segment now weighs in the old one's fit alone.
        for i in np.unique(left[left >= 0]):
            rest[i].add(before[left == i])
    gone = np.ones(len(old), dtype=bool)
    gone[origin[origin >= 0]] = False
    alone = np.flatnonzero(gone)
    for some in stretches(len(alone), rows):
        for i, _, weights in _weigh_parts(old_model, sides[0], old.pick(alone[some])):
            seen[i] = True
            rest[i].add(weights)
    # Scores add up to nothing at a maximum of the likelihood; a prior holds the balance elsewhere.
    return [
        one.matrix + other.matrix if one.n and known else None
        for one, other, known in zip(second, rest, seen, strict=True)
    ]


def _weights_of_old(
    model: Model, fits: dict[Any, int], old: Snapshot, partner: Rows, width: int
) -> tuple[IntArray, FloatArray]:
    """Which old fit each customer was in, -1 for none, and what they weighed: (n,), (n, width)."""
    label, weights = np.full(len(partner), -1, dtype=np.int64), np.zeros((len(partner), width))
    both = np.flatnonzero(partner >= 0)
    if len(both):
        for i, at, own in _weigh_parts(model, fits, old.pick(partner[both])):
            label[both[at]], weights[both[at]] = i, own
    return label, weights


def _weigh_parts(model: Model, fits: dict[Any, int], rfm: RFMSummary) -> Iterator[tuple[int, IntArray, FloatArray]]:
    """Yield the place of a fit, the rows of its customers, and what they weigh."""
    for own, part, at in model.parts(rfm):
        if own.posterior_ in fits:
            yield fits[own.posterior_], at, _weigh(own, part)


def unconstrained(model: Model) -> FloatArray:
    """The estimate, on the unconstrained scale."""
    return to_unconstrained(model.posterior_.parameters, model.posterior_.point_array)


def _weigh(model: Model, rfm: RFMSummary) -> FloatArray:
    """By how much each customer moves the estimate, (n_customers, n_parameters), unconstrained."""
    covariance = np.asarray(model.posterior_.covariance_unconstrained)
    return np.asarray(_scores(model, rfm) @ covariance)


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
