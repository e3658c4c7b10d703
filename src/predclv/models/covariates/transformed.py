"""Columns of customers as a scikit-learn ColumnTransformer makes numbers of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.data.checks import count_of, quote_list
from predclv.errors import DataError
from predclv.models.covariates.encoding import Coefficient

__all__ = ["TransformedEncoding"]

FloatArray = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TransformedEncoding:
    """What a fitted ColumnTransformer returns, standardised but for columns of 0 and 1.

    Attributes
    ----------
    option : str
        What errors call the setting.
    transformer : ColumnTransformer
        Fitted.
    names : tuple of str
        Its columns, by `get_feature_names_out`.
    center, scale : (n_coefficients,) arrays
        Mean and standard deviation of each column; 0 and 1 for columns of 0 and 1.
    """

    option: str
    transformer: Any
    names: tuple[str, ...]
    center: FloatArray
    scale: FloatArray

    @classmethod
    def learn(cls, option: str, transformer: Any, columns: Columns, customer_id: NDArray[Any]) -> TransformedEncoding:
        """Fit a copy of the transformer to the customers; DataError where it fails or its columns are constant."""
        fitted = clone(transformer)
        raw = _run(option, fitted.fit_transform, columns, customer_id)
        names = tuple(map(str, fitted.get_feature_names_out()))
        if len(names) == 0:
            raise DataError(f"{option}: the transformer makes no column of {quote_list(columns) or 'nothing'}.")
        flags = np.isin(raw, (0.0, 1.0)).all(axis=0)
        scale = np.where(flags, 1.0, raw.std(axis=0))
        same = raw.min(axis=0) == raw.max(axis=0)
        if same.any():
            first = int(np.argmax(same))
            raise DataError(
                f"{option}: {names[first]!r} is {raw[0, first]:g} for all {len(raw):,} customers, so it explains "
                "nothing. Leave it out."
            )
        return cls(option, fitted, names, np.where(flags, 0.0, raw.mean(axis=0)), scale)

    @property
    def sources(self) -> list[str]:
        """Columns that the transformer reads."""
        names: dict[str, None] = {}
        for _, step, columns in self.transformer.transformers_:
            listed = [columns] if isinstance(columns, str) else columns
            if isinstance(step, str) and step == "drop":
                continue
            if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
                return list(map(str, self.transformer.feature_names_in_))
            names |= dict.fromkeys(listed)
        return list(names)

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """See `Encoder`."""
        return tuple(
            Coefficient(name, name, "1 instead of 0" if center == 0.0 and scale == 1.0 else "1 more", float(scale))
            for name, center, scale in zip(self.names, self.center, self.scale, strict=True)
        )

    def encode(self, columns: Columns, customer_id: NDArray[Any]) -> FloatArray:
        """See `Encoder`."""
        raw = _run(self.option, self.transformer.transform, columns, customer_id)
        return np.ascontiguousarray((raw - self.center) / self.scale)


def _run(option: str, transform: Any, columns: Columns, customer_id: NDArray[Any]) -> FloatArray:
    """What the transformer makes of the customers, dense and finite."""
    table = pd.DataFrame({name: np.asarray(column) for name, column in columns.items()}, index=range(len(customer_id)))
    try:
        out = transform(table)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{option}: the ColumnTransformer failed on {len(table):,} customers: {error}") from error
    out = out.toarray() if hasattr(out, "toarray") else np.asarray(out)
    try:
        numbers = np.asarray(out, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{option}: the ColumnTransformer returned something else than numbers: {error}") from error
    wrong = ~np.isfinite(numbers).all(axis=1)
    if wrong.any():
        raise DataError(
            f"{option}: the ColumnTransformer returned missing or infinite numbers for "
            f"{count_of(int(wrong.sum()), len(numbers), 'customers')} (first: customer "
            f"{customer_id[int(np.argmax(wrong))]}). Impute within it, or fill the columns before."
        )
    return numbers
