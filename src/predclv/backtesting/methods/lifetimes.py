"""The package lifetimes as a method of backtests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.backtesting.methods.peers import Peer
from predclv.data.rfm import RFMSummary

__all__ = ["LifetimesMethod"]

FloatArray = NDArray[np.float64]


class LifetimesMethod(Peer):
    """Models of lifetimes, as its users call them: no penalizer, its own start and tolerance.

    A point: the package gives no predictive distribution of an existing customer's purchases. The Pareto/NBD alone
    has the probability of none, so it alone has `p_purchase`. Its optimiser starts at random; here at the mean of
    those starts, so that results repeat.

    Parameters
    ----------
    model : {"bg_nbd", "mbg_nbd", "pareto_nbd"}
    """

    PACKAGE: ClassVar[str] = "lifetimes"
    EXTRA: ClassVar[str] = "lifetimes"
    MODELS: ClassVar[Mapping[str, str]] = {
        "bg_nbd": "BetaGeoFitter",
        "mbg_nbd": "ModifiedBetaGeoFitter",
        "pareto_nbd": "ParetoNBDFitter",
    }

    def _fit_purchases(self, package: Any, rfm: RFMSummary) -> Any:
        fitter = getattr(package, self.MODELS[self.model])
        start = {"initial_params": np.ones(4)} if self.model == "pareto_nbd" else {}
        return _learnt(fitter, fitter(penalizer_coef=0.0).fit(rfm.frequency, rfm.recency, rfm.T, **start))

    def _fit_spend(self, package: Any, payers: RFMSummary) -> Any:
        fitter = package.GammaGammaFitter
        return _learnt(fitter, fitter(penalizer_coef=0.0).fit(payers.frequency, payers.monetary_value))

    def _expected_purchases(self, rfm: RFMSummary, horizon: float) -> FloatArray:
        of = self.purchases_.conditional_expected_number_of_purchases_up_to_time
        return np.asarray(of(horizon, rfm.frequency, rfm.recency, rfm.T), dtype=np.float64)

    def _expected_spend(self, rfm: RFMSummary) -> FloatArray:
        of = self.spend_.conditional_expected_average_profit
        return np.asarray(of(rfm.frequency, rfm.monetary_value), dtype=np.float64)

    def _p_purchase(self, rfm: RFMSummary, horizon: float) -> FloatArray | None:
        if self.model != "pareto_nbd":
            return None
        of = self.purchases_.conditional_probability_of_n_purchases_up_to_time
        return 1.0 - np.asarray(of(0, horizon, rfm.frequency, rfm.recency, rfm.T), dtype=np.float64)


def _learnt(fitter: Any, fitted: Any) -> Any:
    # A fitted model holds the customers and functions that cannot be pickled; its parameters are all that is needed.
    bare = fitter(penalizer_coef=0.0)
    bare.params_ = fitted.params_
    return bare
