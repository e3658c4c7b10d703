"""BG/BB in the equations' own form; the fast twins stand beside it.

A customer has n opportunities to buy after the first purchase. Before each one they leave for good with probability
theta ~ Beta(gamma, delta); while there, they buy with probability p ~ Beta(alpha, beta). With x purchases, the last at
opportunity t_x,

    L = B(alpha+x, beta+n-x) / B(alpha, beta) B(gamma, delta+n) / B(gamma, delta)
        + sum_{i=0}^{n-t_x-1} B(alpha+x, beta+t_x-x+i) / B(alpha, beta) B(gamma+1, delta+t_x+i) / B(gamma, delta):

there at the last opportunity, or gone before the one numbered t_x + i + 1.

References
----------
Fader, Hardie & Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting, Marketing Science 29(6).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from predclv.kernels.bg_family import NUMPY

__all__ = ["NUMPY", "log_likelihood", "p_alive"]


def log_likelihood(x: Any, t_x: Any, T: Any, alpha: Any, beta: Any, gamma: Any, delta: Any, *, xp: Any = NUMPY) -> Any:
    """Log-likelihood of each history: of the opportunities that were used, as they came.

    Parameters
    ----------
    x, t_x, T : (n_customers,) arrays
        Opportunities used, the last one used, and opportunities had, all whole.
    alpha, beta, gamma, delta : float or (n_draws, 1) arrays
    xp : namespace
        The functions of `NUMPY`, or PyTensor's. The sum has as many terms as the longest silence asks for in the data
        as they are now: where PyTensor's are changed to longer ones, the result is NaN.

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array

    References
    ----------
    Fader, Hardie & Shang (2010), Marketing Science 29(6).
    """
    # Relative to what it would be at T = t_x, so that nothing under- or overflows.
    used = _log_there(x, t_x, alpha, beta, gamma, delta, xp)
    there = xp.exp(_log_there(x, T, alpha, beta, gamma, delta, xp) - used)
    return used + xp.log(there + _left(x, t_x, T, alpha, beta, gamma, delta, used, xp))


def p_alive(x: Any, t_x: Any, T: Any, alpha: Any, beta: Any, gamma: Any, delta: Any, *, xp: Any = NUMPY) -> Any:
    """Probability of being there at opportunity T + 1, given the history; arguments as in `log_likelihood`."""
    log_used = log_likelihood(x, t_x, T, alpha, beta, gamma, delta, xp=xp)
    survived = xp.log((delta + T) / (gamma + delta + T))
    return xp.exp(_log_there(x, T, alpha, beta, gamma, delta, xp) + survived - log_used)


def _log_beta(a: Any, b: Any, xp: Any) -> Any:
    return xp.gammaln(a) + xp.gammaln(b) - xp.gammaln(a + b)


def _log_there(x: Any, n: Any, alpha: Any, beta: Any, gamma: Any, delta: Any, xp: Any) -> Any:
    """Log-probability of the purchases and of being there up to opportunity n."""
    bought = _log_beta(alpha + x, beta + n - x, xp) - _log_beta(alpha, beta, xp)
    return bought + _log_beta(gamma, delta + n, xp) - _log_beta(gamma, delta, xp)


def _left(x: Any, t_x: Any, T: Any, alpha: Any, beta: Any, gamma: Any, delta: Any, used: Any, xp: Any) -> Any:
    """Sum of the likelihood's other terms over exp(used); terms are on a last axis of their own."""
    silence = T - t_x
    longest = silence.max()
    # A symbolic maximum is settled by the data as they are: JAX takes no shape that it does not know.
    n_terms = int(longest.eval() if hasattr(longest, "eval") else longest)
    i = np.arange(max(n_terms, 1))
    zero = 0.0 * (x + alpha)
    x_, last, a, b, c, d, base, terms = (
        (of_rows + zero)[..., None] for of_rows in (x, t_x, alpha, beta, gamma, delta, used, silence)
    )
    n = last + i
    gone = xp.log(c / (c + d + n))
    term = xp.exp(_log_there(x_, n, a, b, c, d, xp) + gone - base)
    total = xp.where(i < terms, term, 0.0).sum(axis=-1)
    return xp.where(silence <= n_terms, total, np.nan)
