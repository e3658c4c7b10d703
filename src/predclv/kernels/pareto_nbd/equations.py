"""Pareto/NBD in the equations' own form; the fast twins stand beside it.

A customer buys by a Poisson process with rate lambda ~ Gamma(r, alpha) over a lifetime that is exponential with rate
mu ~ Gamma(s, beta), independent of lambda. With m = r + x,

    L = Gamma(m)/Gamma(r) alpha^r beta^s D,
    D = (alpha+T)^-m (beta+T)^-s + s int_{t_x}^T (alpha+u)^-m (beta+u)^-(s+1) du:

alive at T, or gone at some time u since the last purchase. The papers write the integral as the difference of two
hypergeometric functions, which loses digits or is no number at all for heavy buyers, for old customers, and where alpha
and beta are far apart. Here it is summed as it stands, all terms positive.

References
----------
Schmittlein, Morrison & Colombo (1987), Counting Your Customers: Who Are They and What Will They Do Next?, Management
Science 33(1).
Fader & Hardie (2005), A Note on Deriving the Pareto/NBD Model and Related Expressions, brucehardie.com/notes/009.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from predclv.kernels.bg_family import NUMPY
from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_WEIGHTS

__all__ = ["NUMPY", "log_likelihood", "p_alive"]

# Panels of Gauss-Legendre as shares of the range of log(kappa+u), kappa the smaller of alpha and beta: a time of ten
# years is less than 16 units long for kappa above 1e-4 of a day, so a panel is below one unit; the first one is halved
# again and again towards t_x, where heavy buyers' integrands fall by a factor e within 1 / m.
_EDGES = np.append(0.0, np.concatenate([2.0 ** np.arange(-12, 0), np.arange(1.0, 17.0)]) / 16.0)
_NODES = np.concatenate([low + (high - low) * LEGENDRE_NODES for low, high in pairwise(_EDGES)])
_WEIGHTS = np.concatenate([(high - low) * LEGENDRE_WEIGHTS for low, high in pairwise(_EDGES)])


def log_likelihood(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, s: Any, beta: Any, *, xp: Any = NUMPY) -> Any:
    """Log-likelihood of each history.

    Schmittlein, Morrison & Colombo (1987); Fader & Hardie (2005), before the integral is solved.

    Parameters
    ----------
    x, t_x, T : (n_customers,) arrays
        Repeat purchases; time of the last one; customer age.
    r, alpha, s, beta : float or (n_draws, 1) arrays
        `alpha` and `beta` are in the time unit of `T`.
    xp : namespace
        The functions of `NUMPY`, or PyTensor's.

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array
    """
    # Everything relative to (alpha+t_x)^-m (beta+t_x)^-s, so that nothing under- or overflows.
    rate = xp.gammaln(r + x) - xp.gammaln(r) - r * xp.log(1 + t_x / alpha) - x * xp.log(alpha + t_x)
    alive = xp.exp(_log_alive(x, t_x, T, r, alpha, s, beta, xp))
    return rate - s * xp.log(1 + t_x / beta) + xp.log(alive + _left(x, t_x, T, r, alpha, s, beta, xp))


def p_alive(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, s: Any, beta: Any, *, xp: Any = NUMPY) -> Any:
    """Probability that a customer has not left: the share of the likelihood that being alive has.

    Schmittlein, Morrison & Colombo (1987). Arguments as in `log_likelihood`.
    """
    log_alive = _log_alive(x, t_x, T, r, alpha, s, beta, xp)
    return xp.exp(log_alive - xp.log(xp.exp(log_alive) + _left(x, t_x, T, r, alpha, s, beta, xp)))


def _log_alive(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, s: Any, beta: Any, xp: Any) -> Any:
    """Log of the likelihood's first term relative to what it would be at T = t_x."""
    return -(r + x) * xp.log((alpha + T) / (alpha + t_x)) - s * xp.log((beta + T) / (beta + t_x))


def _left(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, s: Any, beta: Any, xp: Any) -> Any:
    """The likelihood's second term, likewise; nodes are on a last axis of their own."""
    kappa = xp.where(alpha < beta, alpha, beta)
    zero = 0.0 * (x + t_x + kappa)
    m, s_, start, a, b, span = (
        (of_rows + zero)[..., None]
        for of_rows in (r + x, s, kappa + t_x, alpha + t_x, beta + t_x, xp.log((kappa + T) / (kappa + t_x)))
    )
    time = start * xp.exp(span * _NODES)  # kappa + u
    since = time - start
    density = xp.exp(-m * xp.log(1 + since / a) - s_ * xp.log(1 + since / b)) * s_ / (b + since)
    return (span * _WEIGHTS * time * density).sum(axis=-1)
