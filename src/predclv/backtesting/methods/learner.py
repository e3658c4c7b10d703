"""What learners have in common: trained on what came of earlier vintages, one horizon at a time."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

import pandas as pd

from predclv.backtesting.methods.features import make_features
from predclv.backtesting.methods.training import Terms, TrainingSet, make_training_set
from predclv.backtesting.predictions import Forecast
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError

__all__ = ["Learner"]


class Learner(ABC):
    """A method that learns from the outcomes of earlier vintages: a skeleton.

    For each horizon it trains on the customers of up to `n_vintages` earlier cut-offs whose outcome windows do not
    overlap and end by the cut-off. Where the log is shorter than two horizons it trains on the half of it and scales;
    the forecast's notes say so.

    Parameters
    ----------
    n_vintages : int
    random_state : int
    """

    name: str

    def __init__(self, n_vintages: int = 3, random_state: int = 0) -> None:
        self.n_vintages = n_vintages
        self.random_state = random_state

    def fit(self, rfm: RFMSummary, log: pd.DataFrame, horizons: Sequence[float]) -> Self:
        """Learn from what came of earlier vintages within each horizon.

        Parameters
        ----------
        rfm : RFMSummary
            As of the cut-off.
        log : pandas.DataFrame
            customer_id, date and, with amounts, amount, until the cut-off.
        horizons : sequence of float
            In the time unit of the summary.

        Raises
        ------
        FitError
            Rows lie after the cut-off, or there is too little to learn from.
        """
        self.learnt_: dict[float, tuple[Terms, Any]] = {}
        for horizon in horizons:
            training = make_training_set(rfm, log, horizon, self.n_vintages, self.random_state)
            with _one_thread(), warnings.catch_warnings(record=True) as caught:
                # A fit that did not converge is for the reader of the results, not for the console of a worker.
                warnings.simplefilter("always")
                learnt = self._learn(training)
            said = dict.fromkeys(str(warning.message).partition("\n")[0] for warning in caught)
            terms = replace(training.terms, notes=(*training.terms.notes, *said))
            self.learnt_[float(horizon)] = terms, learnt
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast every customer from the log until the cut-off.

        Raises
        ------
        FitError
            Rows lie after the cut-off, or `fit` was not told of the horizon.
        """
        terms, learnt = self._find(horizon)
        features = make_features(rfm, log, windows=terms.windows)
        with _one_thread():
            forecast = self._forecast(learnt, features, terms)
        older = int((terms.oldest < rfm.T).sum())
        if older == 0:
            return forecast
        found = f"{older:,} of {len(rfm):,} customers are older than any that were learnt from"
        return replace(forecast, notes=(*forecast.notes, f"{found}, and are taken to be no older"))

    def _find(self, horizon: float) -> tuple[Terms, Any]:
        for length, found in self.learnt_.items():
            if math.isclose(length, horizon, rel_tol=1e-9):
                return found
        known = ", ".join(f"{length:g}" for length in self.learnt_)
        raise FitError(f"{self.name} has learnt the horizons {known}, not {horizon:g}. Give it to fit, too.")

    @abstractmethod
    def _learn(self, training: TrainingSet) -> Any: ...

    @abstractmethod
    def _forecast(self, learnt: Any, features: pd.DataFrame, terms: Terms) -> Forecast: ...


def _one_thread() -> AbstractContextManager[object]:
    # Sums over threads round differently; with one, forecasts are the same wherever they are made.
    # Only libraries that are loaded can be limited.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(limits=1)  # type: ignore[no-any-return]
