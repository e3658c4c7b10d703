"""How unusual what a customer did in the window is, for one who is there and has not changed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.data.columns import mean_spend
from predclv.decisions.monitor.forecaster import Forecaster, Piece
from predclv.decisions.monitor.snapshots import Matched
from predclv.kernels.silence import spend_at_most
from predclv.models.estimates import CUSTOMER_DRAWS

__all__ = ["Silence", "chance_of_ringing", "judge_baskets", "judge_falls", "judge_silence"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROWS = 8_192  # rows at a time: with 64 draws 4 MiB an array
_CELLS = 1_000_000  # of a table of probabilities
_TIMES = 199  # simulated windows of each customer whose value fell


class Silence(NamedTuple):
    """Of each customer: P(N < n), P(N <= n) and E[N] in the window, were they there and unchanged."""

    below: FloatArray
    at_most: FloatArray
    expected: FloatArray


def judge_silence(forecaster: Forecaster, matched: Matched) -> Silence:
    """Judge each customer's purchases in the window, averaged over the uncertainty of the parameters."""
    found = Silence(*(np.empty(len(matched)) for _ in Silence._fields))
    for piece in forecaster.pieces(matched.old):
        width = int(matched.purchases[piece.rows].max()) + 1
        distinct, back = np.unique(piece.inverse * width + matched.purchases[piece.rows], return_inverse=True)
        which, n = np.divmod(distinct, width)
        at_most = _at_most(piece, which, n, matched.window)
        below = np.zeros(len(n))
        below[n > 0] = _at_most(piece, which[n > 0], n[n > 0] - 1, matched.window)
        found.at_most[piece.rows], found.below[piece.rows] = at_most[back], below[back]
        found.expected[piece.rows] = _expected_if_unchanged(piece, matched.window)[piece.inverse]
    return found


def _at_most(piece: Piece, which: IntArray, n: IntArray, window: float) -> FloatArray:
    """P(N <= n) of some of the piece's histories, (n_rows,)."""
    out = np.empty(len(n))
    for start in range(0, len(n), _ROWS):
        some = slice(start, start + _ROWS)
        rows = which[some]
        history = piece.x[rows], piece.t_x[rows], piece.T[rows]
        out[some] = piece.bindings.p_at_most_if_staying(n[some].astype(np.float64), *history, window, piece.draws).mean(
            axis=0
        )
    return out


def _expected_if_unchanged(piece: Piece, window: float) -> FloatArray:
    out = np.empty(len(piece.x))
    for start in range(0, len(out), _ROWS):
        some = slice(start, start + _ROWS)
        history = piece.x[some], piece.t_x[some], piece.T[some]
        out[some] = piece.bindings.discounted_if_staying(*history, window, 0.0, piece.center).mean(axis=0)
    return out


def judge_baskets(forecaster: Forecaster, matched: Matched) -> FloatArray:
    """P(spend of the window's purchases <= what it was), given their number and the customer's mean spend before.

    Returns
    -------
    (n_customers,) array
        NaN where there is nothing to compare: no purchase in the window, none before beside the first, or one of both
        brought no money, of which the spend model does not speak.
    """
    found = np.full(len(matched), np.nan)
    if forecaster.spend is None or matched.spend is None:
        return found
    x, n, money = matched.old.frequency, matched.purchases, mean_spend(matched.old)
    told = (n > 0) & (x > 0) & (money > 0) & (matched.spend > 0)
    for piece in forecaster.pieces(matched.old):
        assert piece.spend is not None
        theta = piece.spend.draws_array(CUSTOMER_DRAWS)
        rows = piece.rows[told[piece.rows]]
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            counts = n[some].astype(np.float64), x[some].astype(np.float64)
            found[some] = spend_at_most(matched.spend[some], *counts, money[some], theta).mean(axis=0)
    return found


def judge_falls(
    forecaster: Forecaster, matched: Matched, value: FloatArray, margin: FloatArray, seed: int
) -> FloatArray:
    """P(value at the new date <= what it is) of customers who are there and unchanged, by simulation.

    Parameters
    ----------
    value : (n_customers,) array
        What each is worth at the new date, by the old model at its point.
    margin : (n_customers,) array

    Returns
    -------
    (n_customers,) array
        Of 199 windows the share that leads to no more, the one seen among them: from 0.005 on.
    """
    worse, keys = np.ones(len(matched)), matched.keys(seed, "order")
    for piece in forecaster.pieces(matched.old):
        # In an order of their own, so that rows may come in any.
        own = np.argsort(keys[piece.rows], kind="stable")
        generator = np.random.default_rng([seed, 1])
        for i in range(_TIMES):
            simulated = _simulated_value(forecaster, matched, piece, own, generator, i)
            at = piece.rows[own]
            worse[at] += margin[at] * simulated <= value[at] * (1 + 1e-9)
    return worse / (_TIMES + 1)


def value_at_point(forecaster: Forecaster, matched: Matched, margin: FloatArray) -> FloatArray:
    """Value at the new date by the old model at its point, (n_customers,)."""
    found = np.empty(len(matched))
    money = mean_spend(matched.new) if forecaster.spend is not None else np.zeros(len(matched))
    for piece in forecaster.pieces(matched.new):
        own = piece.rows
        x, t_x, T = matched.new.frequency[own].astype(np.float64), matched.new.recency[own], matched.new.T[own]
        found[own] = margin[own] * _value_of(forecaster, piece, x, t_x, T, money[own])
    return found


