"""The package clvkit as a method of backtests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.methods.peers import Peer
from predclv.data.rfm import RFMSummary

__all__ = ["ClvkitMethod"]

FloatArray = NDArray[np.float64]

_TIME_UNITS = {"hour": "h", "day": "D", "week": "W", "year": "Y"}


class ClvkitMethod(Peer):
    """Models of clvkit, by maximum likelihood.

    A point: the package predicts expectations, and neither a distribution nor the probability of a purchase.

    Parameters
    ----------
    model : {"bg_nbd", "mbg_nbd"}
    """

    PACKAGE: ClassVar[str] = "clvkit"
    EXTRA: ClassVar[str] = "peers"
    MODELS: ClassVar[Mapping[str, str]] = {"bg_nbd": "BGNBD", "mbg_nbd": "MBGNBD"}

    def _fit_purchases(self, package: Any, rfm: RFMSummary) -> Any:
        return getattr(package, self.MODELS[self.model])().fit(self._base(package, rfm))

    def _fit_spend(self, package: Any, payers: RFMSummary) -> Any:
        return package.GammaGamma().fit(self._base(package, payers))

    def _expected_purchases(self, rfm: RFMSummary, horizon: float) -> FloatArray:
        return _column(self.purchases_.predict(horizon, self._base(self._import(), rfm)))

    def _expected_spend(self, rfm: RFMSummary) -> FloatArray:
        return _column(self.spend_.predict(self._base(self._import(), rfm)))

    def _base(self, package: Any, rfm: RFMSummary) -> Any:
        """Build the package's own summary from ours: what it counts from a log by itself differs with returns."""
        columns = {"frequency": rfm.frequency, "recency": rfm.recency, "T": rfm.T}
        if rfm.monetary_value is not None:
            columns["monetary_value"] = rfm.monetary_value
        end: Any = rfm.observation_end
        return package.CustomerBase(
            pd.DataFrame(columns, index=pd.Index(rfm.customer_id, name="customer_id")),
            time_unit=_TIME_UNITS[rfm.time_unit],
            observation_period_end=pd.Timestamp(end),
            has_monetary=rfm.monetary_value is not None,
            on_negative="net",
        )


def _column(prediction: Any) -> FloatArray:
    return np.asarray(prediction.to_pandas().iloc[:, 0], dtype=np.float64)
