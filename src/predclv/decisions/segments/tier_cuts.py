"""Where tiers of value begin: by shares of customers, shares of value, k-means, or as they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_option, quote_list
from predclv.errors import DataError
from predclv.inference.posterior import check_number
from predclv.models.outlook import Outlook

__all__ = ["METHODS", "Method", "check_cuts", "check_tiers", "cut_by_clusters", "cut_by_shares", "tier_codes"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Method = Literal["quantile", "value", "kmeans"]
METHODS = ("quantile", "value", "kmeans")
TIERS = ("top", "high", "middle", "low")

# Customers that k-means looks at, and amounts at which it compares their distributions.
_SAMPLE, _POINTS = 20_000, 24


def check_tiers(tiers: int | Sequence[str] | Mapping[str, float] | None, method: str) -> dict[str, float]:
    """Names of the tiers, best first, with the share that each is to have.

    Raises
    ------
    ValueError
        They are no tiers: fewer than two, names that repeat, shares that do not add up to 1.
    """
    check_option("method", method, METHODS)
    tiers = TIERS if tiers is None else tiers
    if isinstance(tiers, Mapping):
        if method == "kmeans":
            raise ValueError("k-means finds the sizes of tiers itself. Give their names or number, without shares.")
        shares = {_name(name): check_number(f"share of {name!r}", share) for name, share in tiers.items()}
        if any(not share > 0 for share in shares.values()) or not np.isclose(sum(shares.values()), 1, atol=1e-6):
            raise ValueError(f"The shares of the tiers must be above 0 and add up to 1. Got {dict(tiers)!r}.")
    elif isinstance(tiers, str):
        raise ValueError(f"'tiers' must be a number, names, or shares by name. Got the single name {tiers!r}.")
    else:
        names = _numbered(tiers) if not isinstance(tiers, Sequence) else [_name(name) for name in tiers]
        if len(set(names)) < len(names):
            raise ValueError(f"Two tiers have the same name: {quote_list(names)}.")
        shares = dict.fromkeys(names, 1 / max(len(names), 1))
    if len(shares) < 2:
        raise ValueError(f"There must be at least two tiers. Got {tiers!r}.")
    return shares


def check_cuts(cuts: Mapping[Any, float] | pd.Series) -> dict[str, float]:
    """Names of the tiers, best first, with the value from which on each begins; the last takes the rest.

    Raises
    ------
    ValueError
        They do not fall, are no amounts, or leave customers without a tier.
    """
    if not isinstance(cuts, Mapping | pd.Series):
        raise ValueError(
            "'cuts' must give the value from which on each tier begins, best first, {'high': 100, 'low': 0} for "
            f"instance. Got {cuts!r}."
        )
    found = {_name(name): check_number(f"cut of {name!r}", value) for name, value in cuts.items()}
    starts = np.array(list(found.values()))
    if len(found) < 2 or len(found) < len(cuts) or not np.isfinite(starts).all():
        raise ValueError(f"'cuts' must hold at least two tiers of different names and finite values. Got {found!r}.")
    if not (np.diff(starts) < 0).all():
        raise ValueError(f"'cuts' must fall from tier to tier, best first. Got {found!r}.")
    if starts[-1] != 0:
        raise ValueError(f"The last tier must begin at 0, or some customers have none. Got {starts[-1]:g}.")
    return found


def tier_codes(expected: FloatArray, starts: FloatArray) -> IntArray:
    """Place of each customer's tier, from 0 for the best; `starts` fall."""
    return np.asarray(len(starts) - np.searchsorted(starts[::-1], expected, side="right"), dtype=np.int64)


