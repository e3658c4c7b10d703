"""How unusual few purchases, or little money, are for a customer who is there and goes on as before.

Given alive at T, the posterior of the rate of buying knows nothing of leaving; whoever stays for the window buys at it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaln

from predclv.kernels.staying import stage_weights

__all__ = [
    "opportunities_at_most",
    "purchases_at_most",
    "regular_purchases_at_most",
    "simulate_opportunities",
    "simulate_purchases",
    "simulate_regular_purchases",
    "spend_at_most",
]

FloatArray = NDArray[np.float64]


def purchases_at_most(
    n: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
) -> FloatArray:
    """P(N <= n in (T, T + window] | x, alive at T, stays) of Poisson buyers, (n_draws, n_rows).

    Parameters
    ----------
    n : (n_rows,) array
        Purchases in the window, whole; -1 has probability 0.
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age.
    window : float or (n_rows,) array
        In the time unit of `T`, >= 0.
    theta : (n_draws, n_parameters) array
        r and alpha first: given alive, lambda ~ Gamma(r + x, alpha + T) in every model of the NBD kind, so that N is
        negative binomial.
    """
    r, alpha = theta[:, :1], theta[:, 1:2]
    return _negative_binomial(n, r + x, alpha + T, window)


def regular_purchases_at_most(
    n: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray, k: int
) -> FloatArray:
    """P(N <= n) of buyers at every k-th event, (n_draws, n_rows); arguments as `purchases_at_most`.

    With j events since the last purchase and M to come, N = floor((j + M) / k): at most n where M < k (n + 1) - j.
    """
    if k == 1:
        return purchases_at_most(n, x, t_x, T, window, theta)
    r, alpha = theta[:, :1], theta[:, 1:2]
    weights = stage_weights(x, t_x, T, r, alpha, k)
    total = np.zeros(weights.shape[1:])
    for j in range(k):
        total += weights[j] * _negative_binomial(k * (n + 1.0) - j - 1.0, r + k * x + j, alpha + T, window)
    return total


def _negative_binomial(n: FloatArray, shape: FloatArray, rate: FloatArray, window: float) -> FloatArray:
    """P(N <= n) of a Poisson count over the window whose rate is Gamma(shape, rate)."""
    share = rate / (rate + window)
    return np.asarray(np.where(n < 0, 0.0, betainc(shape, np.maximum(n, 0.0) + 1.0, share)))


def opportunities_at_most(
    n: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
) -> FloatArray:
    """P(N <= n of the next `window` opportunities) of BG/BB, (n_draws, n_rows).

    Given alive p ~ Beta(alpha + x, beta + T - x), so that N is beta-binomial.

    Parameters
    ----------
    n, x, t_x, T
        As `purchases_at_most`; T and `window` count opportunities.
    theta : (n_draws, n_parameters) array
        alpha and beta first.
    """
    ahead = np.broadcast_to(np.floor(np.asarray(window, dtype=np.float64) + 1e-9), x.shape)
    first, second = theta[:, :1] + x, theta[:, 1:2] + T - x
    total = np.zeros(np.broadcast_shapes(first.shape, x.shape))
    for i in range(int(np.maximum(n, -1.0).max(initial=-1.0)) + 1):
        counts = (i <= n) & (i <= ahead)
        rest = np.where(counts, ahead - i, 0.0)
        log_ways = gammaln(ahead + 1.0) - gammaln(i + 1.0) - gammaln(rest + 1.0)
        total += np.where(counts, np.exp(log_ways + betaln(first + i, second + rest) - betaln(first, second)), 0.0)
    return np.minimum(total, 1.0)


def spend_at_most(
    spend: FloatArray, n: FloatArray, x: FloatArray, mean_spend: FloatArray, theta: FloatArray
) -> FloatArray:
    """P(sum of n purchases <= spend | mean spend of x before) under Gamma-Gamma, (n_draws, n_rows).

    Given nu a purchase is Gamma(p, nu), and nu ~ Gamma(q + p x, gamma + x mean_spend), so that the sum over itself and
    gamma + x mean_spend is Beta(p n, q + p x).

    Parameters
    ----------
    spend, n : (n_rows,) arrays
        Sum and number of purchases; n >= 1.
    x, mean_spend : (n_rows,) arrays
        Repeat purchases before, and their mean.
    theta : (n_draws, 3) array
        p, q, gamma.

    References
    ----------
    Fader & Hardie (2013), brucehardie.com/notes/025, for the posterior of nu.
    """
    p, q, gamma = theta.T[:, :, np.newaxis]
    return np.asarray(betainc(p * n, q + p * x, spend / (spend + gamma + x * mean_spend)))


def simulate_purchases(
    generator: np.random.Generator, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Purchases of Poisson buyers who stay, and the time of their last one: two (n_rows,) arrays.

    Parameters
    ----------
    theta : (n_rows, n_parameters) array
        One draw a row; the others as `purchases_at_most`.
    """
    return simulate_regular_purchases(generator, x, t_x, T, window, theta, 1)


def simulate_regular_purchases(
    generator: np.random.Generator,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    window: float,
    theta: FloatArray,
    k: int,
) -> tuple[FloatArray, FloatArray]:
    """`simulate_purchases` of buyers at every k-th event."""
    r, alpha = theta[:, 0], theta[:, 1]
    stage = np.zeros(len(x))
    if k > 1:
        # A draw a row: rows stand where draws do, one row each.
        weights = stage_weights(x[:, np.newaxis], t_x[:, np.newaxis], T[:, np.newaxis], r[:, None], alpha[:, None], k)
        stage = (generator.random(len(x)) > np.cumsum(weights[:, :, 0], axis=0)[:-1]).sum(axis=0).astype(np.float64)
    events = generator.poisson(generator.standard_gamma(r + k * x + stage) / (alpha + T) * window)
    bought = np.floor((stage + events) / k)
    # Times of the events are uniform; the last purchase is the event of this rank among them.
    rank = np.maximum(k * bought - stage, 1.0)
    at = generator.beta(rank, np.maximum(events - rank, 0.0) + 1.0)
    return bought, np.where(bought > 0, T + window * at, t_x)


def simulate_opportunities(
    generator: np.random.Generator, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Opportunities used by those who stay, and the last one used, of BG/BB: two (n_rows,) arrays."""
    chance = generator.beta(theta[:, 0] + x, theta[:, 1] + T - x)
    bought, last = np.zeros(len(x)), np.array(t_x, dtype=np.float64)
    for i in range(1, int(np.floor(window + 1e-9)) + 1):
        used = generator.random(len(x)) < chance
        bought += used
        last = np.where(used, T + i, last)
    return bought, last
