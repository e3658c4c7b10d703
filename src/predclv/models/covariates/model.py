"""Transaction models in which customers differ by what is known of them beside their purchases."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from predclv.data.checks import quote_list
from predclv.data.rfm import RFMSummary
from predclv.forecast.replicates import replicate_counts
from predclv.inference.evidence import Evidence, Replicate
from predclv.inference.optimize import Optimum, maximize
from predclv.inference.posterior import Posterior
from predclv.models.base import Part
from predclv.models.covariates.columns import Covariates, Design
from predclv.models.covariates.effects import describe_effects
from predclv.models.covariates.patterns import PatternKernels, PatternRows, bind, distinct_patterns, shift
from predclv.models.covariates.penalty import choose_penalty, default_grid, maximize_penalized, squared_deviations
from predclv.models.covariates.settings import CovariateSettings
from predclv.models.covariates.shifted import shifted_posteriors
from predclv.models.likelihood import Likelihood
from predclv.priors.distributions import Prior

__all__ = ["CovariateModel"]

FloatArray = NDArray[np.float64]

_NO_CUSTOMERS = "The posterior is that of customers with certain covariates, out of a fit to all: ask the fit itself."


class CovariateModel(CovariateSettings):
    """Base of the transaction models that take covariates, constant in time; see `Model` for the other parameters.

    Parameters
    ----------
    purchase_covariates, dropout_covariates : list of str or ColumnTransformer, optional
        What moves the purchase rate, and what moves leaving: carried columns, or a scikit-learn transformer of them,
        which is fitted on the customers. Numbers are standardised; text becomes an indicator for each value but the
        most frequent one, the reference. The parameters are then those of a customer with average numbers and
        reference values.
    penalty : float or "cv"
        For "mle": how strongly coefficients are pulled to 0. Half the penalty times the squared standardised
        coefficients is taken from the log-likelihood, like a normal prior of variance 1 / penalty. "cv" chooses it by
        cross-validated log-likelihood: the largest penalty whose loss against the best one is within one standard error
        of that loss, over customers (`penalty_path_`). So what chance explains as well is shrunk to next to nothing,
        and what has an effect loses up to some two standard errors of it. Intervals of a penalised fit are narrower
        than those without, and centred nearer to 0: they hold the truth as often as stated only where the truth is as
        small as the penalty takes it to be.
    penalty_grid : sequence of float, optional
        What "cv" tries; by default 0 and 13 penalties from 1e-4 to 100 times the number of customers.
    penalty_folds : int
        Parts into which "cv" divides the customers at random, by `random_state`.

    Attributes
    ----------
    covariates_ : Covariates or None
        How columns become numbers, as learnt from the customers of the fit.
    penalty_path_ : DataFrame
        With penalty="cv": penalty, log_likelihood (mean of a customer not fitted on), loss against the best,
        std_error of that loss, best, chosen, and the coefficients of a fit to all.
    """

    _pattern: tuple[Hashable, ...] | None = None

    @property
    @abstractmethod
    def pattern_kernels(self) -> PatternKernels:
        """The kernels in which customers have parameters of their own."""

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Estimate the parameters and coefficients; see `Model.fit`.

        Raises
        ------
        DataError
            Besides: a covariate is not carried, has gaps, is constant, or a combination of others; or customers are
            too few for so many coefficients.
        """
        self._check_settings()
        self._require_data(rfm)
        learnt = self._learn(rfm)
        for name in ("covariates_", "penalty_path_", "_pattern"):
            self.__dict__.pop(name, None)
        if learnt is not None:
            self.covariates_ = learnt
        return super().fit(rfm)

    def to_pymc(self, rfm: RFMSummary, *, likelihood: Literal["compiled", "literal"] = "compiled") -> Any:
        """Write the posterior given `rfm` as a PyMC model; see `Model.to_pymc`. Covariates are data of it."""
        with self._learning(rfm):
            return super().to_pymc(rfm, likelihood=likelihood)

    def priors_for(self, rfm: RFMSummary) -> dict[str, Prior]:
        """Return the priors that a fit on `rfm` would use, one a parameter, in the summary's own units."""
        with self._learning(rfm):
            return super().priors_for(rfm)

    @property
    def effects(self) -> pd.DataFrame:
        """What covariates do, at a 90 % interval; see `describe_effects`.

        Returns
        -------
        DataFrame
            covariate, on ("purchase" or "dropout"), contrast (one unit more, or a level and its reference), coefficient
            of that contrast, std_error, low, high, multiplier (its exponential), multiplier_low, multiplier_high, and
            meaning, in words: of a numeric column one standard deviation more, and the multiplier of one unit beside.

        Raises
        ------
        ValueError
            The model was fitted without covariates.
        """
        return describe_effects(self.posterior_, self._fitted_covariates("effects"), self.DROPOUT_EFFECT)

    def for_covariates(self, values: Mapping[str, Any]) -> Self:
        """Return an ordinary fitted model, without covariates, of customers with these values.

        Parameters
        ----------
        values : mapping
            Of each covariate's column to its value.

        Raises
        ------
        ValueError
            The model was fitted without covariates.
        DataError
            A value is missing or unknown.
        """
        design = self._fitted_covariates("for_covariates").encode_one(values)
        return self._of_patterns(design)[0]

    @property
    def identity(self) -> Hashable:
        """See `Model`; of customers with certain covariates, made anew for others, what they are made of."""
        return super().identity if self._pattern is None else self._pattern

    @property
    def is_divided(self) -> bool:
        """See `Model`."""
        return super().is_divided or self.covariates_ is not None

    def parts(self, rfm: RFMSummary) -> list[Part[Self]]:
        """Split a summary by who speaks of which customers: with covariates, one part a pattern of them.

        Raises
        ------
        DataError
            A covariate is not carried, has gaps, or holds a value that the fit has not seen.
        """
        check_is_fitted(self)
        if self.covariates_ is None:
            return super().parts(rfm)
        design = self.covariates_.design(rfm)
        first, pattern = distinct_patterns(*design)
        models = self._of_patterns(Design(design.purchase[first], design.dropout[first]))
        order = np.argsort(pattern, kind="stable")
        ends = np.searchsorted(pattern[order], np.arange(1, len(first)))
        return [Part(model, rfm.pick(rows), rows) for model, rows in zip(models, np.split(order, ends), strict=True)]

    def require_one_population(self) -> None:
        """Raise ValueError where customers differ in their parameters, for what speaks of one population only."""
        super().require_one_population()
        if self.covariates_ is not None:
            raise ValueError(
                f"This {type(self).__name__} has parameters for each customer, by "
                f"{quote_list(self.covariates_.sources)}: "
                "take those of some values, as for_covariates({...}), with the customers who have them."
            )

    def score(self, rfm: RFMSummary, y: None = None) -> float:
        """Mean log-likelihood at the estimate; see `Model.score`."""
        if getattr(self, "covariates_", None) is None:
            return super().score(rfm)
        self._check_use(rfm)
        likelihood = self._likelihood(rfm)
        return likelihood.derivatives(self.posterior_.point_array.copy()).value / likelihood.n_observations

    @contextmanager
    def _learning(self, rfm: RFMSummary) -> Iterator[None]:
        """Speak of the covariates as `rfm` has them, while something is made of it and the model stays as it is."""
        self._check_settings()
        self._require_data(rfm)
        was_there, before = "covariates_" in self.__dict__, self.covariates_
        self.covariates_ = self._learn(rfm)
        try:
            yield
        finally:
            self.covariates_ = before
            if not was_there:
                del self.covariates_

    def _fitted_covariates(self, what: str) -> Covariates:
        check_is_fitted(self, "posterior_")
        if self.covariates_ is None:
            # A ValueError that is an AttributeError too, so that `dir` and `hasattr` take it for what is not there.
            raise NotFittedError(f"This {type(self).__name__} was fitted without covariates, so it has no {what}.")
        return self.covariates_

    def _rows(self, rfm: RFMSummary) -> PatternRows:
        assert self.covariates_ is not None
        design = self.covariates_.design(rfm)
        history = rfm.frequency.astype(np.float64), rfm.recency, rfm.T
        return PatternRows.of(self.pattern_kernels, *history, *design, rfm.weight)

    def _bind_rows(self, rows: PatternRows) -> Likelihood:
        assert self.covariates_ is not None
        return bind(rows, self._own_parameters(), self.covariates_.column_names, round(rows.weight.sum()))

    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        return super()._likelihood(rfm) if self.covariates_ is None else self._bind_rows(self._rows(rfm))

    def _start(self, rfm: RFMSummary) -> FloatArray:
        start = super()._start(rfm)
        return np.append(start, np.zeros(len(self._own_parameters()) - len(start)))

    def _maximize(self, rfm: RFMSummary, likelihood: Likelihood) -> Optimum:
        start = self._start(rfm)
        if self.covariates_ is None or self.penalty == 0:
            return maximize(likelihood, start)
        rows = self._rows(rfm)
        penalty = self.penalty
        if penalty == "cv":
            grid = default_grid(rfm.n_customers) if self.penalty_grid is None else self.penalty_grid
            penalty, self.penalty_path_ = choose_penalty(
                rows, self._bind_rows, likelihood, start, grid, int(self.penalty_folds), int(self.random_state)
            )
        return maximize_penalized(likelihood, start, float(penalty), squared_deviations(rows))

    def _examine(self, rfm: RFMSummary, posterior: Posterior, theta: FloatArray | None = None) -> Posterior:
        posterior = super()._examine(rfm, posterior, theta)
        if self.covariates_ is None:
            return posterior
        n_patterns = len(distinct_patterns(*self.covariates_.design(rfm))[0])
        posterior = posterior.evolve(fit_diagnostics={**posterior.fit_diagnostics, "n_patterns": n_patterns})
        if self.method != "mle":
            return posterior
        chosen = (
            float(self.penalty)
            if self.penalty != "cv"
            else float(self.penalty_path_.loc[self.penalty_path_["chosen"], "penalty"].iloc[0])
        )
        return posterior.evolve(fit_diagnostics={**posterior.fit_diagnostics, "penalty": chosen})

    def _replicate(self, likelihood: Likelihood) -> Replicate:
        if self.covariates_ is None:
            return super()._replicate(likelihood)
        rows = likelihood.rows
        columns = np.column_stack([rows[name] for name in self.covariates_.column_names])
        n = 0 if self.covariates_.purchase is None else len(self.covariates_.purchase.coefficients)
        each = np.repeat(np.arange(len(likelihood.weight)), likelihood.weight.astype(np.int64))
        kernels, purchase, dropout = self.pattern_kernels, columns[:, :n], columns[:, n:]

        simulate = partial(_simulate, kernels, purchase, dropout, rows["T"], each)
        return partial(replicate_counts, simulate, rows["frequency"][each])

    def _of_patterns(self, design: Design) -> list[Self]:
        """An ordinary fitted model for each pattern of covariates."""
        plain = clone(self).set_params(
            purchase_covariates=None, dropout_covariates=None, penalty=0.0, penalty_grid=None
        )
        plain.priors = None
        plain.segments_, plain.priors_, plain.fingerprint_ = {}, {}, self.fingerprint_
        models: list[Self] = []
        evidence = Evidence(type(self).__name__, absent=_NO_CUSTOMERS)
        posteriors = shifted_posteriors(
            self.posterior_, self.PARAMETERS, self.pattern_kernels.link, design.purchase, design.dropout, evidence
        )
        for posterior, purchase, dropout in zip(posteriors, design.purchase, design.dropout, strict=True):
            model = copy.copy(plain)
            model.posterior_ = posterior
            model._pattern = id(self.posterior_), purchase.tobytes(), dropout.tobytes()
            models.append(model)
        return models


def _simulate(
    kernels: PatternKernels,
    purchase: FloatArray,
    dropout: FloatArray,
    T: FloatArray,
    each: NDArray[np.int64],
    generator: np.random.Generator,
    theta: FloatArray,
) -> NDArray[np.int64]:
    """Repeat purchases of all customers in one simulated data set; `each` is the row of every customer."""
    return kernels.simulate_counts(generator, T[each], shift(kernels.link, theta, purchase, dropout)[each])
