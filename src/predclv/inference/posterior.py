"""What is known of a model's parameters after a fit: the one thing that everything downstream reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.inference.posterior_words import estimates_in_words, estimates_to_html
from predclv.parameters import Parameter, from_unconstrained, jacobian, to_unconstrained

if TYPE_CHECKING:
    from predclv.inference.chains import Chains
    from predclv.inference.evidence import Evidence

__all__ = ["Draws", "Posterior", "paired_draws", "require_arviz", "to_plain"]

FloatArray = NDArray[np.float64]

N_DRAWS = 1024  # a power of two keeps Sobol points balanced, and so do its leading powers of two


class Draws(NamedTuple):
    """Natural values, (n_draws, n_parameters), and what making them showed."""

    values: FloatArray
    diagnostics: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Posterior:
    """A point, its curvature, and draws of a model's parameters; nothing in it can be written to.

    Attributes
    ----------
    parameters : tuple of Parameter
        In the order of every array.
    method : str
        What found it: "mle"; "map", whose point is the mode of the posterior of log(parameter - lower end); or "mcmc",
        whose point is the mean of log(parameter - lower end) over the chains, mapped back.
    point_array : (n_parameters,) array
        Estimate, on the natural scale.
    covariance_unconstrained : (n_parameters, n_parameters) array
        Covariance of log(parameter - lower end): from the curvature at the point, or over the chains.
    make_draws : callable
        Returns Draws; called once, at first use.
    fit_diagnostics : mapping
        How the fit went: log_likelihood, n_observations, n_iterations, the name of the approximation, ...
    chains : Chains, optional
        All that MCMC drew, of which `draws` are a part; None for the other methods, and for a loaded model.
    evidence : Evidence, optional
        What it was learnt from, for those who check it.
    """

    parameters: tuple[Parameter, ...]
    method: str
    point_array: FloatArray
    covariance_unconstrained: FloatArray
    make_draws: Callable[[], Draws] = field(repr=False)
    fit_diagnostics: Mapping[str, Any] = field(default_factory=dict)
    chains: Chains | None = field(default=None, repr=False)
    evidence: Evidence | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("point_array", "covariance_unconstrained"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "fit_diagnostics", _locked(self.fit_diagnostics))

    def __repr__(self) -> str:
        return f"<Posterior by {self.method}: {estimates_in_words(self)}>"

    def _repr_html_(self) -> str:
        return estimates_to_html(self)

    def __getstate__(self) -> dict[str, Any]:
        # Pickle knows no read-only views, and forgets that an array cannot be written to.
        state = {**self.__dict__, "fit_diagnostics": to_plain(self.fit_diagnostics)}
        if "_made" in state:
            state["_made"] = Draws(self._made.values, to_plain(self._made.diagnostics))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()
        if "_made" in self.__dict__:
            self._made.values.flags.writeable = False

    def evolve(self, **fields: Any) -> Self:
        """Return a copy with other fields, and with the draws where they have been made."""
        copy = replace(self, **fields)
        if "_made" in self.__dict__:
            copy.__dict__["_made"] = self._made
        return copy

    @property
    def names(self) -> list[str]:
        """The parameters' names."""
        return [parameter.name for parameter in self.parameters]

    @property
    def point(self) -> dict[str, float]:
        """The estimate by parameter name."""
        return dict(zip(self.names, self.point_array.tolist(), strict=True))

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the parameters themselves (delta method)."""
        slope = jacobian(self.parameters, self.point_array)
        return pd.DataFrame(
            self.covariance_unconstrained * np.outer(slope, slope), index=self.names, columns=self.names
        )

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """How the fit and the draws went; makes the draws, so it is the same before and after their first use."""
        return MappingProxyType({**self.fit_diagnostics, **_locked(self._made.diagnostics)})

    @cached_property
    def _made(self) -> Draws:
        draws, diagnostics = self.make_draws()
        draws = np.ascontiguousarray(draws, dtype=np.float64)
        if draws.ndim != 2 or draws.shape[1] != len(self.parameters) or not np.isfinite(draws).all():
            raise ValueError(
                f"Draws must be finite, of shape (n_draws, {len(self.parameters)}). Got shape {draws.shape}."
            )
        draws.flags.writeable = False
        return Draws(draws, diagnostics)

    @property
    def draws(self) -> pd.DataFrame:
        """All draws, one a row, a column a parameter; made at first use."""
        return pd.DataFrame(self._made.values, columns=self.names, copy=True).rename_axis(index="draw")

    def draws_array(self, n: int | None = None) -> FloatArray:
        """Return the first `n` draws (all where None), (n, n_parameters), read-only, in C order."""
        if n is not None and n < 1:
            raise ValueError(f"'n' must be at least 1. Got {n}.")
        return self._made.values if n is None else self._made.values[:n]

    def summary(self, level: float = 0.9) -> pd.DataFrame:
        """One row a parameter: estimate, standard error, an interval at `level`, and the meaning.

        For maximum likelihood the interval is a normal one on the unconstrained (log) scale, mapped back, so it stays
        in the domain. A parameter that the data do not determine (`diagnostics["runaway"]`) has no standard error, NaN,
        and its whole open domain for an interval; its estimate is where the search was stopped. Otherwise standard
        deviation and quantiles are the draws'.
        """
        check_level(level)
        error, low, high = self._normal_spread(level) if self.method == "mle" else self._drawn_spread(level)
        return pd.DataFrame(
            {
                "parameter": self.names,
                "estimate": self.point_array,
                "std_error": error,
                "low": low,
                "high": high,
                "meaning": [parameter.meaning for parameter in self.parameters],
            }
        )

    def to_arviz(self, *, log_likelihood: bool | None = None) -> Any:
        """Everything there is to look at, as ArviZ's plots and tables want it.

        Parameters
        ----------
        log_likelihood : bool, optional
            Whether to hold the log-likelihood of every customer at every draw, which `az.loo` reads. By default where
            it takes at most 512 MiB; `loo` needs no such array.

        Returns
        -------
        arviz.InferenceData
            posterior: the parameters, all chains and draws; for "mle", "map" and a loaded model one chain of
            equally weighted draws in no order of time, of which R-hat and effective sizes say nothing.
            sample_stats: of "mcmc". prior: draws of the priors, where there are some.
            prior_predictive, posterior_predictive, observed_data: `customers`, the number of customers by
            "repeat_purchases" ("0", ..., "7+"), for a spend model by "mean_spend"; one replicated data set a draw, of
            1,024 draws at most. Read them bin by bin: `az.plot_ppc(data, flatten=[])`.
            constant_data: the distinct histories that the fit ran over (dimension "history"), with `n_customers`.
            log_likelihood: one column a customer (dimension "customer"), in the order of the histories, because ArviZ
            knows no weights.
            Groups that need the customers are missing for a loaded model; the attribute "note" says so.

        Raises
        ------
        ImportError
            ArviZ is not installed.
        DataError
            `log_likelihood=True`, and the customers behind the fit are not there.

        Warns
        -----
        PredCLVWarning
            The log-likelihood would be too large, and is left out.
        """
        require_arviz("to_arviz")
        from predclv.inference.arviz import to_inference_data

        return to_inference_data(self, log_likelihood)

    def loo(self) -> Any:
        """Leave-one-out validation by Pareto-smoothed importance sampling: log score of each customer, unseen.

        As `az.loo` on all customers gives it, at the cost of the distinct histories, and in bounded memory: customers
        with the same history have the same score.

        Returns
        -------
        arviz.ELPDData
            `elpd_loo`, `se`, `p_loo`, ...; `loo_i` and `pareto_k` by customer, in the order of the histories. What
            `az.compare` takes: two models of the same customers keep them in the same order.

        Raises
        ------
        ImportError
            ArviZ is not installed.
        DataError
            The customers behind the fit are not there: the model was loaded, or each segment has its own.

        Warns
        -----
        InfluenceWarning
            Some customers move the posterior too much for their score to be had by weighting draws.

        References
        ----------
        Vehtari, Gelman & Gabry (2017), Statistics and Computing 27(5). Vehtari et al. (2024), JMLR 25(72).
        """
        require_arviz("loo")
        from predclv.inference.leave_one_out import leave_one_out

        return leave_one_out([self])

    def _normal_spread(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        from scipy.special import ndtri

        log_error = np.sqrt(np.diag(self.covariance_unconstrained))
        reach = ndtri(0.5 + level / 2) * log_error
        center = to_unconstrained(self.parameters, self.point_array)
        unknown = np.isin(self.names, list(self.fit_diagnostics.get("runaway", ())))
        lower_ends = np.array([parameter.above for parameter in self.parameters])
        error = np.where(unknown, np.nan, log_error * jacobian(self.parameters, self.point_array))
        low = np.where(unknown, lower_ends, from_unconstrained(self.parameters, center - reach))
        return error, low, np.where(unknown, np.inf, from_unconstrained(self.parameters, center + reach))

    def _drawn_spread(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        draws = self.draws_array()
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return draws.std(axis=0), low, high


def paired_draws(posteriors: Sequence[Posterior], n: int, *, seed: int = 0) -> list[FloatArray]:
    """Draw jointly from independent posteriors: `n` rows from each, paired by position.

    Sobol points of two posteriors share their first digits, so all but the first are shuffled: pairing
    them as they come would make independent parameters move together.
    """
    _check_count(n)
    rng = np.random.default_rng(seed)
    joint = []
    for position, posterior in enumerate(posteriors):
        draws = posterior.draws_array(n)
        if len(draws) < n:
            raise ValueError(f"{n} draws are wanted and the posterior holds {len(draws)}.")
        joint.append(draws if position == 0 else np.ascontiguousarray(rng.permutation(draws, axis=0)))
    return joint


def _check_count(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, Integral) or int(n) < 1:
        raise ValueError(f"The number of draws must be a whole number from 1 on. Got {n!r}.")


def require_arviz(what: str) -> None:
    """Raise ImportError where ArviZ is not installed."""
    if find_spec("arviz") is None:
        raise ImportError(f"{what} needs arviz: pip install 'predclv[bayes]'")


def to_plain(value: Any) -> Any:
    """Copy locked diagnostics into dicts and lists, as JSON and pickle want them."""
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, tuple) else value


def _locked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({key: _locked(item) for key, item in value.items()})
    return tuple(_locked(item) for item in value) if isinstance(value, list | tuple) else value


def check_level(level: float) -> float:
    """Return an interval's probability, or raise ValueError where it is not in (0, 1)."""
    if not 0 < check_number("level", level) < 1:
        hint = f"; did you mean {level / 100:g}?" if 1 < level < 100 else "."
        raise ValueError(f"'level' must be in (0, 1). Got {level:g}{hint}")
    return float(level)


def check_number(option: str, value: object) -> float:
    """Return an option's value as a float, or raise ValueError naming the option where it is no finite number."""
    if isinstance(value, bool | str) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ValueError(f"{option!r} must be a finite number. Got {value!r}.")
    return float(value)
