"""What every model shares: the fit from data to Posterior, by any method, and what can be asked of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from predclv.data.columns import segments
from predclv.data.rfm import RFMSummary
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError, see
from predclv.inference.evidence import Evidence, Replicate
from predclv.inference.hierarchy import Hierarchy
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.optimize import Optimum, maximize
from predclv.inference.posterior import Posterior, require_arviz
from predclv.models import bayes
from predclv.models.display import FittedDisplay, fit_in_words
from predclv.models.likelihood import Likelihood
from predclv.models.maximum_likelihood import posterior_of_estimate, warn_of_estimate
from predclv.models.pooling import fit_hierarchy, match_segments, warn_of_small_segments
from predclv.models.saved import POOLED, SavedModel
from predclv.priors.settle import supported

__all__ = ["POPULATION", "Model", "Part", "require_summary"]

M = TypeVar("M")
FloatArray = NDArray[np.float64]

#: What the table of parameters calls all segments together.
POPULATION = "population"


class Part(NamedTuple, Generic[M]):
    """Customers of one summary that one fitted model speaks of, and their rows in it."""

    model: M
    rfm: RFMSummary
    rows: NDArray[np.int64]


class Model(FittedDisplay, SavedModel):
    """Base of the transaction and spend models.

    Parameters
    ----------
    method : {"mle", "map", "mcmc", "auto"}
        How to estimate. "mle": maximum likelihood, with normal draws on the log scale. "map": mode of the posterior
        under `priors`, with draws by importance sampling, made at first use; a warning says where they are doubtful.
        "mcmc": the posterior sampled by NUTS in `fit`; needs the extra "bayes". "auto": "map", with the draws made and
        judged in `fit`, and "mcmc" where they are doubtful.
    priors : mapping of parameter name to prior, optional
        From `predclv.priors`, for all methods but "mle"; parameters left out keep weakly informative defaults that go
        by the data's scale (`priors_table` shows them).
    segment : str, optional
        A carried column whose values (channels, countries, kinds of firm) get parameters of their own that share
        strength: a small segment is pulled to what all have in common, a large one speaks for itself. Needs "map"
        (empirical Bayes, fast), "mcmc" or "auto". Priors are then those of the population's center, and further ones,
        under names like "alpha_spread", say how far segments differ.
    sampler : {"nutpie", "pymc", "numpyro"}
        Who runs NUTS. "nutpie" calls our compiled likelihood and compiles nothing; the others sample `to_pymc`'s model.
    chains, draws, tune : int
        Of "mcmc": chains; draws kept of each; draws before those, in which the sampler finds its step.
    progressbar : bool
        Show how sampling goes, on a terminal or in a notebook.
    random_state : int
        Seed of the draws that carry parameter uncertainty, from 0 to 2**32 - 1. Same seed, same table.

    Attributes
    ----------
    posterior_ : Posterior
        Estimate, covariance and draws of the parameters; with segments, of the population's center and spread.
    segments_ : dict of str to Model
        With `segment`, a fitted model for each of its values, whose draws belong together row by row; else empty.
    priors_ : dict
        The priors behind the posterior, in the units of the data fitted on; empty for "mle".
    fingerprint_ : Fingerprint
        Units and size of the data fitted on.
    """

    #: Plain words for a parameter, or a pair, that the data push to an edge of its domain; the gravest first.
    EDGES: ClassVar[Mapping[tuple[tuple[str, str], ...], str]]

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Estimate the parameters from an RFM summary.

        Parameters
        ----------
        rfm : RFMSummary
        y : None
            Ignored by convention of scikit-learn: there is no target.

        Raises
        ------
        TypeError
            `rfm` is no RFMSummary.
        ValueError
            `method` is unknown, a prior is misnamed, improper, or given to maximum likelihood, or `random_state` is no
            seed.
        DataError
            The summary cannot inform the model: no repeat buyers, no spend, ...
        FitError
            No maximum was reached, or the sampler failed.
        ImportError
            A package that "mcmc" needs is not installed.

        Warns
        -----
        ConvergenceWarning
            A parameter ran to an edge of its domain, is hardly determined, or is decided by a default prior; or "auto"
            turned to NUTS.
        SamplingWarning
            Chains diverged, disagree, or are short.
        """
        self._check_settings()
        self._require_data(rfm)
        if self.method == "mcmc":
            self._sampling().require()
        likelihood = self._likelihood(rfm)
        self._check_data(rfm, likelihood)
        self.segments_, self.priors_, self.fingerprint_ = {}, {}, self.FINGERPRINT.of(rfm)
        if self.method == "mle":
            optimum = self._maximize(rfm, likelihood)
            posterior = posterior_of_estimate(likelihood, optimum, int(self.random_state))
            self.posterior_ = self._examine(rfm, posterior).evolve(evidence=self._evidence(likelihood))
            # Last, here and below: a warning that the caller turned into an error finds the model whole.
            warn_of_estimate(
                type(self).__name__, optimum, self.posterior_, self._edge_stories(), self.fingerprint_.n_customers
            )
        else:
            density = self._density(rfm, likelihood)
            self.priors_ = dict(density.priors)
            if self.segment is None:
                self._fit_posterior(rfm, density)
                self.posterior_ = self.posterior_.evolve(evidence=self._evidence(likelihood))
            else:
                self._fit_segments(rfm, self.segment, density)
            own = [model.posterior_ for model in self.segments_.values()] or [self.posterior_]
            bayes.warn_of_default_priors(type(self).__name__, own, self.priors_, self.priors or {})
            warn_of_small_segments(
                type(self).__name__, {n: m.fingerprint_.n_customers for n, m in self.segments_.items()}
            )
        self._warn()
        return self

    def _fit_posterior(self, rfm: RFMSummary, density: LogPosterior) -> None:
        seed, name = int(self.random_state), type(self).__name__
        posterior = bayes.fit_posterior(density, self._start(rfm), seed, name, self.method, self._sampling())
        self.posterior_ = self._examine(rfm, posterior)

    def _fit_segments(self, rfm: RFMSummary, column: str, pooled: LogPosterior) -> None:
        """Fit all segments together, from where complete pooling would put them."""
        hierarchy, pieces, codes = self._hierarchy(rfm, column, pooled)
        start = bayes.find_center(pooled, self._start(rfm))[0]
        seed, name = int(self.random_state), type(self).__name__
        posteriors = fit_hierarchy(hierarchy, start, seed, name, self.method, self._sampling())
        likelihoods = cast(tuple[Likelihood, ...], hierarchy.likelihoods)
        for (segment, piece), own, posterior in zip(pieces.items(), likelihoods, posteriors.segments, strict=True):
            # Its prior is the population, of which it is a part itself.
            evidence = replace(self._evidence(own), priors=None)
            self.segments_[segment] = self._of_segment(piece, posterior.evolve(evidence=evidence))
        points = np.array([posterior.point_array for posterior in posteriors.segments])
        population = posteriors.population.evolve(evidence=Evidence(type(self).__name__, self.priors_, absent=POOLED))
        self.posterior_ = self._examine(rfm, population, points[codes].T)

    def _hierarchy(
        self, rfm: RFMSummary, column: str, pooled: LogPosterior
    ) -> tuple[Hierarchy, dict[str, RFMSummary], NDArray[np.int64]]:
        """The segments together; the customers of each by its name; which of them each customer is in."""
        names, codes = segments(rfm, column, option="segment")
        if POPULATION in map(str, names):
            raise DataError(f"A segment in column {column!r} is called {POPULATION!r}, as all together are. Rename it.")
        pieces = {str(segment): rfm[codes == code] for code, segment in enumerate(names)}
        # With the domains that the priors leave, which set the unconstrained scale.
        likelihoods = tuple(replace(self._likelihood(piece), parameters=pooled.parameters) for piece in pieces.values())
        return Hierarchy(tuple(pieces), likelihoods, pooled.parameters, pooled.priors), pieces, codes

    def _of_segment(self, piece: RFMSummary, posterior: Posterior) -> Self:
        """An ordinary fitted model for the customers of one segment."""
        model = clone(self).set_params(segment=None)
        model.priors_ = {p.name: self.priors_[p.name] for p in self.PARAMETERS}
        if self.priors is not None:
            model.priors = {name: prior for name, prior in self.priors.items() if name in model.priors_}
        model.segments_, model.fingerprint_ = {}, self.FINGERPRINT.of(piece)
        model.posterior_ = model._examine(piece, posterior)
        fitted: Self = model
        return fitted

    @property
    def identity(self) -> Hashable:
        """What tells the fitted model from others, as long as it is there."""
        return id(self)

    @property
    def is_divided(self) -> bool:
        """Whether customers differ in their parameters: `parts` tells which have which."""
        return bool(self.segments_)

    def parts(self, rfm: RFMSummary) -> list[Part[Self]]:
        """Split a summary by who speaks of which customers: one part without segments.

        Raises
        ------
        DataError
            A customer's segment is unknown to the fit, or the column is not carried.
        """
        check_is_fitted(self)
        if not self.segments_:
            return [Part(self, rfm, np.arange(len(rfm)))]
        if self.segment is None:
            raise ValueError("The model was fitted with segments, and 'segment' has been taken away. Fit it again.")
        where = match_segments(rfm, self.segment, list(self.segments_), type(self).__name__)
        found = [(model, np.flatnonzero(where == i)) for i, model in enumerate(self.segments_.values())]
        return [Part(model, rfm[rows], rows) for model, rows in found if len(rows)]

    def require_one_population(self) -> None:
        """Raise ValueError where each segment has parameters of its own, for what speaks of one population only."""
        if self.segments_:
            names = list(self.segments_)
            raise ValueError(
                f"This {type(self).__name__} has parameters for each of {len(names)} segments of {self.segment!r}: "
                f"take that of one, as segments_[{names[0]!r}], with its customers."
            )

    def to_pymc(self, rfm: RFMSummary, *, likelihood: Literal["compiled", "literal"] = "compiled") -> Any:
        """Write the posterior given `rfm` as a PyMC model, to sample, extend or look at; no fit is needed.

        Parameters
        ----------
        rfm : RFMSummary
        likelihood : {"compiled", "literal"}
            "compiled": our own kernel with gradient and Hessian, as one Op; its data are constants. "literal": the
            equations on PyTensor's arrays, which JAX and numba can compile; its data can be changed.

        Returns
        -------
        pymc.Model
            Variables: the parameters, under the priors that `priors_for` gives whatever the method. Data, a row each
            distinct history (dim "history"): the columns that the model reads, and "n_customers". Potential:
            "log_likelihood". With `segment`, parameters have a dim "segment" and come from a population: "r_center" and
            "r_spread" have the priors that `priors_for` calls "r" and "r_spread"; "segment_index" says whose a history
            is.

        Raises
        ------
        TypeError, ValueError, DataError
            As `fit`; ValueError also for an unknown `likelihood`.
        ImportError
            PyMC is not installed.

        Examples
        --------
        >>> with BGNBD().to_pymc(rfm) as model:  # doctest: +SKIP
        ...     pm.Deterministic("mean_rate", model["r"] / model["alpha"])
        ...     idata = pm.sample()
        >>> az.summary(idata)  # doctest: +SKIP

        Notes
        -----
        The likelihood is a potential over weighted rows, so PyMC has no observed variable to predict or to score:
        `posterior_.loo()`, `posterior_.to_arviz()` and `predclv.checks` do that from a fit.
        """
        self._check_settings()
        self._require_data(rfm)
        try:
            from predclv.inference.pymc import build_model
            from predclv.inference.pymc_hierarchy import build_hierarchy_model
        except ImportError as error:
            raise ImportError("to_pymc needs pymc: pip install 'predclv[bayes]'") from error
        bound = self._likelihood(rfm)
        self._check_data(rfm, bound)
        density = self._density(rfm, bound)
        if self.segment is None:
            return build_model(density, likelihood=likelihood)
        hierarchy, *_ = self._hierarchy(rfm, self.segment, density)
        return build_hierarchy_model(hierarchy, likelihood=likelihood)

    def _maximize(self, rfm: RFMSummary, likelihood: Likelihood) -> Optimum:
        """Climb to the estimate of "mle"."""
        return maximize(likelihood, self._start(rfm))

    def _density(self, rfm: RFMSummary, likelihood: Likelihood) -> LogPosterior:
        priors = self.priors_for(rfm)
        return LogPosterior(likelihood, priors, supported(self._own_parameters(), priors))

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with estimate, standard error, 90 % interval and meaning; see `Posterior.summary`.

        With segments a first column names the segment; the rows of "population" are the center and spread of all.
        """
        check_is_fitted(self)
        if not self.segments_:
            return self.posterior_.summary()
        posteriors = {POPULATION: self.posterior_, **{name: model.posterior_ for name, model in self.segments_.items()}}
        table = pd.concat({name: posterior.summary() for name, posterior in posteriors.items()}, names=["segment"])
        return table.reset_index(level="segment").reset_index(drop=True)

    def to_arviz(self, *, log_likelihood: bool | None = None) -> Any:
        """Everything there is to look at as ArviZ's InferenceData; see `Posterior.to_arviz`.

        With segments the parameters have a dimension "segment", and the population's are called "r_center", "r_spread",
        ...; the predictive groups are those of each segment's own posterior.
        """
        check_is_fitted(self)
        if not self.segments_:
            return self.posterior_.to_arviz(log_likelihood=log_likelihood)
        require_arviz("to_arviz")
        from predclv.inference.arviz_segments import segments_to_inference_data

        own = {name: model.posterior_ for name, model in self.segments_.items()}
        return segments_to_inference_data(self.posterior_, own, log_likelihood)

    def loo(self) -> Any:
        """Leave-one-out validation; see `Posterior.loo`. With segments each customer is scored by their own segment's.

        Comparing it with a model without `segment` tells whether segments differ (`az.compare`).
        """
        check_is_fitted(self)
        require_arviz("loo")
        from predclv.inference.leave_one_out import leave_one_out

        return leave_one_out([model.posterior_ for model in self.segments_.values()] or [self.posterior_])

    def score(self, rfm: RFMSummary, y: None = None) -> float:
        """Mean log-likelihood at the estimate of the customers in `rfm` that the model speaks of; higher is better."""
        self._check_use(rfm)
        total, n = 0.0, 0
        for model, part, _ in self.parts(rfm):
            likelihood = model._likelihood(part)
            if likelihood.n_observations:
                # A copy, because the compiled kernels tell arrays that cannot be written to from others.
                total += likelihood.derivatives(model.posterior_.point_array.copy()).value
                n += likelihood.n_observations
        if n == 0:
            raise DataError(
                f"There is nobody to score: {type(self).__name__} speaks of none of the {len(rfm):,} customers."
            )
        return total / n

    def _in_words(self) -> list[str]:
        if not hasattr(self, "posterior_"):
            return []
        said = type(self).__name__, self.KIND, self.posterior_, self.fingerprint_
        return fit_in_words(*said, len(self.segments_), self.segment)

    def _require_data(self, rfm: object) -> None:
        """Raise TypeError unless `rfm` is what a model of this kind is fitted on."""
        require_summary(rfm)

    def _evidence(self, likelihood: Likelihood) -> Evidence:
        return Evidence(type(self).__name__, self.priors_ or None, likelihood, self._replicate(likelihood))

    @abstractmethod
    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        """Bind the log-likelihood to the customers it speaks of, be they enough for a fit or not."""

    @abstractmethod
    def _replicate(self, likelihood: Likelihood) -> Replicate:
        """Say how data sets like the one bound are brought about; costs nothing before it is called."""

    @abstractmethod
    def _check_data(self, rfm: RFMSummary, likelihood: Likelihood) -> None:
        """Raise DataError where a summary cannot inform a fit."""

    def _examine(self, rfm: RFMSummary, posterior: Posterior, theta: FloatArray | None = None) -> Posterior:
        """Add to the diagnostics what else a fit should tell.

        `theta` are estimates for each customer, (n_parameters, n_customers), where segments have their own.
        """
        return posterior

    @abstractmethod
    def _start(self, rfm: RFMSummary) -> FloatArray:
        """Natural parameter values to start from, in the data's own scale."""

    @abstractmethod
    def _check_use(self, rfm: RFMSummary) -> None:
        """Raise where a summary cannot be used with this fitted model."""

    def _warn(self) -> None:
        """Warn of what a fit by any method found."""

    def _edge_stories(self) -> Mapping[tuple[tuple[str, str], ...], str]:
        return self.EDGES


def require_summary(rfm: object) -> None:
    """Raise TypeError unless `rfm` is an RFMSummary."""
    if isinstance(rfm, Subscriptions):
        raise TypeError(
            "Expected an RFMSummary. Got Subscriptions, which are for contract models: SBG and BDW." + see("contracts")
        )
    if not isinstance(rfm, RFMSummary):
        raise TypeError(
            f"Expected an RFMSummary. Got {type(rfm).__name__}; make one with RFMSummary.from_transactions(log, ...) "
            "or RFMSummary.from_frame(table, time_unit=...)."
        )