def _value_of(
    forecaster: Forecaster, piece: Piece, x: FloatArray, t_x: FloatArray, T: FloatArray, money: FloatArray
) -> FloatArray:
    """Value, before the margin, of histories at the point of the parameters."""
    point = piece.posterior.point_array[np.newaxis].copy()
    found = piece.bindings.discounted_expected_purchases(x, t_x, T, forecaster.horizon, forecaster.delta, point)[0]
    if piece.spend is None:
        return np.asarray(found)
    p, q, gamma = piece.spend.point_array
    # A mean that does not exist for q + p x <= 1 is infinite before and after, and tells nothing.
    return np.asarray(found * p * (gamma + x * money) / np.maximum(q + p * x - 1.0, 1e-300))


def _simulated_value(
    forecaster: Forecaster, matched: Matched, piece: Piece, own: IntArray, generator: np.random.Generator, i: int
) -> FloatArray:
    """Value at the new date after one simulated window of unchanged customers, with one draw of the parameters."""
    which = piece.inverse[own]
    x, t_x, T = piece.x[which], piece.t_x[which], piece.T[which]
    theta = piece.draws[i % len(piece.draws)]
    bought, last = piece.bindings.simulate_if_staying(
        generator, x, t_x, T, matched.window, np.broadcast_to(theta, (len(x), len(theta)))
    )
    money = np.zeros(len(x))
    if piece.spend is not None:
        before = x * mean_spend(matched.old)[piece.rows[own]]
        p, q, gamma = piece.spend.draws_array(CUSTOMER_DRAWS)[i % CUSTOMER_DRAWS]
        rate = generator.standard_gamma(q + p * x) / (gamma + before)
        spent = generator.standard_gamma(np.where(bought > 0, p * bought, 1.0)) / rate
        money = (before + np.where(bought > 0, spent, 0.0)) / np.maximum(x + bought, 1.0)
    return _value_of(forecaster, piece, x + bought, last, T + matched.window, money)


def chance_of_ringing(forecaster: Forecaster, matched: Matched, level: float, rows: IntArray) -> FloatArray:
    """Chance that the alarm for silence rings, by the old forecast, in which some leave: (n_rows,) of those tested.

    For customers who are there and unchanged it is `level`; a model of customers who leave expects more to ring.
    """
    found = np.full(len(matched), np.nan)
    for piece in forecaster.pieces(matched.old):
        chosen = np.zeros(len(matched), dtype=bool)
        chosen[rows] = True
        used = np.unique(piece.inverse[chosen[piece.rows]])
        if len(used) == 0:
            continue
        column = np.full(len(piece.x), np.nan)
        column[used] = _chance_by_history(piece, used, level, matched.window)
        found[piece.rows] = column[piece.inverse]
    return found[rows]


def _chance_by_history(piece: Piece, used: IntArray, level: float, window: float) -> FloatArray:
    """Sum over counts of P(N = n) times the chance of ringing at n, of each used history."""
    first, at_first, before_first = _first_above(piece, used, level, window)
    # At the first count whose P(N <= n) exceeds the level it rings with the probability that makes it whole.
    share = (level - before_first) / (at_first - before_first)
    out = np.empty(len(used))
    order = np.argsort(first, kind="stable")
    start = 0
    while start < len(order):
        width = int(first[order[start]])
        stop = start + 1
        limit = 2 * width + 16
        while stop < len(order) and first[order[stop]] <= limit and (stop - start) * (limit + 1) < _CELLS:
            stop += 1
        some = order[start:stop]
        which, n_max = used[some], int(first[some].max())
        history = piece.x[which], piece.t_x[which], piece.T[which]
        pmf = piece.bindings.purchase_pmf(*history, window, piece.draws, n_max)
        inside = np.arange(n_max + 1) < first[some][:, np.newaxis]
        at = np.take_along_axis(pmf, first[some][:, np.newaxis], axis=1)[:, 0]
        out[some] = (pmf * inside).sum(axis=1) + share[some] * at
        start = stop
    return out


def _first_above(piece: Piece, used: IntArray, level: float, window: float) -> tuple[IntArray, FloatArray, FloatArray]:
    """Smallest n with P(N <= n) > level, that probability, and P(N < n), of each used history."""
    low = np.full(len(used), -1, dtype=np.int64)
    high = np.zeros(len(used), dtype=np.int64)
    at = _at_most(piece, used, high, window)
    open_rows = np.flatnonzero(at <= level)
    while len(open_rows):
        low[open_rows] = high[open_rows]
        high[open_rows] = 2 * high[open_rows] + 1
        at[open_rows] = _at_most(piece, used[open_rows], high[open_rows], window)
        open_rows = open_rows[at[open_rows] <= level]
    open_rows = np.flatnonzero(high - low > 1)
    while len(open_rows):
        middle = (low[open_rows] + high[open_rows]) // 2
        value = _at_most(piece, used[open_rows], middle, window)
        up = value <= level
        low[open_rows[up]] = middle[up]
        high[open_rows[~up]], at[open_rows[~up]] = middle[~up], value[~up]
        open_rows = open_rows[high[open_rows] - low[open_rows] > 1]
    before = np.zeros(len(used))
    some = high > 0
    before[some] = _at_most(piece, used[some], high[some] - 1, window)
    return high, at, before
