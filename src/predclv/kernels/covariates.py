"""What covariates do to a customer's parameters, in the equations' own form and with derivatives.

With gamma'z the purchase predictor and delta'z the dropout predictor of a customer:

    purchase, all models       alpha_i = alpha exp(-gamma'z), so that exp(gamma) multiplies the purchase rate;
    dropout, Pareto/NBD        beta_i = beta exp(-delta'z), so that exp(delta) multiplies the rate of leaving;
    dropout, BG family         logit of the mean a/(a+b) shifts by delta'z, a + b stays, so that exp(delta) multiplies
                               the odds of leaving after a purchase.

The last is the parametrisation of beta regression (Ferrari & Cribari-Neto 2004, Journal of Applied Statistics 31(7)) by
mean and precision. Multiplying a and b alike would leave the mean of p where it is, and move only how much customers
differ.

Likelihoods are differentiated by way of working parameters in which predictors are added: (r, log alpha, a + b,
log a/b) and (r, log alpha, s, log beta).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from predclv.kernels.bg_family import NUMPY

__all__ = ["BETA_LINK", "GAMMA_LINK", "Link", "chain"]

Floats = npt.NDArray[np.float64]


class Link(Protocol):
    """How predictors move the four parameters; working parameter 1 is moved by purchase, 3 by dropout covariates."""

    @property
    def dropout_sign(self) -> float:
        """Sign with which the dropout predictor is added to working parameter 3."""
        ...

    def shift(self, theta: Any, purchase: Any, dropout: Any, xp: SimpleNamespace = NUMPY) -> tuple[Any, Any, Any, Any]:
        """Parameters of customers with these predictors; `theta` is unpacked into four."""
        ...

    def to_natural(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        """Derivatives of natural by working parameters at natural theta (n, 4).

        Jacobian (n, 4, 4), and second derivatives summed over the natural parameters with weights `gradient` (n, 4).
        """
        ...

    def to_working(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        """Likewise of working by natural parameters, at one theta (4,): (4, 4) each."""
        ...


class _Gamma:
    """Dropout by a gamma over rates of leaving: r, alpha, s, beta."""

    dropout_sign = -1.0

    def shift(self, theta: Any, purchase: Any, dropout: Any, xp: SimpleNamespace = NUMPY) -> tuple[Any, Any, Any, Any]:
        r, alpha, s, beta = theta
        return r, alpha * xp.exp(-purchase), s, beta * xp.exp(-dropout)

    def to_natural(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        jacobian, second = np.zeros((2, len(theta), 4, 4))
        jacobian[:, 0, 0] = jacobian[:, 2, 2] = 1.0
        for i in (1, 3):
            jacobian[:, i, i] = theta[:, i]
            second[:, i, i] = gradient[:, i] * theta[:, i]
        return jacobian, second

    def to_working(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        _, alpha, _, beta = theta
        second = -gradient * np.array([0.0, alpha**-2, 0.0, beta**-2])
        return np.diag([1.0, 1.0 / alpha, 1.0, 1.0 / beta]), np.diag(second)


class _Beta:
    """Dropout by a beta over probabilities of leaving: r, alpha, a, b."""

    dropout_sign = 1.0

    def shift(self, theta: Any, purchase: Any, dropout: Any, xp: SimpleNamespace = NUMPY) -> tuple[Any, Any, Any, Any]:
        r, alpha, a, b = theta
        # In halves, so that neither overflows.
        more, less = a * xp.exp(0.5 * dropout), b * xp.exp(-0.5 * dropout)
        return r, alpha * xp.exp(-purchase), (a + b) * (more / (more + less)), (a + b) * (less / (more + less))

    def to_natural(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        jacobian, second = np.zeros((2, len(theta), 4, 4))
        _, alpha, a, b = theta.T
        total = a + b
        leave, stay = a / total, b / total
        spread = leave * stay
        jacobian[:, 0, 0], jacobian[:, 1, 1] = 1.0, alpha
        second[:, 1, 1] = gradient[:, 1] * alpha
        jacobian[:, 2, 2], jacobian[:, 3, 2] = leave, stay
        jacobian[:, 2, 3] = total * spread
        jacobian[:, 3, 3] = -total * spread
        difference = gradient[:, 2] - gradient[:, 3]
        second[:, 2, 3] = second[:, 3, 2] = difference * spread
        second[:, 3, 3] = difference * total * spread * (stay - leave)
        return jacobian, second

    def to_working(self, theta: Floats, gradient: Floats) -> tuple[Floats, Floats]:
        _, alpha, a, b = theta
        jacobian, second = np.zeros((2, 4, 4))
        jacobian[0, 0], jacobian[1, 1] = 1.0, 1.0 / alpha
        jacobian[2, 2] = jacobian[2, 3] = 1.0
        jacobian[3, 2], jacobian[3, 3] = 1.0 / a, -1.0 / b
        second[1, 1] = -gradient[1] / alpha**2
        second[2, 2], second[3, 3] = -gradient[3] / a**2, gradient[3] / b**2
        return jacobian, second


GAMMA_LINK: Link = _Gamma()
BETA_LINK: Link = _Beta()


def chain(
    link: Link,
    theta: Floats,
    shifted: Floats,
    purchase: Floats,
    dropout: Floats,
    gradient: Floats,
    hessian: Floats,
) -> tuple[Floats, Floats]:
    """Derivatives by the parameters of all and by the coefficients, from those by each pattern's own parameters.

    Parameters
    ----------
    theta : (4,) array
    shifted : (n_patterns, 4) array
        `link.shift` of it.
    purchase, dropout : (n_patterns, n_purchase) and (n_patterns, n_dropout) arrays
        Covariates.
    gradient, hessian : (n_patterns, 4) and (n_patterns, 4, 4) arrays
        Of each pattern's log-likelihood by its own natural parameters.

    Returns
    -------
    gradient, hessian : (n,) and (n, n) arrays, n = 4 + n_purchase + n_dropout
    """
    jacobian, second = link.to_natural(shifted, gradient)
    slope = np.einsum("nki,nk->ni", jacobian, gradient)
    curve = np.matmul(np.matmul(np.swapaxes(jacobian, 1, 2), hessian), jacobian) + second
    # A pattern's working parameters are those of all plus its predictors.
    moved, signs = (1, 3), (-1.0, link.dropout_sign)
    design = [sign * columns for sign, columns in zip(signs, (purchase, dropout), strict=True)]
    of_all, all_curve = slope.sum(axis=0), curve.sum(axis=0)
    forward, bend = link.to_working(theta, of_all)
    out = np.concatenate([forward.T @ of_all, *(design[i].T @ slope[:, moved[i]] for i in (0, 1))])
    n = len(out)
    full = np.zeros((n, n))
    full[:4, :4] = forward.T @ all_curve @ forward + bend
    ends = np.cumsum([4, purchase.shape[1], dropout.shape[1]])
    places = [slice(ends[i], ends[i + 1]) for i in (0, 1)]
    for i in (0, 1):
        full[:4, places[i]] = forward.T @ (curve[:, :, moved[i]].T @ design[i])
        full[places[i], :4] = full[:4, places[i]].T
        for j in (0, 1):
            full[places[i], places[j]] = (design[i] * curve[:, moved[i], moved[j], np.newaxis]).T @ design[j]
    return out, full
