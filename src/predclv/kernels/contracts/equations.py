"""Contracts in the equations' own form: shifted beta-geometric and beta-discrete-Weibull; the fast twins stand beside.

At each renewal a customer stays or leaves for good. Customer by customer the chance of having left by the t-th renewal
is 1 - (1 - theta)^(t^c), and theta ~ Beta(alpha, beta) over customers, so that

    S(t) = P(at least t renewals) = B(alpha, beta + t^c) / B(alpha, beta).

With c = 1 every customer leaves with a constant probability, theta (the shifted beta-geometric model); with c > 1 the
single customer becomes likelier to leave with time, with c < 1 less.

References
----------
Fader & Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1).
Fader, Hardie, Liu, Davin & Steenburgh (2018), "How to Project Customer Retention" Revisited: The Role of Duration
Dependence, Journal of Interactive Marketing 43.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import gammaln

__all__ = ["NUMPY", "log_likelihood", "log_survival"]

NUMPY = SimpleNamespace(log=np.log, log1p=np.log1p, exp=np.exp, where=np.where, maximum=np.maximum, gammaln=gammaln)


def log_survival(t: Any, alpha: Any, beta: Any, c: Any = 1.0, *, xp: Any = NUMPY) -> Any:
    """Logarithm of the share of customers who renew at least t times.

    Parameters
    ----------
    t : array, >= 0
    alpha, beta, c : float or (n_draws, 1) arrays
    xp : namespace
        The functions of `NUMPY`, or PyTensor's.
    """
    # t^c by logarithms, so that its derivative in c is finite at t = 0 too.
    power = xp.where(t > 0, xp.exp(c * xp.log(xp.maximum(t, 1))), 0.0)
    return _log_beta(alpha, beta + power, xp) - _log_beta(alpha, beta, xp)


def log_likelihood(tenure: Any, lost: Any, alpha: Any, beta: Any, c: Any = 1.0, *, xp: Any = NUMPY) -> Any:
    """Log-likelihood of each contract: S(tenure), or S(tenure) - S(tenure + 1) where the next renewal was declined.

    Fader & Hardie (2007) for c = 1; Fader et al. (2018).

    Parameters
    ----------
    tenure : (n_contracts,) array
        Renewals made.
    lost : (n_contracts,) array
        1 where the contract ended at the next renewal, 0 where it has not come up.
    alpha, beta, c, xp
        As in `log_survival`.

    Returns
    -------
    (n_contracts,) or (n_draws, n_contracts) array
    """
    here = log_survival(tenure, alpha, beta, c, xp=xp)
    declined = xp.log1p(-xp.exp(log_survival(tenure + 1.0, alpha, beta, c, xp=xp) - here))
    return here + xp.where(lost > 0, declined, 0.0)


def _log_beta(a: Any, b: Any, xp: Any) -> Any:
    return xp.gammaln(a) + xp.gammaln(b) - xp.gammaln(a + b)
