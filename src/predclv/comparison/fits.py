"""Models of a comparison: by name, fitted to the same data, and what their fits say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.data.checks import quote_list, suggest
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError
from predclv.inference.evidence import customers_in_order
from predclv.models import MODELS
from predclv.models.base import Model
from predclv.models.transactions import TransactionModel

__all__ = ["Candidate", "LeftOut", "fit_all", "settle_models"]

FloatArray = NDArray[np.float64]

#: Kinds of models that can be compared; there is one spend model only.
KINDS = ("transactions", "contract")
_REFUSED = (ValueError, FitError, ImportError, ArithmeticError)


class LeftOut(NamedTuple):
    """Leave-one-out validation: its log score, per customer too, and how far it can be trusted."""

    elpd: float
    se: float
    p: float
    by_customer: FloatArray
    share_of_bad_k: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """One model of a comparison.

    Attributes
    ----------
    name : str
    model : Model
        As given, not fitted.
    likely : Model or None
        Fitted by maximum likelihood, without priors or a penalty; None where that failed, or is not to be had.
    fitted : Model or None
        Fitted as given: who forecasts.
    left_out : LeftOut or None
        Where it was asked for.
    notes : tuple of str
        What went wrong.
    """

    name: str
    model: Model
    likely: Model | None = None
    fitted: Model | None = None
    left_out: LeftOut | None = None
    notes: tuple[str, ...] = ()

    @property
    def log_likelihood(self) -> float:
        """At the maximum; NaN where there is none."""
        return float("nan") if self.likely is None else float(self._diagnostics["log_likelihood"])

    @property
    def n_parameters(self) -> int:
        """Estimated parameters; a k that was chosen by likelihood counts as one."""
        known = self.likely or self.fitted
        if known is None:
            return len(self.model.PARAMETERS)
        return len(known.posterior_.names) + bool(known.posterior_.fit_diagnostics.get("log_likelihood_by_k"))

    @property
    def k(self) -> int:
        """Events to a purchase."""
        return int(self._diagnostics.get("k", 1))

    @property
    def is_complete(self) -> bool:
        """Whether the likelihood is that of the exact times, and not short of the gaps between purchases."""
        return bool(self._diagnostics.get("log_likelihood_is_complete", True))

    @property
    def n_customers(self) -> int:
        """Customers that the likelihood is of."""
        known = self.likely or self.fitted
        return 0 if known is None else int(known.posterior_.fit_diagnostics["n_observations"])

    @property
    def by_customer(self) -> FloatArray:
        """Log-likelihood of each customer at the maximum, (n_customers,), in the order of the histories."""
        assert self.likely is not None
        posterior = self.likely.posterior_
        assert posterior.evidence is not None
        likelihood = posterior.evidence.require_likelihood("compare")
        values = likelihood.row_values(posterior.point_array[np.newaxis].copy(), slice(None))[0]
        return np.asarray(values[customers_in_order(likelihood.rows, likelihood.weight)])

    @property
    def _diagnostics(self) -> Mapping[str, Any]:
        known = self.likely or self.fitted
        return {} if known is None else known.posterior_.fit_diagnostics


def settle_models(models: Sequence[Any] | Mapping[str, Any] | None, data: Any) -> dict[str, Model]:
    """Return unfitted models by name, or raise where they cannot be compared."""
    if models is None:
        models = _defaults(data)
    if isinstance(models, str) or not isinstance(models, Mapping | Sequence):
        raise TypeError(f"'models' must be a list of models, or a mapping of names to models. Got {models!r}.")
    given = list(models.items()) if isinstance(models, Mapping) else [(None, model) for model in models]
    found: dict[str, Model] = {}
    for given_name, each in given:
        model = _settle(each)
        name = model.KEY if given_name is None else str(given_name)
        if name in found:
            raise ValueError(
                f"Two models are called {name!r}. Give a mapping of names to models: "
                f"models={{{name!r}: ..., '{name} with ...': ...}}."
            )
        found[name] = model
    kinds = {model.KIND for model in found.values()}
    if len(kinds) > 1:
        raise ValueError(f"Models of different kinds have no likelihood in common: {quote_list(sorted(kinds))}.")
    if kinds and not kinds <= set(KINDS):
        raise ValueError(
            "There is one spend model, so there is nothing to compare it with. Give transaction models, such as "
            "'bg_nbd'; CLV of several of them are compared by backtest()."
        )
    if len(found) < 2:
        raise ValueError(f"A comparison takes at least two models. Got {len(found)}.")
    return found


def _defaults(data: Any) -> list[str]:
    if not isinstance(data, RFMSummary):
        raise ValueError("Name the models that are to be compared: models=[...].")
    keys = ["nbd", "bg_nbd", "mbg_nbd", "pareto_nbd"]
    return keys if data.log_itt is None else [*keys, "bg_cnbd", "mbg_cnbd"]


def _settle(model: Any) -> Model:
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(f"{model!r} is no model. Known are {quote_list(MODELS)}.{suggest(model, MODELS)}")
        return MODELS[model]()
    if not isinstance(model, Model):
        raise TypeError(f"A model must be a key, such as 'bg_nbd', or an estimator, such as BGNBD(). Got {model!r}.")
    return cast(Model, clone(model))


def fit_all(models: Mapping[str, Model], data: Any, *, loo: bool) -> list[Candidate]:
    """Fit each model; what cannot be fitted says why, and stays."""
    candidates = [_fit(name, model, data, loo) for name, model in models.items()]
    if all(candidate.likely is None and candidate.fitted is None for candidate in candidates):
        reasons = "; ".join(f"{candidate.name}: {' '.join(candidate.notes)}" for candidate in candidates)
        raise FitError(f"None of {len(candidates)} models could be fitted. {reasons}")
    return candidates


def _fit(name: str, model: Model, data: Any, loo: bool) -> Candidate:
    notes: list[str] = []

    def attempt(what: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except _REFUSED as error:
            said = f"{what}: {type(error).__name__}: {' '.join(str(error).split())}"
            if not any(said.partition(": ")[2] in note for note in notes):
                notes.append(said)
            return None

    likely = None
    settings: dict[str, Any] = {"method": "mle", "priors": None}
    if "penalty" in model.get_params():
        settings["penalty"] = 0.0
    if model.segment is None:
        likely = attempt("maximum likelihood", lambda: clone(model).set_params(**settings).fit(data))
    else:
        notes.append("with segments there is no largest likelihood, and no AIC")
    is_likely = all(model.get_params()[name] == value for name, value in settings.items())
    fitted = likely if is_likely else attempt("fit", lambda: clone(model).fit(data))
    left_out = None
    if loo and (likely is not None or fitted is not None):
        drawn = fitted
        if model.method == "mle":
            drawn = attempt("posterior for elpd_loo", lambda: clone(model).set_params(method="map").fit(data))
        left_out = None if drawn is None else attempt("elpd_loo", lambda: _leave_out(drawn))
    return Candidate(name, model, likely, fitted, left_out, tuple(notes))


def _leave_out(model: Model) -> LeftOut:
    from predclv.inference.arviz_versions import read_elpd_data

    found = read_elpd_data(model.loo())
    return LeftOut(found.elpd, found.se, found.p, found.elpd_i, float(np.mean(found.pareto_k > found.good_k)))


def is_transactions(candidates: Sequence[Candidate]) -> bool:
    """Whether the models forecast purchases."""
    return all(isinstance(candidate.model, TransactionModel) for candidate in candidates)
