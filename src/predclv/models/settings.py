"""What a user asks of a model: method, priors, segments, sampler and seed, checked."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import ClassVar

import pandas as pd
from sklearn.base import BaseEstimator

from predclv.data.rfm import RFMSummary
from predclv.inference.chains import Sampling
from predclv.inference.hierarchy import spread_parameters, spread_priors
from predclv.models.bayes import scales_of
from predclv.parameters import Parameter
from predclv.priors.distributions import Prior
from predclv.priors.settle import Scales, check_priors, priors_table, settle_priors, supported

__all__ = ["METHODS", "ModelSettings"]

METHODS = ("mle", "map", "mcmc", "auto")


class ModelSettings(BaseEstimator):  # type: ignore[misc]
    """Settings of a model, and its priors before any fit; `Model` says what they mean.

    Attributes
    ----------
    PARAMETERS : tuple of Parameter
        The model's own, for one population.
    PRIORS : mapping of name to Prior
        Weakly informative defaults; their lower ends bind priors given in their place.
    """

    PARAMETERS: ClassVar[tuple[Parameter, ...]]
    PRIORS: ClassVar[Mapping[str, Prior]]

    priors_: dict[str, Prior]

    def __init__(
        self,
        method: str = "mle",
        *,
        priors: Mapping[str, Prior] | None = None,
        segment: str | None = None,
        sampler: str = "nutpie",
        chains: int = 4,
        draws: int = 1000,
        tune: int = 500,
        progressbar: bool = True,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.priors = priors
        self.segment = segment
        self.sampler = sampler
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.progressbar = progressbar
        self.random_state = random_state

    def priors_for(self, rfm: RFMSummary) -> dict[str, Prior]:
        """Return the priors that a fit on `rfm` would use, one a parameter, in the summary's own units."""
        defaults = self._declared_priors()
        return settle_priors(self.priors, defaults, self._declared_parameters(), self._scales(rfm))

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
            priors = {**self._declared_priors(), **(self.priors or {})}
        return priors_table(priors, self._declared_parameters())

    def _scales(self, rfm: RFMSummary) -> Scales:
        """Units and sizes that relative priors are multiples of."""
        return scales_of(rfm)

    def _declared_parameters(self) -> tuple[Parameter, ...]:
        """The model's own, and with segments the spreads."""
        if self.segment is None:
            return self._own_parameters()
        return (*self.PARAMETERS, *spread_parameters(supported(self.PARAMETERS, self.PRIORS)))

    def _own_parameters(self) -> tuple[Parameter, ...]:
        """Those of one population."""
        return self.PARAMETERS

    def _own_priors(self) -> dict[str, Prior]:
        """Their defaults."""
        return dict(self.PRIORS)

    def _declared_priors(self) -> dict[str, Prior]:
        """The defaults, once what is given in their place has been checked against them."""
        spreads = {} if self.segment is None else spread_priors(self.PARAMETERS)
        defaults = {**self._own_priors(), **spreads}
        if self.priors is not None:
            check_priors(self.priors, defaults, self._declared_parameters(), type(self).__name__)
            for name in spreads:
                if name in self.priors and self.priors[name].lower_end:
                    raise ValueError(
                        f"The prior of {name!r} must reach down to 0, where segments are alike: no above=."
                    )
        return defaults

    def _check_settings(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"'method' must be one of {', '.join(map(repr, METHODS))}. Got {self.method!r}.")
        if self.priors is not None and self.method == "mle":
            raise ValueError("method='mle' uses no priors. Use method='map' or 'mcmc', or leave 'priors' out.")
        if self.segment is not None and not isinstance(self.segment, str):
            raise ValueError(f"'segment' must be the name of a carried column. Got {self.segment!r}.")
        if self.segment is not None and self.method == "mle":
            raise ValueError("Segments share strength through priors: segment= needs method='map', 'mcmc' or 'auto'.")
        check_seed(self.random_state)
        self._sampling().check()

    def _sampling(self) -> Sampling:
        return Sampling(self.sampler, self.chains, self.draws, self.tune, self.progressbar)


def check_seed(seed: object) -> int:
    """Return a seed as an int, or raise ValueError: it must be stored with the model and give the same table again."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**32:
        raise ValueError(
            f"'random_state' must be a whole number from 0 to 2**32 - 1, so that a saved model gives the same tables. "
            f"Got {seed!r}."
        )
    return int(seed)
