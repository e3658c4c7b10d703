"""Few draws out of many, in an order whose beginning stands for the whole: what forecasts read from a posterior."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["order_by_halving", "resample", "whiten"]

FloatArray = NDArray[np.float64]

_SCRAMBLES = 32
_LEADING = 64  # draws that forecasts for single customers use


def resample(points: FloatArray, weight: FloatArray, n: int, seed: int) -> NDArray[np.int64]:
    """Choose `n` points with probabilities `weight`, so that those chosen first lie spread over all.

    Points are put in an order that keeps neighbours together, and the cumulated weight is read off at a scrambled
    one-dimensional Sobol sequence (Gerber & Chopin 2015, Sequential quasi-Monte Carlo, with another order).

    Parameters
    ----------
    points : (n_points, n_parameters) array
    weight : (n_points,) array
        Adds up to one.
    n : int
        A power of two.

    Returns
    -------
    (n,) array of indices
    """
    from scipy.stats import qmc

    white = whiten(points, weight)
    order = order_by_halving(white, weight, depth=int(math.log2(n)))
    cumulated = np.cumsum(weight[order])
    candidates = []
    for scramble in range(_SCRAMBLES):
        place = qmc.Sobol(1, scramble=True, rng=[seed, scramble]).random(n)[:, 0] * cumulated[-1]
        found = np.searchsorted(cumulated, place, side="right")
        candidates.append(order[np.minimum(found, len(order) - 1)])
    # Every scramble is right on average; the one whose first draws repeat mean and covariance best is taken.
    chosen = min(candidates, key=lambda candidate: _distance_of_moments(white[candidate[:_LEADING]]))
    return np.asarray(chosen, dtype=np.int64)


def whiten(points: FloatArray, weight: FloatArray) -> FloatArray:
    """Principal coordinates, the widest first, each with mean 0 and variance 1 under the weights.

    Directions in which points differ by rounding alone, as those of chains that are stuck, have coordinates of 0.
    """
    centered = points - weight @ points
    variance, axes = np.linalg.eigh((centered.T * weight) @ centered)
    spread = variance > len(variance) * np.finfo(np.float64).eps * variance.max()
    white: FloatArray = (centered @ axes / np.sqrt(np.where(spread, variance, np.inf)))[:, ::-1]
    return white


def _distance_of_moments(white: FloatArray) -> float:
    covariance = white.T @ white / len(white)
    return float(np.sum(white.mean(axis=0) ** 2) + 0.5 * np.sum((covariance - np.eye(white.shape[1])) ** 2))


def order_by_halving(white: FloatArray, weight: FloatArray, depth: int) -> NDArray[np.intp]:
    """Order in which each half, quarter, ... of the weight is a box, cut across one principal axis after another."""
    box = np.zeros(len(white), dtype=np.int64)
    order = np.arange(len(white))
    for level in range(depth):
        order = np.lexsort((white[:, level % white.shape[1]], box))
        # The share of the weight that lies before a point says in which half of its box it is.
        before = np.cumsum(weight[order]) - 0.5 * weight[order]
        box[order] = np.maximum(2 * box[order], np.minimum(2 * box[order] + 1, (before * 2 ** (level + 1)).astype(int)))
    return order