def cut_by_shares(expected: FloatArray, size: FloatArray, shares: FloatArray) -> FloatArray:
    """Where tiers begin so that each holds its share of `size` as nearly as ties allow, (n_tiers,), falling.

    Parameters
    ----------
    expected : (n_rows,) array
    size : (n_rows,) array
        What is shared out: customers of a row, or their value.
    shares : (n_tiers,) array
        The best first; they add up to 1.
    """
    values, inverse = np.unique(-expected, return_inverse=True)
    _require_distinct(len(values), len(shares))
    held = np.cumsum(np.bincount(inverse, weights=size))
    aims = np.cumsum(shares)[:-1] * held[-1]
    after = np.clip(np.searchsorted(held, aims), 0, len(held) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(aims - held[before] < held[after] - aims, before, after)
    return _starts(-values, nearest)


def cut_by_clusters(outlook: Outlook, expected: FloatArray, n_tiers: int, seed: int) -> tuple[FloatArray, float]:
    """Where tiers begin that k-means finds in the predictive distributions, and whom it has elsewhere, as a share.

    Customers are compared by their chances to reach each of 24 amounts, evenly spaced in the logarithm: the squared
    distance of two is that of their distribution functions (Cramér). Clusters stand in the order of their mean
    expected value, and a tier begins where the fewest are on the wrong side. Of more than 20,000 customers every so
    many in the order of expected value are looked at.
    """
    from sklearn.cluster import KMeans

    values = np.unique(expected)
    _require_distinct(len(values), n_tiers)
    order = np.argsort(expected, kind="stable")
    rows = np.sort(order[np.unique(np.linspace(0, len(order) - 1, min(_SAMPLE, len(order))).astype(np.int64))])
    top = float(values[-1])
    features = outlook.odds(np.geomspace(top / 1000, top * 2, _POINTS), rows).outcome
    distinct = len(np.unique(features.round(9), axis=0))
    _require_distinct(distinct, n_tiers)
    weight = outlook.weight[rows].astype(np.float64)
    found = KMeans(n_tiers, n_init=10, random_state=seed).fit(features, sample_weight=weight)
    label, some = found.labels_, expected[rows]
    means = np.bincount(label, weight * some, n_tiers) / np.bincount(label, weight, n_tiers)
    rank = np.argsort(np.argsort(-means))[label]
    by_value, inverse = np.unique(-some, return_inverse=True)
    _require_distinct(len(by_value), n_tiers)
    cut = np.array([_best_cut(inverse, weight, rank <= tier) for tier in range(n_tiers - 1)])
    starts = _starts(-by_value, cut)
    moved = weight[tier_codes(some, starts) != rank].sum() / weight.sum()
    return starts, float(moved)


def _best_cut(place: IntArray, weight: FloatArray, above: NDArray[np.bool_]) -> int:
    """Last place, in the order of falling value, that is above a cut which leaves the fewest on the wrong side."""
    gained = np.bincount(place, weights=np.where(above, weight, -weight))
    return int(np.argmax(np.cumsum(gained)[:-1]))


def _starts(values: FloatArray, last: IntArray) -> FloatArray:
    """Where tiers begin, of which all but the lowest end with these places among the falling values.

    Each holds one value at least. A tier begins halfway to the next lower value, so that rounding moves nobody.
    """
    n, k = len(values), len(last) + 1
    places = np.array(last, dtype=np.int64)
    for j in range(k - 1):
        places[j] = min(max(places[j], j, places[j - 1] + 1 if j else 0), n - k + j)
    middle = values[places + 1] + (values[places] - values[places + 1]) / 2
    # Neighbouring floats have nothing between them.
    return np.append(np.where(middle > values[places + 1], middle, values[places]), 0.0)


def _require_distinct(n_values: int, n_tiers: int) -> None:
    if n_values < n_tiers:
        raise DataError(
            f"{n_tiers} tiers need customers of at least {n_tiers} different expectations, and there are {n_values}: "
            "customers of one history and one basket are worth the same to a model. Ask for fewer tiers."
        )


def _name(name: object) -> str:
    text = str(name)
    if not text.strip():
        raise ValueError("A tier has no name.")
    return text


def _numbered(tiers: Any) -> list[str]:
    number = check_number("tiers", tiers)
    if number != int(number) or not 2 <= number <= 100:
        raise ValueError(f"'tiers' must be a whole number from 2 to 100, names, or shares by name. Got {tiers!r}.")
    return [f"tier {i + 1}" for i in range(int(number))]
