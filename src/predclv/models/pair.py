"""A transaction model and a spend model side by side: who speaks of which customers, with which draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary
from predclv.forecast.customers import Thetas
from predclv.inference.posterior import paired_draws
from predclv.models.base import Model
from predclv.models.covariates.use import mostly_alone, require_values
from predclv.models.estimates import CUSTOMER_DRAWS, MEAN_DRAWS, Estimate, choose_theta
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.transactions import TransactionModel

__all__ = ["Pair", "PairPart", "choose_segment"]

M = TypeVar("M", bound=Model)
FloatArray = NDArray[np.float64]


class Pair(NamedTuple):
    """Two fitted models of the same customers."""

    transactions: TransactionModel
    spend: GammaGamma

    def parts(self, rfm: RFMSummary) -> list[PairPart]:
        """Split a summary so that each part has one set of parameters of either model: by the segments of both."""
        if not (self.transactions.is_divided or self.spend.is_divided):
            return [PairPart(self, rfm, np.arange(len(rfm)))]
        return [
            PairPart(Pair(transactions, spend), part, rows[within])
            for transactions, some, rows in self.transactions.parts(rfm)
            for spend, part, within in self.spend.parts(some)
        ]

    def of_segment(self, segment: str | Mapping[str, str] | None) -> Pair:
        """Return the models of one segment, named alone or by column; ValueError where it is not said, or not known."""
        if segment is not None and not (self.transactions.segments_ or self.spend.segments_):
            raise ValueError(f"The models have no segments. Leave segment={segment!r} out.")
        return Pair(choose_segment(self.transactions, segment), choose_segment(self.spend, segment))

    @property
    def goes_one_by_one(self) -> bool:
        """Whether nearly every customer has parameters of their own, so that no two share what a forecast needs."""
        return mostly_alone(self.transactions) and not self.spend.is_divided

    def of_covariates(self, values: Mapping[str, Any] | None) -> Pair:
        """Return the models of a customer with these covariates; ValueError where they are not those of the model."""
        return self._replace(transactions=require_values(self.transactions, values))

    def thetas(
        self, estimate: Estimate | None, n_mean_draws: int = MEAN_DRAWS, n_center: int | None = None
    ) -> tuple[Thetas, Thetas]:
        """Return the parameters of both as forecasts use them, draws paired by row; `n_center` of them for means."""
        few, many = self.draws(CUSTOMER_DRAWS), self.draws(n_mean_draws)
        counts, spend = (
            Thetas(choose_theta(model.posterior_, estimate)[:n_center], few[i], many[i]) for i, model in enumerate(self)
        )
        return counts, spend

    def draws(self, n: int) -> list[FloatArray]:
        """Joint draws of both, paired by row."""
        return paired_draws([self.transactions.posterior_, self.spend.posterior_], n)


class PairPart(NamedTuple):
    """Customers of one summary that one pair of models speaks of, and their rows in it."""

    pair: Pair
    rfm: RFMSummary
    rows: NDArray[np.int64]


def choose_segment(model: M, segment: str | Mapping[str, str] | None) -> M:
    """Return the model of one segment, or the model itself where it has none; ValueError where it is not known."""
    if model.segment is None:
        return model
    named = segment.get(model.segment) if isinstance(segment, Mapping) else segment
    # As text, which is how segments are called whatever the column holds.
    if named is None or str(named) not in model.segments_:
        known = ", ".join(map(repr, model.segments_))
        raise ValueError(f"'segment' must name a segment of {model.segment!r}, one of {known}. Got {named!r}.")
    return model.segments_[str(named)]
