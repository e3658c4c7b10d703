"""What a model with covariates is told, and how that is checked, stored and turned into parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from predclv.data.rfm import RFMSummary
from predclv.models.covariates.columns import PREFIXES, PRIOR, Covariates, check_setting
from predclv.models.covariates.penalty import check_penalty
from predclv.models.transactions import TransactionModel
from predclv.parameters import Parameter
from predclv.priors.distributions import Prior

__all__ = ["CovariateSettings"]


class CovariateSettings(TransactionModel):
    """The settings of `CovariateModel`, which says what each is."""

    #: What the exponential of a coefficient on dropout multiplies, and how effects put it.
    DROPOUT_MEANING: ClassVar[str]
    DROPOUT_EFFECT: ClassVar[str]

    covariates_: Covariates | None = None

    def __init__(
        self,
        method: str = "mle",
        *,
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
            priors=priors,
            segment=segment,
            sampler=sampler,
            chains=chains,
            draws=draws,
            tune=tune,
            progressbar=progressbar,
            random_state=random_state,
        )
        self.purchase_covariates = purchase_covariates
        self.dropout_covariates = dropout_covariates
        self.penalty = penalty
        self.penalty_grid = penalty_grid
        self.penalty_folds = penalty_folds

    def to_dict(self) -> dict[str, Any]:
        """Everything of the fitted model but its draws, as JSON types; ModelFileError with a ColumnTransformer."""
        covariates = None if self.covariates_ is None else self.covariates_.to_dict()
        stored = super().to_dict()
        settings = stored["settings"]
        for prefix in PREFIXES:
            columns = settings[f"{prefix}_covariates"]
            settings[f"{prefix}_covariates"] = None if columns is None else list(columns)
        settings["penalty"] = self.penalty if isinstance(self.penalty, str) else float(self.penalty)
        settings["penalty_folds"] = int(self.penalty_folds)
        if self.penalty_grid is not None:
            settings["penalty_grid"] = [float(penalty) for penalty in self.penalty_grid]
        return stored if covariates is None else {**stored, "covariates": covariates}

    def _restore(self, stored: Mapping[str, Any]) -> None:
        if "covariates" in stored:
            self.covariates_ = Covariates.from_dict(stored["covariates"], self.DROPOUT_MEANING)
        asked = [prefix for prefix in PREFIXES if getattr(self, f"{prefix}_covariates")]
        if asked != ([] if self.covariates_ is None else list(self.covariates_.encoders)):
            raise ValueError("its settings and its covariates do not match.")

    def _check_settings(self) -> None:
        super()._check_settings()
        for prefix in PREFIXES:
            check_setting(f"{prefix}_covariates", getattr(self, f"{prefix}_covariates"))
        has = bool(self.purchase_covariates or self.dropout_covariates)
        if has and self.segment is not None:
            raise ValueError(
                "'segment' gives each segment parameters of its own and covariates move those of all: together they "
                f"are not supported. Name {self.segment!r} among the covariates instead, or leave them out."
            )
        check_penalty(self.penalty, self.penalty_grid, self.penalty_folds)
        if self.penalty != 0 and self.method != "mle":
            raise ValueError("'penalty' belongs to method='mle': elsewhere priors hold coefficients back.")
        if self.penalty != 0 and not has:
            raise ValueError(f"penalty={self.penalty!r} holds coefficients back, and there are no covariates.")

    def _learn(self, rfm: RFMSummary) -> Covariates | None:
        """Learn from the customers of a fit how columns become numbers."""
        if not (self.purchase_covariates or self.dropout_covariates):
            return None
        learnt = Covariates.learn(self.purchase_covariates, self.dropout_covariates, rfm, self.DROPOUT_MEANING)
        learnt.check(rfm, held_back=self.method != "mle" or self.penalty != 0)
        return learnt

    def _own_parameters(self) -> tuple[Parameter, ...]:
        if self.covariates_ is not None:
            return (*self.PARAMETERS, *self.covariates_.parameters)
        if not (self.purchase_covariates or self.dropout_covariates):
            return self.PARAMETERS
        # Before a fit coefficients are not known, but those that somebody has a prior for.
        named = [name for name in self.priors or {} if name.startswith(tuple(f"{prefix}[" for prefix in PREFIXES))]
        meaning = "coefficient of a covariate"
        return (*self.PARAMETERS, *(Parameter(name, meaning, (-1.0, 1.0), above=-np.inf) for name in named))

    def _own_priors(self) -> dict[str, Prior]:
        own = super()._own_priors()
        return {parameter.name: own.get(parameter.name, PRIOR) for parameter in self._own_parameters()}

    def _edge_stories(self) -> Mapping[tuple[tuple[str, str], ...], str]:
        stories = dict(super()._edge_stories())
        for parameter in self._own_parameters()[len(self.PARAMETERS) :]:
            words = f"{parameter.name} has no estimate: the covariate tells some customers from the rest altogether"
            for edge in ("low", "high"):
                stories[((parameter.name, edge),)] = (
                    f"{words}. Merge rare levels, leave it out, or hold it back (penalty='cv', or method='map')."
                )
        return stories
