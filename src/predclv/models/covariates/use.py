"""What a forecast asks of models that may have covariates: one customer's, and rows of their own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import quote_list
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import PatternKernels, shift
from predclv.models.transactions import TransactionModel

__all__ = ["mostly_alone", "require_values", "row_thetas"]

FloatArray = NDArray[np.float64]

# Distinct patterns a customer from which on forecasts go customer by customer.
_ALONE = 0.1


def require_values(model: TransactionModel, values: Mapping[str, Any] | None) -> TransactionModel:
    """The model for a customer with these covariates; itself where it has none. ValueError where they do not fit."""
    covariates = getattr(model, "covariates_", None)
    if covariates is None:
        if values is not None:
            raise ValueError(f"The {type(model).__name__} has no covariates. Leave covariates={values!r} out.")
        return model
    if values is None:
        raise DataError(
            f"The {type(model).__name__} has covariates: say the customer's, as covariates={{...}} with "
            f"{quote_list(covariates.sources)}."
        )
    assert isinstance(model, CovariateModel)
    return model.for_covariates(values)


def mostly_alone(model: TransactionModel) -> bool:
    """Whether most customers of the fit had covariates that nobody else had; by the fit, whoever is forecast."""
    if getattr(model, "covariates_", None) is None:
        return False
    found = model.posterior_.fit_diagnostics
    return bool(found["n_patterns"] > _ALONE * found["n_observations"])


def row_thetas(model: TransactionModel, rfm: RFMSummary, n_draws: int) -> tuple[PatternKernels, FloatArray]:
    """Kernels for rows of their own parameters, and these for each draw and customer, (n_draws, n_customers, 4)."""
    assert isinstance(model, CovariateModel)
    assert model.covariates_ is not None
    design, kernels = model.covariates_.design(rfm), model.pattern_kernels
    draws = model.posterior_.draws_array(n_draws)
    return kernels, np.stack([shift(kernels.link, draw, *design) for draw in draws])
