"""The BG family in the equations' own form; the fast twins are in `compiled`.

A customer buys at every k-th event of a Poisson process with rate lambda ~ Gamma(r, alpha) and leaves after a
purchase with probability p ~ Beta(a, b). With `dropout_at_first` the purchase that made the customer counts as
such a chance to leave, so that x repeat purchases are n = x + 1 chances, else n = x. The four members are

    BG/NBD      k = 1, n = x        MBG/NBD      k = 1, n = x + 1
    BG/CNBD-k   k > 1, n = x        MBG/CNBD-k   k > 1, n = x + 1

and differ in nothing else: the last n - 1 chances were declined for sure, the n-th perhaps, and if so, fewer than
k events happened since.

References
----------
Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
Batislam, Denizel & Filiztekin (2007), Empirical Validation and Comparison of Models for Customer Base Analysis,
International Journal of Research in Marketing 24(3).
Reutterer, Platzer & Schroeder (2021), Leveraging Purchase Regularity for Predicting Customer Behavior the Easy
Way, International Journal of Research in Marketing 38(1).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import gammaln

__all__ = ["NUMPY", "log_likelihood", "p_alive"]

NUMPY = SimpleNamespace(
    log=np.log, exp=np.exp, where=np.where, maximum=np.maximum, logaddexp=np.logaddexp, gammaln=gammaln
)


def log_likelihood(
    x: Any,
    t_x: Any,
    T: Any,
    r: Any,
    alpha: Any,
    a: Any,
    b: Any,
    *,
    k: int = 1,
    dropout_at_first: bool = False,
    sum_log_itt: Any = 0.0,
    xp: Any = NUMPY,
) -> Any:
    """Log-likelihood of each history.

    Fader, Hardie & Lee (2005), eq. (6), for k = 1; Batislam et al. (2007) with dropout at the first purchase;
    Reutterer, Platzer & Schroeder (2021) for k > 1.

    Parameters
    ----------
    x, t_x, T : (n_customers,) arrays
        Repeat purchases; time of the last one; customer age.
    r, alpha, a, b : float or (n_draws, 1) arrays
        `alpha` is in the time unit of `T`; for k > 1, r / alpha is the mean rate of events, not of purchases.
    k : int
        Events to a purchase: 1 is the Poisson process, more is more regular.
    dropout_at_first : bool
        Whether a customer may leave right after the first purchase of all.
    sum_log_itt : float or (n_customers,) array
        Sum of the logarithms of the times between a customer's purchases; no part of it where k = 1, and a
        constant in the parameters otherwise.
    xp : namespace
        The functions of `NUMPY`, or PyTensor's.

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array
    """
    n = x + int(dropout_at_first)
    log_times = (k - 1) * sum_log_itt - x * gammaln(k)
    stay = _log_beta(a, b + n, xp) - _log_beta(a, b, xp)
    alive = stay + _log_events_since(x, t_x, T, r, alpha, k, xp)
    # Without a chance to leave (n = 0) there is no such term; maximum(n, 1) keeps the unused branch finite.
    leave = _log_beta(a + 1, b + xp.maximum(n, 1) - 1, xp) - _log_beta(a, b, xp)
    left = leave + xp.gammaln(r + k * x) - (r + k * x) * xp.log(alpha + t_x)
    return log_times + r * xp.log(alpha) - xp.gammaln(r) + xp.where(n > 0, xp.logaddexp(alive, left), alive)


def p_alive(
    x: Any,
    t_x: Any,
    T: Any,
    r: Any,
    alpha: Any,
    a: Any,
    b: Any,
    *,
    k: int = 1,
    dropout_at_first: bool = False,
    xp: Any = NUMPY,
) -> Any:
    """Probability that a customer has not left: the share of the likelihood that staying has.

    Arguments as in `log_likelihood`.
    """
    n = x + int(dropout_at_first)
    m = r + k * x
    # B(a+1, b+n-1) / B(a, b+n) = a / (b+n-1)
    log_odds_left = xp.log(a / (b + xp.maximum(n, 1) - 1)) + xp.gammaln(m) - m * xp.log(alpha + t_x)
    log_odds_left = log_odds_left - _log_events_since(x, t_x, T, r, alpha, k, xp)
    return xp.where(n > 0, 1 / (1 + xp.exp(log_odds_left)), 1.0)


def _log_events_since(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, k: int, xp: Any) -> Any:
    """Log of sum_{j<k} (T-t_x)^j / j! Gamma(m+j) / (alpha+T)^(m+j), m = r + k x: fewer than k events since t_x."""
    m = r + k * x
    log_sum = xp.gammaln(m) - m * xp.log(alpha + T)
    for j in range(1, k):
        # T = t_x leaves only j = 0; the tiny number keeps the logarithm finite.
        log_power = j * xp.log(xp.maximum(T - t_x, 1e-300)) - float(gammaln(j + 1))
        log_sum = xp.logaddexp(log_sum, log_power + xp.gammaln(m + j) - (m + j) * xp.log(alpha + T))
    return log_sum


def _log_beta(a: Any, b: Any, xp: Any) -> Any:
    return xp.gammaln(a) + xp.gammaln(b) - xp.gammaln(a + b)
