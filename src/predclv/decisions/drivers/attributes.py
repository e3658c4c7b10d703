"""Attributes of customers made ready to be compared: rare values merged, contrasts chosen, gaps and copies refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, quote_list
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.models.covariates.encoding import present

__all__ = ["RARE", "Contrast", "Prepared", "Rare", "prepare_attributes"]

FloatArray = NDArray[np.float64]

#: The name under which rare values stand together.
RARE = "(rare values)"
# A value of fewer repeat buyers says next to nothing of how they leave.
_FEW_BUYERS = 10
_QUARTILES = (0.25, 0.75)


@dataclass(frozen=True)
class Contrast:
    """What is compared of an attribute: a value and its reference; of numbers, the upper and the lower quartile."""

    attribute: str
    value: Any
    reference: Any
    customers: int
    repeat_buyers: int


@dataclass(frozen=True)
class Rare:
    """A value of too few customers."""

    attribute: str
    value: str
    customers: int
    repeat_buyers: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """Customers with attributes that can be compared.

    Attributes
    ----------
    rfm : RFMSummary
        Carries the attributes, rare values merged.
    contrasts : list of Contrast
    rare : list of Rare
    n_left_out : int
        Customers whose rare values are too few even together.
    """

    rfm: RFMSummary
    contrasts: list[Contrast]
    rare: list[Rare]
    n_left_out: int


def prepare_attributes(rfm: RFMSummary, attributes: Sequence[str], min_customers: int) -> Prepared:
    """Check and prepare; DataError where an attribute is not carried, has gaps, or has one value that is not rare."""
    if isinstance(attributes, str) or not attributes:
        hint = f" Did you mean [{attributes!r}]?" if isinstance(attributes, str) and attributes else ""
        raise ValueError(f"'attributes' must be a list of carried columns. Got {attributes!r}.{hint}")
    if len(set(attributes)) < len(attributes):
        raise ValueError(f"'attributes' names a column more than once: {quote_list(attributes)}.")
    weight = np.ones(len(rfm)) if rfm.weight is None else rfm.weight.astype(np.float64)
    columns: dict[str, NDArray[Any]] = {}
    rare: list[Rare] = []
    keep = np.ones(len(rfm), dtype=bool)
    for name in attributes:
        values = present("attributes", name, rfm.carried, rfm.customer_id)
        if _is_number(values):
            columns[name] = values.astype(np.float64)
            continue
        columns[name], found, kept = _merge(name, values, rfm, weight, min_customers)
        rare += found
        keep &= kept
    n_left_out = int(weight[~keep].sum())
    chosen = replace(rfm, carried={**rfm.carried, **columns})
    if n_left_out:
        chosen = chosen.pick(np.flatnonzero(keep))
        weight = weight[keep]
    contrasts = [each for name in attributes for each in _contrasts(name, chosen, weight)]
    return Prepared(chosen, contrasts, rare, n_left_out)


def _merge(
    name: str, values: NDArray[Any], rfm: RFMSummary, weight: FloatArray, min_customers: int
) -> tuple[NDArray[Any], list[Rare], NDArray[np.bool_]]:
    """Values as text with the rare ones merged; which those are; and who is left."""
    text = np.array(list(map(str, values)), dtype=object)
    if len(pd.unique(text)) < len(pd.unique(values)):
        raise DataError(f"Column {name!r} mixes values that print alike, such as 1 and '1'. Make them one type.")
    table = pd.DataFrame({"value": text, "n": weight, "buyers": weight * (rfm.frequency > 0)}).groupby("value").sum()
    few = table[(table["n"] < min_customers) | (table["buyers"] < _FEW_BUYERS)]
    if len(table) == 1:
        raise DataError(
            f"Column {name!r} is {text[0]!r} for all {weight.sum():,.0f} customers, so it explains nothing."
        )
    # Rare values together count as one.
    n_values = len(table) - len(few) + _enough(few, min_customers)
    if len(few) == len(table) or n_values < 2:
        raise DataError(
            f"Column {name!r} has {count_of(len(table) - len(few), len(table), 'values')} with {min_customers} "
            f"customers and {_FEW_BUYERS} repeat buyers or more: not enough to compare. Merge values, or leave it out."
        )
    rare = [Rare(name, str(value), int(row["n"]), int(row["buyers"])) for value, row in few.iterrows()]
    is_rare = np.isin(text.astype(str), few.index.to_numpy(dtype=str))
    keep = np.ones(len(text), dtype=bool)
    if _enough(few, min_customers):
        text[is_rare] = RARE
    else:
        keep = ~is_rare
    return text, rare, keep


def _enough(few: pd.DataFrame, min_customers: int) -> bool:
    return bool(few["n"].sum() >= min_customers and few["buyers"].sum() >= _FEW_BUYERS)


def _contrasts(name: str, rfm: RFMSummary, weight: FloatArray) -> list[Contrast]:
    values, buys = rfm.carried[name], rfm.frequency > 0

    def contrast(value: Any, reference: Any, which: NDArray[np.bool_]) -> Contrast:
        return Contrast(name, value, reference, int(weight[which].sum()), int(weight[which & buys].sum()))

    if values.dtype.kind == "f":
        low, high = _spread(name, values, weight)
        return [contrast(high, low, np.ones(len(values), dtype=bool))]
    counts = pd.Series(weight).groupby(values).sum()
    # As models choose it: the most frequent value, of equals the first by name.
    reference = max(sorted(set(counts.index) - {RARE}), key=lambda level: counts[level])
    return [contrast(level, reference, values == level) for level in sorted(counts.index) if level != reference]


def _spread(name: str, values: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Values to compare: 0 and 1 of a flag, else the quartiles, or the ends where most customers are alike."""
    if values.min() == values.max():
        raise DataError(f"Column {name!r} is {values[0]:g} for all {len(values):,} customers, so it explains nothing.")
    if np.isin(values, (0.0, 1.0)).all():
        return 0.0, 1.0
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    low, high = (float(values[order][np.searchsorted(share, q)]) for q in _QUARTILES)
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def _is_number(values: NDArray[Any]) -> bool:
    if values.dtype.kind == "O":
        return all(isinstance(value, int | float | np.integer | np.floating | np.bool_) for value in values)
    return values.dtype.kind in "biuf"
