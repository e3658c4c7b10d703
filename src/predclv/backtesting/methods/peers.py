"""What adapters of other packages have in common: a model of purchases, one of spend, and the warnings of both."""

from __future__ import annotations

import contextlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.methods.counted import as_times
from predclv.backtesting.predictions import Forecast
from predclv.data.rfm import RFMSummary

__all__ = ["Peer"]

FloatArray = NDArray[np.float64]

# Each costs a forecast of everyone, and cumulative purchases bend little.
_TRACK_POINTS = 6


class Peer(ABC):
    """A method of another package: its model of purchases and, with amounts, its Gamma-Gamma.

    The package gets frequency, recency, T and monetary_value in the time unit of the summary, and is imported when a
    model is fitted. Expected value is expected purchases times expected spend, not discounted. What the package
    warns of is in the notes of the forecast; what it returns is not mended.

    Parameters
    ----------
    model : str
        One of `MODELS`.

    Raises
    ------
    ValueError
        The model is not known.
    """

    #: How the package is imported, and the extra that installs it.
    PACKAGE: ClassVar[str]
    EXTRA: ClassVar[str]
    #: Names of models, and of the package's classes.
    MODELS: ClassVar[Mapping[str, str]]

    def __init__(self, model: str = "bg_nbd") -> None:
        if model not in self.MODELS:
            raise ValueError(f"model={model!r} is not one of {', '.join(self.MODELS)}.")
        self.model = model

    @property
    def name(self) -> str:
        """How results call it: package and model."""
        return f"{self.PACKAGE.partition('.')[0]}_{self.model}"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Fit the model of purchases and, with amounts, that of spend (to repeat buyers with a positive mean spend).

        Opportunities are read as times (`as_times`).

        Raises
        ------
        ImportError
            The package is not installed.
        """
        rfm, _ = as_times(rfm)
        said: list[str] = []
        # What a package warns of when imported is how it is installed, and nothing of the forecast.
        with _listening(self.PACKAGE, []):
            package = self._import()
        with _listening(self.PACKAGE, said):
            self.purchases_: Any = self._fit_purchases(package, rfm)
            self.spend_: Any = None if rfm.monetary_value is None else self._fit_spend(package, _payers(rfm))
        self.notes_ = tuple(said)
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast every customer with the package's own conditional expectations."""
        rfm, length = as_times(rfm)
        said = list(self.notes_)
        horizon = horizon * length
        with _listening(self.PACKAGE, said):
            purchases = self._expected_purchases(rfm, horizon)
            spend = None if self.spend_ is None or rfm.monetary_value is None else self._expected_spend(rfm)
            p_purchase = self._p_purchase(rfm, horizon)
            times = np.linspace(0.0, horizon, _TRACK_POINTS + 1)[1:]
            so_far = [float(self._expected_purchases(rfm, time).sum()) for time in times[:-1]]
        return Forecast(
            purchases,
            p_purchase=p_purchase,
            expected_spend=spend,
            expected_value=None if spend is None else purchases * spend,
            track=(times / length, np.array([*so_far, purchases.sum()])),
            notes=tuple(dict.fromkeys(said)),
        )

    def _import(self) -> Any:
        try:
            return import_module(self.PACKAGE)
        except ImportError as error:
            root = self.PACKAGE.partition(".")[0].replace("_", "-")
            raise ImportError(f"{self.name} needs {root}: pip install 'predclv[{self.EXTRA}]'") from error

    @abstractmethod
    def _fit_purchases(self, package: Any, rfm: RFMSummary) -> Any: ...

    @abstractmethod
    def _fit_spend(self, package: Any, payers: RFMSummary) -> Any: ...

    @abstractmethod
    def _expected_purchases(self, rfm: RFMSummary, horizon: float) -> FloatArray: ...

    @abstractmethod
    def _expected_spend(self, rfm: RFMSummary) -> FloatArray: ...

    def _p_purchase(self, rfm: RFMSummary, horizon: float) -> FloatArray | None:
        return None


def _payers(rfm: RFMSummary) -> RFMSummary:
    assert rfm.monetary_value is not None
    return rfm[(rfm.frequency > 0) & (rfm.monetary_value > 0)]


@contextlib.contextmanager
def _listening(package: str, said: list[str]) -> Iterator[None]:
    """Add the distinct warnings of a package to `said`, whatever the filters; keep what it prints off the screen."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        # These tell authors what to change, and readers nothing of the forecast.
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        yield
    root = package.partition(".")[0]
    texts = (f"{root} warned: {' '.join(str(one.message).split())}" for one in caught)
    said.extend(text for text in dict.fromkeys(texts) if text not in said)
