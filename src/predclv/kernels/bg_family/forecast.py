"""Forecasts of the BG family for rows of histories and draws of parameters, compiled.

Given the history, a customer is alive with probability P(alive); then lambda ~ Gamma(r + kx + j, alpha + T), j being
the events since the last purchase, and p ~ Beta(a, b + n), independent. All forecasts follow from that, exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from predclv.kernels.bg_family.counts import counts_of_rows
from predclv.kernels.bg_family.rows import ALIVE, COUNTS, DISCOUNTED, EXPECTED, STAGES, STAYING, forecast
from predclv.kernels.collapse import as_rows

__all__ = [
    "discounted_expected_purchases",
    "expected_purchases",
    "mean_discounted_expected_purchases",
    "mean_expected_purchases",
    "mean_p_alive",
    "p_alive",
    "p_alive_by_stage",
    "purchase_pmf",
    "stage_purchase_pmf",
]

Floats = npt.NDArray[np.float64]


def p_alive(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
    ahead: npt.ArrayLike = 0.0,
) -> Floats:
    """Probability that a customer has not left by T + `ahead`, given the history up to T.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age. Fastest as `collapse` sorts them.
    theta : (n_draws, 4) array
        r, alpha, a, b; `alpha` in the time unit of `T`.
    k, dropout_at_first
        The member of the family: see `bg_family`.
    ahead : float or (n_rows,) array
        Time after `T`, >= 0.

    Returns
    -------
    (n_draws, n_rows) array in [0, 1]
    """
    kind = STAYING if np.any(np.asarray(ahead) > 0) else ALIVE
    return forecast(kind, x, t_x, T, ahead, 0.0, theta, k, dropout_at_first, mean=False)


def p_alive_by_stage(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Probability that a customer has not left and that j events have come since the last purchase, j < k.

    Arguments as for `p_alive`.

    Returns
    -------
    (k, n_draws, n_rows) array whose sum over the stages is `p_alive`
    """
    by_draw = forecast(STAGES, x, t_x, T, 0.0, 0.0, theta, k, dropout_at_first, mean=False, n_out=k)
    return np.ascontiguousarray(np.swapaxes(by_draw.reshape(-1, k, by_draw.shape[1]), 0, 1))


def mean_p_alive(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
    ahead: npt.ArrayLike = 0.0,
) -> Floats:
    """Mean of `p_alive` over the draws, (n_rows,)."""
    kind = STAYING if np.any(np.asarray(ahead) > 0) else ALIVE
    mean: Floats = forecast(kind, x, t_x, T, ahead, 0.0, theta, k, dropout_at_first, mean=True)[0]
    return mean


def expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Expected purchases in (T, T + horizon], given the history; Fader, Hardie & Lee (2005), eq. (10), for BG/NBD.

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Future window in the time unit of `T`, >= 0; it may be infinite, and so is the result then where a <= 1.
    x, t_x, T, theta, k, dropout_at_first
        As for `p_alive`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    return forecast(EXPECTED, x, t_x, T, horizon, 0.0, theta, k, dropout_at_first, mean=False)


def mean_expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Mean of `expected_purchases` over the draws, (n_rows,)."""
    mean: Floats = forecast(EXPECTED, x, t_x, T, horizon, 0.0, theta, k, dropout_at_first, mean=True)[0]
    return mean


def discounted_expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    delta: float,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Expected purchases in (T, T + horizon], each discounted by exp(-delta s), s after T, given the history.

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Future window in the time unit of `T`, >= 0; it may be infinite where `delta` > 0.
    delta : float
        Continuous discount rate per time unit, >= 0; 0 gives `expected_purchases`.
    x, t_x, T, theta, k, dropout_at_first
        As for `p_alive`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    kind = DISCOUNTED if delta > 0 else EXPECTED
    return forecast(kind, x, t_x, T, horizon, delta, theta, k, dropout_at_first, mean=False)


def mean_discounted_expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    delta: float,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Mean of `discounted_expected_purchases` over the draws, (n_rows,)."""
    kind = DISCOUNTED if delta > 0 else EXPECTED
    mean: Floats = forecast(kind, x, t_x, T, horizon, delta, theta, k, dropout_at_first, mean=True)[0]
    return mean


def purchase_pmf(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    n_max: int,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Probability of 0, 1, ..., n_max purchases in (T, T + horizon], given the history; mean over the draws.

    Arguments as for `expected_purchases`.

    Returns
    -------
    (n_rows, n_max + 1) array; what a row lacks to 1 is the probability of more than `n_max`
    """
    pmf = forecast(COUNTS, x, t_x, T, horizon, 0.0, theta, k, dropout_at_first, mean=True, n_out=n_max + 1)
    return np.ascontiguousarray(pmf.T)


def stage_purchase_pmf(
    x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: float,
    theta: npt.ArrayLike,
    n_max: int,
    k: int = 1,
    dropout_at_first: bool = False,
    stage: int = 0,
) -> Floats:
    """`purchase_pmf` given that the customer is alive at T, in one of k stages, whatever t_x is.

    Parameters
    ----------
    x, T : (n_rows,) arrays
    theta : (4,) array
        r, alpha, a, b.
    stage : int
        Events since the last purchase, from 0 to k - 1; 0 for k = 1.

    Returns
    -------
    (n_rows, n_max + 1) array
    """
    r, alpha, a, b = (float(value) for value in np.asarray(theta).reshape(4))
    x, T = as_rows(x), as_rows(T)
    tau, m, B = horizon / (alpha + T), r + k * x + stage, b + x + dropout_at_first
    return counts_of_rows(tau, m, a, B, n_max, k, stage)  # type: ignore[no-any-return]
