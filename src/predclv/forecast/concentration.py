"""How unevenly value is spread over customers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lorenz_curve", "share_of_top"]

FloatArray = NDArray[np.float64]


def lorenz_curve(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the customers, the most valuable first, and the share of all value that they hold.

    Parameters
    ----------
    values : (n_customers,) array, >= 0

    Returns
    -------
    (n_customers + 1,) arrays
        Both from 0 to 1; where all values are zero, everyone holds alike.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    customers = np.arange(len(ordered) + 1) / max(len(ordered), 1)
    total = ordered.sum()
    if not total > 0:
        return customers, customers.copy()
    return customers, np.concatenate([[0.0], np.cumsum(ordered) / total])


def share_of_top(values: FloatArray, top: float = 0.2) -> float:
    """Share of all value held by the `top` share of customers, read off the Lorenz curve."""
    return float(np.interp(top, *lorenz_curve(values)))
