"""The package pymc-marketing as a method of backtests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.methods.peers import Peer
from predclv.data.rfm import RFMSummary

__all__ = ["PymcMarketingMethod"]

FloatArray = NDArray[np.float64]

# Draws kept of a posterior: each costs a forecast of everyone, and the mean over this many is steady.
_DRAWS = 400


class PymcMarketingMethod(Peer):
    """Models of pymc-marketing under its default priors.

    A point: of existing customers the package offers expectations and, for the BG/NBD, the probability of no purchase
    (hence `p_purchase`), at each draw of the parameters. Draws of purchases it offers of new customers only.

    Parameters
    ----------
    model : {"bg_nbd", "mbg_nbd"}
    fit_method : {"map", "mcmc"}
        With "mcmc", expectations are averaged over 400 draws at most, evenly spaced in the chains.
    sampler : mapping, optional
        Options of `pymc.sample` for "mcmc": draws, tune, chains, cores, ...
    random_state : int
        Seed of the sampler.

    Raises
    ------
    ValueError
        The model or the method is not known.
    """

    PACKAGE: ClassVar[str] = "pymc_marketing.clv"
    EXTRA: ClassVar[str] = "peers"
    MODELS: ClassVar[Mapping[str, str]] = {"bg_nbd": "BetaGeoModel", "mbg_nbd": "ModifiedBetaGeoModel"}

    def __init__(
        self,
        model: str = "bg_nbd",
        fit_method: str = "map",
        sampler: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(model)
        if fit_method not in ("map", "mcmc"):
            raise ValueError(f"fit_method={fit_method!r} is not one of map, mcmc.")
        self.fit_method = fit_method
        self.sampler = sampler
        self.random_state = random_state

    @property
    def name(self) -> str:
        """How results call it: package, model and, unless MAP, the method."""
        return super().name if self.fit_method == "map" else f"{super().name}_{self.fit_method}"

    def _fit_purchases(self, package: Any, rfm: RFMSummary) -> Any:
        return self._fitted(getattr(package, self.MODELS[self.model])(), _table(rfm))

    def _fit_spend(self, package: Any, payers: RFMSummary) -> Any:
        return self._fitted(package.GammaGammaModel(), _table(payers))

    def _fitted(self, model: Any, table: pd.DataFrame) -> Any:
        # Said once a process, of how it is installed; these models multiply no matrices.
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
        options: dict[str, Any] = {"progressbar": False}
        if self.fit_method == "mcmc":
            options |= {"random_seed": self.random_state, "cores": 1} | dict(self.sampler or {})
        model.fit(data=table, method=self.fit_method, **options)
        posterior = model.idata.posterior
        n_draws = posterior.sizes["chain"] * posterior.sizes["draw"]
        return model.thin_fit_result(keep_every=-(-n_draws // _DRAWS)) if n_draws > _DRAWS else model

    def _expected_purchases(self, rfm: RFMSummary, horizon: float) -> FloatArray:
        return _mean(self.purchases_.expected_purchases(_table(rfm), future_t=horizon))

    def _expected_spend(self, rfm: RFMSummary) -> FloatArray:
        return _mean(self.spend_.expected_customer_spend(_table(rfm)))

    def _p_purchase(self, rfm: RFMSummary, horizon: float) -> FloatArray | None:
        if self.model != "bg_nbd":
            return None
        return 1.0 - _mean(self.purchases_.expected_probability_no_purchase(horizon, _table(rfm)))


def _table(rfm: RFMSummary) -> pd.DataFrame:
    columns = {"customer_id": rfm.customer_id, "frequency": rfm.frequency, "recency": rfm.recency, "T": rfm.T}
    if rfm.monetary_value is not None:
        columns["monetary_value"] = rfm.monetary_value
    return pd.DataFrame(columns)


def _mean(found: Any) -> FloatArray:
    """Mean over the draws, (n_customers,)."""
    return np.asarray(found.mean(("chain", "draw")), dtype=np.float64)
