"""What every model shares: the scikit-learn face, the fit from data to Posterior, and the folder it is saved in."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RFMSummary
from predclv.errors import ConvergenceWarning, DataError, ModelFileError, warn
from predclv.inference.chains import Sampling
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.optimize import Optimum, maximize
from predclv.inference.posterior import NormalDraws, Posterior
from predclv.models import bayes
from predclv.models.bayes import priors_from_dict, priors_to_dict, scales_of
from predclv.models.fingerprint import Fingerprint
from predclv.models.likelihood import Likelihood
from predclv.models.storage import posterior_from_dict, posterior_to_dict, write_model
from predclv.parameters import Parameter
from predclv.priors.distributions import Prior
from predclv.priors.settle import check_priors, priors_table, settle_priors, supported

__all__ = ["Estimate", "Model", "choose_theta", "require_summary"]

FloatArray = NDArray[np.float64]
Estimate = Literal["point", "draws"]

METHODS = ("mle", "map", "mcmc", "auto")
# Draws for a forecast of single customers: parameter uncertainty moves one customer's interval little, and
# Sobol points spread so few draws well.
CUSTOMER_DRAWS = 64
# Draws behind the interval of one customer's mean: its ends are then off by 2 % of its width (CDNOW; 6 % with 64).
MEAN_DRAWS = 256
# A standard error of a log parameter above this leaves the parameter unknown within a factor of 5 either way.
_VAGUE = 1.0


class Model(BaseEstimator):  # type: ignore[misc]
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
        Estimate, covariance and draws of the parameters.
    priors_ : dict
        The priors behind the posterior, in the units of the data fitted on; empty for "mle".
    fingerprint_ : Fingerprint
        Units and size of the data fitted on.
    """

    KEY: ClassVar[str]
    KIND: ClassVar[str]
    PARAMETERS: ClassVar[tuple[Parameter, ...]]
    #: Weakly informative defaults; their lower ends bind priors given in their place.
    PRIORS: ClassVar[Mapping[str, Prior]]
    #: Plain words for a parameter, or a pair, that the data push to an edge of its domain; the gravest first.
    EDGES: ClassVar[Mapping[tuple[tuple[str, str], ...], str]]

    posterior_: Posterior
    priors_: dict[str, Prior]
    fingerprint_: Fingerprint

    def __init__(
        self,
        method: str = "mle",
        *,
        priors: Mapping[str, Prior] | None = None,
        sampler: str = "nutpie",
        chains: int = 4,
        draws: int = 1000,
        tune: int = 500,
        progressbar: bool = True,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.priors = priors
        self.sampler = sampler
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.progressbar = progressbar
        self.random_state = random_state

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
        require_summary(rfm)
        sampling = self._sampling()
        if self.method == "mcmc":
            sampling.require()
        likelihood = self._likelihood(rfm)
        self._check_data(rfm, likelihood)
        seed, priors, optimum = int(self.random_state), {}, None
        if self.method == "mle":
            optimum = maximize(likelihood, self._start(rfm))
            posterior = _to_posterior(likelihood, optimum, seed)
        else:
            density = self._density(rfm, likelihood)
            priors = dict(density.priors)
            posterior = bayes.fit_posterior(density, self._start(rfm), seed, type(self).__name__, self.method, sampling)
        self.posterior_, self.priors_ = self._examine(rfm, posterior), priors
        self.fingerprint_ = Fingerprint.of(rfm)
        # Last: a warning that the caller turned into an error finds the model whole.
        if optimum is None:
            bayes.warn_of_default_priors(type(self).__name__, self.posterior_, self.priors_, self.priors or {})
        else:
            self._warn_of_estimate(optimum)
        self._warn()
        return self

    def priors_for(self, rfm: RFMSummary) -> dict[str, Prior]:
        """Return the priors that a fit on `rfm` would use, one a parameter, in the summary's own units."""
        if self.priors is not None:
            check_priors(self.priors, self.PRIORS, self.PARAMETERS, type(self).__name__)
        return settle_priors(self.priors, self.PRIORS, self.PARAMETERS, scales_of(rfm))

    def priors_table(self, rfm: RFMSummary | None = None) -> pd.DataFrame:
        """Table of the priors: parameter, prior, low (5 %), median, high (95 %), unit, meaning.

        Parameters
        ----------
        rfm : RFMSummary, optional
            Shows what a fit on it would use. Without one: the priors of the fit, where there was one, else the priors
            as declared, in which "age" is the mean age of the customers and "basket" the median of their mean spend.
        """
        if rfm is not None:
            priors: Mapping[str, Prior] = self.priors_for(rfm)
        elif getattr(self, "priors_", None):
            priors = self.priors_
        else:
            if self.priors is not None:
                check_priors(self.priors, self.PRIORS, self.PARAMETERS, type(self).__name__)
            priors = {**self.PRIORS, **(self.priors or {})}
        return priors_table(priors, self.PARAMETERS)

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
            "log_likelihood".

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
        """
        self._check_settings()
        require_summary(rfm)
        try:
            from predclv.inference.pymc import build_model
        except ImportError as error:
            raise ImportError("to_pymc needs pymc: pip install 'predclv[bayes]'") from error
        bound = self._likelihood(rfm)
        self._check_data(rfm, bound)
        return build_model(self._density(rfm, bound), likelihood=likelihood)

    def _density(self, rfm: RFMSummary, likelihood: Likelihood) -> LogPosterior:
        priors = self.priors_for(rfm)
        return LogPosterior(likelihood, priors, supported(self.PARAMETERS, priors))

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with estimate, standard error, 90 % interval and meaning; see `Posterior.summary`."""
        check_is_fitted(self)
        return self.posterior_.summary()

    def score(self, rfm: RFMSummary, y: None = None) -> float:
        """Mean log-likelihood at the estimate of the customers in `rfm` that the model speaks of; higher is better."""
        self._check_use(rfm)
        likelihood = self._likelihood(rfm)
        if likelihood.n_observations == 0:
            raise DataError(
                f"There is nobody to score: {type(self).__name__} speaks of none of the {len(rfm):,} customers."
            )
        # A copy, because the compiled kernels tell arrays that cannot be written to from others.
        return likelihood.derivatives(self.posterior_.point_array.copy()).value / likelihood.n_observations

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: JSON and Parquet, no customer, no pickle; whole or not at all."""
        check_is_fitted(self)
        write_model(path, {"class": type(self).__name__, **self.to_dict()}, {self.KIND: self.posterior_})

    def to_dict(self) -> dict[str, Any]:
        """Everything of the fitted model but its draws, as JSON types."""
        return {
            "key": self.KEY,
            "settings": {
                **self.get_params(),
                **{name: int(getattr(self, name)) for name in ("chains", "draws", "tune", "random_state")},
                "priors": priors_to_dict(self.priors),
            },
            "priors": priors_to_dict(self.priors_),
            "posterior": posterior_to_dict(self.posterior_),
            "fingerprint": self.fingerprint_.to_dict(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], draws: Mapping[str, pa.Table]) -> Self:
        """Rebuild from `to_dict` and the tables of draws; ModelFileError where they do not fit."""
        try:
            model = cls(**{**stored["settings"], "priors": priors_from_dict(stored["settings"].get("priors"))})
            model._check_settings()
            model.priors_ = priors_from_dict(stored.get("priors")) or {}
            parameters = supported(cls.PARAMETERS, model.priors_) if model.priors_ else cls.PARAMETERS
            model.posterior_ = posterior_from_dict(stored["posterior"], parameters, draws[cls.KIND])
            model.fingerprint_ = Fingerprint.from_dict(stored["fingerprint"])
            model._check_stored()
        except KeyError as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"The saved {cls.__name__} is damaged: {error}") from error
        return model

    def _check_settings(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"'method' must be one of {', '.join(map(repr, METHODS))}. Got {self.method!r}.")
        if self.priors is not None and self.method == "mle":
            raise ValueError("method='mle' uses no priors. Use method='map' or 'mcmc', or leave 'priors' out.")
        check_seed(self.random_state)
        self._sampling().check()

    def _sampling(self) -> Sampling:
        return Sampling(self.sampler, self.chains, self.draws, self.tune, self.progressbar)

    def _check_stored(self) -> None:
        """Raise ValueError, KeyError or TypeError where a loaded posterior is none that `fit` makes."""
        if self.posterior_.method not in METHODS:
            raise ValueError(f"its posterior comes from an unknown method, {self.posterior_.method!r}.")

    @abstractmethod
    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        """Bind the log-likelihood to the customers it speaks of, be they enough for a fit or not."""

    @abstractmethod
    def _check_data(self, rfm: RFMSummary, likelihood: Likelihood) -> None:
        """Raise DataError where a summary cannot inform a fit."""

    def _examine(self, rfm: RFMSummary, posterior: Posterior) -> Posterior:
        """Add to the diagnostics what else a fit should tell."""
        return posterior

    @abstractmethod
    def _start(self, rfm: RFMSummary) -> FloatArray:
        """Natural parameter values to start from, in the data's own scale."""

    @abstractmethod
    def _check_use(self, rfm: RFMSummary) -> None:
        """Raise where a summary cannot be used with this fitted model."""

    def _warn(self) -> None:
        """Warn of what a fit by any method found."""

    def _warn_of_estimate(self, optimum: Optimum) -> None:
        """Say in plain words what maximum likelihood could not tell."""
        name = type(self).__name__
        if optimum.runaway:
            warn(f"{name}: {self._describe_edge(optimum)}", ConvergenceWarning)
            return
        vague = np.sqrt(np.diag(optimum.covariance)) > _VAGUE
        # The table costs as much as a fit of some thousand customers.
        if not vague.any():
            return
        for row in self.posterior_.summary()[vague].itertuples():
            warn(
                f"{name}: {row.parameter} is hardly determined by {self.fingerprint_.n_customers:,} customers: "
                f"{row.estimate:.3g}, 90 % interval {row.low:.3g} to {row.high:.3g}. The normal approximation is rough "
                "here; more customers, a longer window or priors (method='map') would settle it.",
                ConvergenceWarning,
            )

    def _describe_edge(self, optimum: Optimum) -> str:
        ran = optimum.runaway
        values = dict(zip((p.name for p in self.PARAMETERS), optimum.values, strict=True))
        towards = ", ".join(
            f"{p.name} → {'∞' if ran[p.name] == 'high' else f'{p.above:g}'}" for p in self.PARAMETERS if p.name in ran
        )
        held = ", ".join(f"{name} = {values[name]:.3g}" for name in ran)
        where = f"The likelihood is flat towards {towards}; held at {held}."
        stories = self._edge_stories()
        applicable = [edges for edges in stories if all(ran.get(parameter) == edge for parameter, edge in edges)]
        # A pair's story replaces those of its parts; two edges may tell one story.
        fullest = [edges for edges in applicable if not any(set(edges) < set(other) for other in applicable)]
        story = " ".join(dict.fromkeys(stories[edges] for edges in fullest))
        return f"{story or 'The data do not determine this model.'} {where}"

    def _edge_stories(self) -> Mapping[tuple[tuple[str, str], ...], str]:
        return self.EDGES


def choose_theta(posterior: Posterior, estimate: Estimate | None) -> FloatArray:
    """Theta, (1 or n_draws, n_parameters), that an expectation is taken at.

    None means the convention: the point for maximum likelihood, as the papers do, the draws for a posterior.
    """
    if estimate not in (None, "point", "draws"):
        raise ValueError(f"'estimate' must be 'point', 'draws' or None. Got {estimate!r}.")
    if estimate == "point" or (estimate is None and posterior.method == "mle"):
        return posterior.point_array[np.newaxis, :].copy()
    return posterior.draws_array()


def _to_posterior(likelihood: Likelihood, optimum: Optimum, seed: int) -> Posterior:
    parameters = tuple(likelihood.parameters)
    return Posterior(
        parameters=parameters,
        method="mle",
        point_array=optimum.values,
        covariance_unconstrained=optimum.covariance,
        make_draws=NormalDraws(parameters, optimum.values, optimum.covariance, seed),
        fit_diagnostics={
            "approximation": "normal on the log scale",
            "log_likelihood": optimum.log_density,
            "n_observations": likelihood.n_observations,
            "n_iterations": optimum.n_iterations,
            "runaway": dict(optimum.runaway),
            "n_flat_directions": optimum.n_flat,
        },
    )


def check_seed(seed: object) -> int:
    """Return a seed as an int, or raise ValueError: it must be stored with the model and give the same table again."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**32:
        raise ValueError(
            f"'random_state' must be a whole number from 0 to 2**32 - 1, so that a saved model gives the same tables. "
            f"Got {seed!r}."
        )
    return int(seed)


def require_summary(rfm: object) -> None:
    """Raise TypeError unless `rfm` is an RFMSummary."""
    if not isinstance(rfm, RFMSummary):
        raise TypeError(
            f"Expected an RFMSummary. Got {type(rfm).__name__}; make one with RFMSummary.from_transactions(log, ...) "
            "or RFMSummary.from_frame(table, time_unit=...)."
        )
