"""Expected purchases, retention, spend and value of new customers, with one attribute set and the others as they are.

What is compared is a mean over the same customers twice, once with each value of an attribute (direct standardisation,
or the g-formula; Robins 1986, Mathematical Modelling 7), so that the others weigh alike on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.customers import runs
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import shift

__all__ = ["Profiles", "SpendRegression", "Standardiser", "regress_spend", "take_profiles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Parameter vectors at a time: with what is made of them some 20 MB.
_VECTORS = 16_384


@dataclass(frozen=True, eq=False)
class Profiles:
    """Customers over whom is averaged: attributes by name, (n_profiles,) each, and weights that sum to 1."""

    columns: Mapping[str, NDArray[Any]]
    weight: FloatArray
    is_sample: bool

    def with_value(self, name: str, value: Any) -> dict[str, NDArray[Any]]:
        """The same profiles with one attribute set."""
        whole = np.empty(len(self.weight), dtype=np.asarray(self.columns[name]).dtype)
        whole[:] = value
        return {**self.columns, name: whole}


def take_profiles(columns: Mapping[str, NDArray[Any]], weight: FloatArray, most: int) -> Profiles:
    """All distinct combinations of attributes, or, of more than `most`, customers evenly spaced in their order."""
    codes = [np.unique(column, return_inverse=True)[1].astype(np.float64) for column in columns.values()]
    order = np.lexsort(codes[::-1])
    first, run = runs(*(np.ascontiguousarray(code[order]) for code in codes))
    mass = np.bincount(run, weights=weight[order])
    if len(first) <= most:
        picked, share = order[first], mass / mass.sum()
    else:
        until = np.cumsum(weight[order])
        picked = order[np.searchsorted(until, (np.arange(most) + 0.5) / most * until[-1])]
        share = np.full(most, 1 / most)
    return Profiles({name: column[picked] for name, column in columns.items()}, share, len(first) > most)


@dataclass(frozen=True, eq=False)
class SpendRegression:
    """Mean spend a purchase as the exponential of a line in the encoded attributes, a constant first.

    Attributes
    ----------
    coefficients : (n_columns + 1,) array
    covariance : (n_columns + 1, n_columns + 1) array
        Robust: it holds whatever the distribution of spend (Huber 1967).
    """

    coefficients: FloatArray
    covariance: FloatArray

    def draws(self, n: int, seed: int) -> FloatArray:
        """Large-sample draws of the coefficients, (n, n_columns + 1)."""
        return np.random.default_rng(seed).multivariate_normal(self.coefficients, self.covariance, n, method="eigh")


def regress_spend(encoded: FloatArray, spend: FloatArray, weight: FloatArray) -> SpendRegression:
    """Fit by quasi-likelihood of the gamma with a log link, each repeat buyer once.

    The estimate is right wherever the mean is, whatever the distribution (Gourieroux, Monfort & Trognon 1984,
    Econometrica 52(3)); a mean of 0, as after returns, counts as such.
    """
    z = np.column_stack([np.ones(len(encoded)), encoded])
    beta = np.zeros(z.shape[1])
    beta[0] = np.log(np.average(spend, weights=weight))
    information = (z * weight[:, np.newaxis]).T @ z
    for _ in range(100):
        excess = spend * np.exp(-(z @ beta)) - 1.0
        step = np.linalg.solve(information, z.T @ (weight * excess))
        # Far off, a whole step of scoring may overshoot.
        beta = beta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    excess = spend * np.exp(-(z @ beta)) - 1.0
    middle = (z * (weight * excess**2)[:, np.newaxis]).T @ z
    inverse = np.linalg.inv(information)
    n = float(weight.sum())
    return SpendRegression(beta, inverse @ middle @ inverse * (n / (n - z.shape[1])))


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Measures of new customers by their attributes.

    Attributes
    ----------
    model : CovariateModel
        Fitted with the attributes on purchases and dropout.
    spend : SpendRegression or None
    horizon, delta : float
        Window and continuous discount rate, in the time unit.
    until : float
        Time after the first purchase until which customers are asked to buy again, and at which to be still there.
    margin : float
    include_first : bool
        Whether the first purchase's margin is in the value.
    """

    model: CovariateModel
    spend: SpendRegression | None
    horizon: float
    delta: float
    until: float
    margin: float
    include_first: bool

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what `measure` returns."""
        counts = ("purchases", "p_purchase", "retention")
        return ("clv", *counts, "spend") if self.spend is not None else counts

    def measure(
        self, settings: Sequence[Mapping[str, NDArray[Any]]], weight: FloatArray, theta: FloatArray, beta: FloatArray
    ) -> dict[str, FloatArray]:
        """Weighted means over the profiles of each setting, (n_draws, n_settings) each.

        Parameters
        ----------
        settings : sequence of columns by name
            The profiles, as `Profiles.with_value` gives them.
        weight : (n_profiles,) array
        theta : (n_draws, n_parameters) array
        beta : (n_draws, n_coefficients) array
            Of the spend regression; unused without.
        """
        covariates = self.model.covariates_
        assert covariates is not None
        n = len(weight)
        columns = {name: np.concatenate([one[name] for one in settings]) for name in settings[0]}
        design = covariates.encode(columns, np.arange(n * len(settings)))
        both = np.hstack([design.purchase, design.dropout])
        first, which = np.unique(both, axis=0, return_index=True, return_inverse=True)[1:]
        found = self._of_patterns(design.purchase[first], design.dropout[first], theta)
        if self.spend is not None:
            lines = np.column_stack([np.ones(len(first)), design.purchase[first]])
            found["spend"] = np.exp(np.einsum("dj,pj->dp", beta, lines))
            found["clv"] = self.margin * (found.pop("discounted") + float(self.include_first)) * found["spend"]
        shape = len(theta), len(settings), n
        return {name: (found[name][:, which.reshape(-1)].reshape(shape) * weight).sum(axis=2) for name in self.measures}

    def _of_patterns(self, purchase: FloatArray, dropout: FloatArray, theta: FloatArray) -> dict[str, FloatArray]:
        """Measures of each pattern of covariates at each draw, (n_draws, n_patterns)."""
        bindings, zero = self.model.bindings, np.zeros(1)
        own = np.concatenate([shift(self.model.pattern_kernels.link, draw, purchase, dropout) for draw in theta])
        own = np.ascontiguousarray(own)
        kinds = ("purchases", "p_purchase", "retention", *(("discounted",) if self.spend is not None else ()))
        out = {kind: np.empty(len(own)) for kind in kinds}
        for start in range(0, len(own), _VECTORS):
            some = slice(start, start + _VECTORS)
            vectors = own[some]
            out["purchases"][some] = bindings.expected_purchases(zero, zero, zero, self.horizon, vectors)[:, 0]
            out["p_purchase"][some] = self._p_purchase(vectors)
            out["retention"][some] = bindings.p_alive(zero, zero, zero, vectors, self.until)[:, 0]
            if "discounted" in out:
                out["discounted"][some] = bindings.discounted_expected_purchases(
                    zero, zero, zero, self.horizon, self.delta, vectors
                )[:, 0]
        return {kind: column.reshape(len(theta), len(purchase)) for kind, column in out.items()}

    def _p_purchase(self, vectors: FloatArray) -> FloatArray:
        """Probability that a new customer buys again, for each parameter vector, (n_vectors,)."""
        kernels, zero = self.model.pattern_kernels, np.zeros(len(vectors))
        found = np.zeros(len(vectors))
        for stage in range(kernels.n_stages):
            alive = kernels.p_alive(zero, zero, zero, vectors, stage)
            found += alive * (1.0 - kernels.alive_counts(zero, zero, self.until, vectors, 0, stage)[:, 0])
        return found
