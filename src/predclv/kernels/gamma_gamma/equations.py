"""Gamma-Gamma spend, in the equations' own form; the fast twin is `compiled`.

A purchase of one customer is Gamma(p, rate nu); over customers nu ~ Gamma(q, rate gamma).

References
----------
Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, brucehardie.com/notes/025.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import gammaln

__all__ = ["NUMPY", "expected_spend", "log_likelihood"]

NUMPY = SimpleNamespace(log=np.log, log1p=np.log1p, where=np.where, gammaln=gammaln)


def log_likelihood(x: Any, m: Any, p: Any, q: Any, gamma: Any, *, xp: Any = NUMPY) -> Any:
    """Log density of a customer's mean spend `m` over `x` repeat purchases; Fader & Hardie (2013), eq. (1a).

    Parameters
    ----------
    x : (n_customers,) array
        Repeat purchases, >= 1.
    m : (n_customers,) array
        Mean spend of the repeat purchases, > 0.
    p, q, gamma : float or (n_draws, 1) arrays
        `gamma` is in the unit of `m`.
    xp : namespace
        NumPy's functions and `gammaln`, or PyTensor's.

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array
    """
    total = x * m
    # (gamma / (gamma + xm))^q and (xm / (gamma + xm))^(px), through log1p so that neither end loses digits.
    log_shares = -q * xp.log1p(total / gamma) - p * x * xp.log1p(gamma / total)
    return xp.gammaln(p * x + q) - xp.gammaln(p * x) - xp.gammaln(q) + log_shares - xp.log(m)


def expected_spend(x: Any, m: Any, p: Any, q: Any, gamma: Any, *, xp: Any = NUMPY) -> Any:
    """Expected spend per purchase given the history; Fader & Hardie (2013), eq. (5).

    Parameters
    ----------
    x, m : (n_customers,) arrays
        Repeat purchases and their mean spend; both 0 gives the population's mean.
    p, q, gamma : float or (n_draws, 1) arrays

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array
        Infinite where ``p x + q <= 1``: the mean does not exist.
    """
    excess = p * x + q - 1
    exists = excess > 0
    return xp.where(exists, p * (gamma + x * m) / xp.where(exists, excess, 1.0), np.inf)
