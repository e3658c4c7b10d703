"""BG/CNBD-k and MBG/CNBD-k: as BG/NBD and MBG/NBD, of customers who buy at regular times.

A purchase is every k-th event of a Poisson(λ) process, λ ~ Gamma(r, α) over customers, so that the times between a
customer's purchases are Erlang-k: the larger k, the more alike. After a repeat purchase (MBG: after every purchase) the
customer leaves with probability p ~ Beta(a, b). Reutterer, Platzer & Schröder (2021), International Journal of Research
in Marketing 38(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, FitError
from predclv.inference.optimize import maximize
from predclv.inference.posterior import Posterior
from predclv.models import bg_family
from predclv.models.base import require_summary
from predclv.models.bg_family import BGFamily
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import BGPatterns, PatternKernels
from predclv.models.gaps import complete
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter
from predclv.priors.distributions import Prior

__all__ = ["BGCNBD", "MBGCNBD", "MOST_EVENTS"]

FloatArray = NDArray[np.float64]

#: Largest k; with so many events to a purchase, gaps vary by less than a third of their mean.
MOST_EVENTS = 12

_ALPHA = Parameter(
    "alpha",
    "rate of the gamma over the rates of events, of which every k-th is a purchase; the mean purchase rate is "
    "r / (k alpha)",
    (0.5, 25.0),
    unit="time",
)


class _CNBD(CovariateModel):
    """What the two models share: k, given or chosen, and a likelihood that can be compared across it."""

    PARAMETERS = tuple(_ALPHA if parameter.name == "alpha" else parameter for parameter in bg_family.PARAMETERS)
    PRIORS: ClassVar = bg_family.PRIORS
    DROPOUT_MEANING = bg_family.DROPOUT_MEANING
    DROPOUT_EFFECT = bg_family.DROPOUT_EFFECT
    DROPOUT_AT_FIRST: ClassVar[bool]

    _settled: tuple[int, dict[str, float]] | None = None

    def __init__(
        self,
        method: str = "mle",
        *,
        k: int | None = None,
        purchase_covariates: Any = None,
        dropout_covariates: Any = None,
        penalty: float | str = 0.0,
        penalty_grid: Sequence[float] | None = None,
        penalty_folds: int = 5,
        priors: Mapping[str, Prior] | None = None,
        segment: str | None = None,
        sampler: str = "nutpie",
        chains: int = 4,
        draws: int = 1000,
        tune: int = 500,
        progressbar: bool = True,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            method,
            purchase_covariates=purchase_covariates,
            dropout_covariates=dropout_covariates,
            penalty=penalty,
            penalty_grid=penalty_grid,
            penalty_folds=penalty_folds,
            priors=priors,
            segment=segment,
            sampler=sampler,
            chains=chains,
            draws=draws,
            tune=tune,
            progressbar=progressbar,
            random_state=random_state,
        )
        self.k = k

    @property
    def k_(self) -> int:
        """Events to a purchase, as given or chosen by the fit; `log_likelihood_by_k_` says by what."""
        check_is_fitted(self, "posterior_")
        return int(self.posterior_.fit_diagnostics["k"])

    @property
    def log_likelihood_by_k_(self) -> dict[int, float]:
        """Largest log-likelihood, without covariates, for each k that was tried; empty where k was given."""
        check_is_fitted(self, "posterior_")
        return {int(k): value for k, value in self.posterior_.fit_diagnostics["log_likelihood_by_k"].items()}

    @property
    def bindings(self) -> BGFamily:
        """The family's kernels for k: that of the fit, or as given where there is none yet."""
        if self._settled is not None:
            return self._member(self._settled[0])
        if self.k is None or hasattr(self, "posterior_") or not _is_number_of_events(self.k):
            return self._member(self.k_)
        return self._member(int(self.k))

    @property
    def pattern_kernels(self) -> PatternKernels:
        """See `CovariateModel`."""
        return BGPatterns(self.bindings.k, self.DROPOUT_AT_FIRST)

    @property
    def needs_log_itt(self) -> bool:
        """See `TransactionModel`: for k to be chosen."""
        return self.k is None

    def priors_for(self, rfm: RFMSummary) -> dict[str, Prior]:
        """Return the priors that a fit on `rfm` would use, for k as given or chosen on it; see `Model.priors_for`."""
        if self._settled is not None:
            return super().priors_for(rfm)
        with self._settling(rfm):
            return super().priors_for(rfm)

    def _declared_priors(self) -> dict[str, Prior]:
        """As of the models without k, but that alpha is of events, k to a purchase: of one while k is not known."""
        try:
            k = self.bindings.k
        except NotFittedError:
            k = 1
        declared = super()._declared_priors()
        alpha = declared["alpha"]
        return {**declared, "alpha": alpha.rescale(1 / k, alpha.measured_in)}

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Estimate the parameters, and k where it is not given; see `Model.fit`.

        Raises
        ------
        DataError
            Besides: k is to be chosen, and the summary holds no times between purchases (`log_itt`).
        """
        with self._settling(rfm):
            return super().fit(rfm)

    def to_pymc(self, rfm: RFMSummary, *, likelihood: Literal["compiled", "literal"] = "compiled") -> Any:
        """Write the posterior given `rfm` as a PyMC model, for k as given or chosen on it; see `Model.to_pymc`."""
        with self._settling(rfm):
            return super().to_pymc(rfm, likelihood=likelihood)

    def score(self, rfm: RFMSummary, y: None = None) -> float:
        """Mean log-likelihood at the estimate; see `Model.score`. Needs `log_itt`, so as to compare with other models.

        Raises
        ------
        DataError
            Besides: the summary holds no times between purchases.
        """
        self._check_use(rfm)
        if self.k_ > 1:
            rfm.require_log_itt()
        return super().score(rfm)

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.k is not None and not _is_number_of_events(self.k):
            raise ValueError(
                f"'k' must be a whole number from 1 to {MOST_EVENTS}, or None to choose it by likelihood. "
                f"Got {self.k!r}."
            )

    def _check_stored(self) -> None:
        super()._check_stored()
        for posterior in self.posteriors().values():
            k, by_k = (posterior.fit_diagnostics[name] for name in ("k", "log_likelihood_by_k"))
            if not _is_number_of_events(k):
                raise ValueError(f"'k' of the fit is {k!r}.")
            if (self.k is not None and k != self.k) or k != self.k_:
                raise ValueError(f"k = {k!r} of a fit is not that of the model, {self.k if self.k else self.k_!r}.")
            if not isinstance(by_k, Mapping) or not all(isinstance(value, float) for value in by_k.values()):
                raise ValueError("'log_likelihood_by_k' holds no numbers.")

    def to_dict(self) -> dict[str, Any]:
        """Everything of the fitted model but its draws, as JSON types."""
        stored = super().to_dict()
        stored["settings"]["k"] = None if self.k is None else int(self.k)
        return stored

    @classmethod
    def _member(cls, k: int) -> BGFamily:
        return BGFamily(k=k, dropout_at_first=cls.DROPOUT_AT_FIRST)

    @contextmanager
    def _settling(self, rfm: RFMSummary) -> Iterator[None]:
        """Hold on to k, as given or as chosen on `rfm`, while a model is made of it."""
        self._check_settings()
        require_summary(rfm)
        self._settled = self._choose(rfm) if self.k is None else (int(self.k), {})
        try:
            yield
        finally:
            del self._settled

    def _choose(self, rfm: RFMSummary) -> tuple[int, dict[str, float]]:
        """Take the k of the largest likelihood without covariates, going up until it has fallen twice."""
        if rfm.log_itt is None:
            raise DataError(
                f"{type(self).__name__} chooses k by the times between purchases, which the summary does not hold. "
                "Make it with from_transactions(..., regularity=True), or from_frame with a column log_itt; or give k."
            )
        self._check_data(rfm, self._bind(rfm, 1))
        found: dict[str, float] = {}
        best = 1
        for k in range(1, MOST_EVENTS + 1):
            start = self._member(k).start(rfm.mean_frequency, rfm.mean_age)
            try:
                found[str(k)] = float(maximize(self._bind(rfm, k), start).log_density)
            except FitError:
                continue
            if found[str(k)] > found.get(str(best), -np.inf):
                best = k
            elif k >= best + 2:
                break
        if not found:
            raise FitError(f"{type(self).__name__} has no maximum of its likelihood for any k up to {MOST_EVENTS}.")
        return best, found

    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        if self._settled is not None:
            k = self._settled[0]
        elif hasattr(self, "posterior_"):
            k = self.k_
        else:
            k = self._choose(rfm)[0] if self.k is None else int(self.k)
        if self.covariates_ is None:
            return self._bind(rfm, k)
        rows = self._rows(rfm)
        return complete(self._bind_rows(rows), rfm, rows.row, k)

    def _bind(self, rfm: RFMSummary, k: int) -> Likelihood:
        """Bind the likelihood for one k, without covariates."""
        rows, member = rfm.collapsed, self._member(k)
        bound = rows.x, rows.t_x, rows.T, rows.weight
        likelihood = Likelihood(
            self.PARAMETERS,
            n_observations=rfm.n_customers,
            n_rows=len(rows.x),
            evaluate=member.log_likelihood(*bound),
            make_evaluate_many=partial(member.log_likelihood_values, *bound),
            make_evaluate_gradient=partial(member.log_likelihood_gradient, *bound),
            pointwise=member.pointwise_log_likelihood,
            rows={"frequency": rows.x, "recency": rows.t_x, "T": rows.T},
            weight=rows.weight,
            literal=member.literal_log_likelihood,
        )
        assert rows.inverse is not None
        return complete(likelihood, rfm, rows.inverse, k)

    def _examine(self, rfm: RFMSummary, posterior: Posterior, theta: FloatArray | None = None) -> Posterior:
        posterior = super()._examine(rfm, posterior, theta)
        if self._settled is None:
            return posterior
        k, found = self._settled
        about = {"k": k, "log_likelihood_by_k": found, "log_likelihood_is_complete": k == 1 or rfm.log_itt is not None}
        return posterior.evolve(fit_diagnostics={**posterior.fit_diagnostics, **about})

    def _of_segment(self, piece: RFMSummary, posterior: Posterior) -> Self:
        # The segment's model, a clone, does not know of k, which all segments share.
        return super()._of_segment(piece, self._examine(piece, posterior))


def _is_number_of_events(k: Any) -> bool:
    return isinstance(k, int | np.integer) and not isinstance(k, bool) and 1 <= int(k) <= MOST_EVENTS


class BGCNBD(_CNBD):
    """BG/NBD of regular buyers, BG/CNBD-k; Reutterer, Platzer & Schröder (2021).

    Where gaps are regular, silence says sooner that a customer has left, and forecasts are better for it;
    `RFMSummary.regularity` tells whether they are. As with BG/NBD, a one-time buyer has `p_alive` = 1.

    Parameters
    ----------
    k : int, optional
        Events to a purchase, from 1 (BG/NBD) to 12. Left out, the one of the largest likelihood is taken, whatever the
        `method`, which needs a summary made with `regularity=True`. The choice is not counted in the uncertainty.
        It takes a fit for each k tried, four where 2 is chosen: 1.1 s of CPU for a million customers, and 0.3 s with k.
        With covariates it is chosen without them: a customer's own gaps tell k, and covariates move rates, which differ
        between customers either way.
    priors : mapping of parameter name to prior, optional
        As in `Model`. `alpha` is the rate of the gamma over the rates of events, of which k make a purchase: what is
        known of purchases is to be divided by k (`elicit_purchases` does). The default goes by k, so that customers
        are expected to buy as often whatever k is.
    purchase_covariates, dropout_covariates, penalty, penalty_grid, penalty_folds
        See `CovariateModel`; those on purchase multiply the rate of events, and so that of purchases.
    method, segment, sampler, chains, draws, tune, progressbar, random_state
        See `Model`.

    Attributes
    ----------
    k_ : int
    log_likelihood_by_k_ : dict of int to float
        For each k that was tried, without covariates.
    covariates_, penalty_path_
        See `CovariateModel`.
    posterior_, segments_, priors_, fingerprint_
        See `Model`. The log-likelihood in `posterior_.diagnostics` can be compared with that of other models where
        `log_likelihood_is_complete`: it holds the times between purchases.
    """

    KEY = "bg_cnbd"
    EDGES: ClassVar = bg_family.describe_edges(dropout_at_first=False)
    DROPOUT_AT_FIRST = False


class MBGCNBD(_CNBD):
    """MBG/NBD of regular buyers, MBG/CNBD-k; Reutterer, Platzer & Schröder (2021).

    As `BGCNBD`, and a customer may leave right after the first purchase.

    Parameters
    ----------
    k, priors, purchase_covariates, dropout_covariates, penalty, penalty_grid, penalty_folds
        See `BGCNBD`; k = 1 is MBG/NBD.
    method, segment, sampler, chains, draws, tune, progressbar, random_state
        See `Model`.

    Attributes
    ----------
    k_, log_likelihood_by_k_, covariates_, penalty_path_, posterior_, segments_, priors_, fingerprint_
        See `BGCNBD`.
    """

    KEY = "mbg_cnbd"
    EDGES: ClassVar = bg_family.describe_edges(dropout_at_first=True)
    DROPOUT_AT_FIRST = True
