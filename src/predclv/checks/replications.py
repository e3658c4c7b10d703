"""What the checks ask of their arguments, and how they replicate a model's customers."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RFMSummary
from predclv.forecast.predictive_checks import pick_customers
from predclv.inference.posterior import check_level
from predclv.models.base import Model, require_summary
from predclv.models.transactions import TransactionModel

__all__ = ["DRAWS", "check_arguments", "check_count", "check_summary", "rows_to_replicate"]

FloatArray = NDArray[np.float64]

#: Replications: p-values then come in steps of 0.002.
DRAWS = 512

_KINDS = {
    "transactions": "a transaction model, such as BGNBD",
    "spend": "a spend model, such as GammaGamma",
    "contract": "a contract model, such as SBG",
}
# Where a CLV has such a model.
_PART = {"transactions": "transactions_", "spend": "spend_", "contract": "transactions_"}


def check_arguments(model: Model, kind: str, level: float, n_draws: int) -> FloatArray:
    """Return the draws to replicate from, (at most n_draws, n_parameters).

    Raises
    ------
    TypeError
        `model` is none of that kind.
    NotFittedError
        It is not fitted.
    ValueError
        `level` or `n_draws` mean nothing, or each segment or customer has parameters of its own.
    """
    if getattr(model, "KIND", None) != kind:
        part = getattr(model, _PART[kind], None)
        hint = f"; give its .{_PART[kind]}" if getattr(part, "KIND", None) == kind else ""
        raise TypeError(f"Expected {_KINDS[kind]}. Got {type(model).__name__}{hint}.")
    check_is_fitted(model, "posterior_")
    if segments := getattr(model, "segments_", None):
        first = next(iter(segments))
        raise ValueError(
            f"Each of the {len(segments):,} segments of this {type(model).__name__} has parameters of its own: check "
            f"one at a time, as segments_[{first!r}], with a summary of its customers."
        )
    if getattr(model, "covariates_", None) is not None:
        model.require_one_population()
    check_level(level)
    return model.posterior_.draws_array(check_count("n_draws", n_draws))


def check_count(name: str, count: object) -> int:
    """Return an option's whole number from 1 on, or raise ValueError."""
    if isinstance(count, bool) or not isinstance(count, Integral) or int(count) < 1:
        raise ValueError(f"{name!r} must be a whole number from 1 on. Got {count!r}.")
    return int(count)


def check_summary(model: TransactionModel, rfm: RFMSummary) -> None:
    """Raise TypeError, UnitError or DataError where `rfm` is no summary of customers in the time unit of the fit."""
    require_summary(rfm)
    rfm.require_customers("A check")
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit)


def rows_to_replicate(rfm: RFMSummary, n_draws: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return x, t_x and T of the customers to replicate, ordered by history: the order given does not matter."""
    order = np.lexsort((rfm.recency, rfm.frequency, rfm.T))
    picked = order[pick_customers(len(rfm), n_draws, seed)]
    return rfm.frequency[picked].astype(np.float64), rfm.recency[picked], rfm.T[picked]
