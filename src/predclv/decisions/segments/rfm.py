"""The customary RFM segments, Champions to Lost, with what the model expects of those who are called so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.segments.groups import FEW, Question, group_table, require_finite
from predclv.errors import DataError
from predclv.models.base import require_summary
from predclv.models.contracts.model import ContractModel
from predclv.models.estimates import Estimate
from predclv.models.outlook import Outlook
from predclv.value import CLV

__all__ = ["DEFINITION", "RFMSegments", "assign_rfm_segments"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Name of the segment by score of recency (rows, 5 to 1) and mean score of frequency and money, halves up (columns,
#: 5 to 1).
DEFINITION: tuple[tuple[str, ...], ...] = (
    ("Champions", "Champions", "Potential loyal", "Potential loyal", "New"),
    ("Champions", "Loyal", "Potential loyal", "Potential loyal", "Promising"),
    ("Loyal", "Loyal", "Need attention", "About to sleep", "About to sleep"),
    ("At risk", "At risk", "At risk", "Hibernating", "Hibernating"),
    ("Cannot lose", "Cannot lose", "Hibernating", "Lost", "Lost"),
)
_SCORES = 5
# From the best name to the worst.
_NAMES = (
    "Champions",
    "Loyal",
    "Potential loyal",
    "New",
    "Promising",
    "Need attention",
    "About to sleep",
    "At risk",
    "Cannot lose",
    "Hibernating",
    "Lost",
)
_MEASURES = ("recency", "frequency", "money")


@dataclass(frozen=True, eq=False, repr=False)
class RFMSegments:
    """Customers in the customary segments of recency, frequency and money.

    The names are a habit of the field and no forecast: two customers of one name may differ in what they will bring,
    and the table shows where a name misleads.

    Attributes
    ----------
    customers : frame, one row a customer, of the type the summary was made from
        customer_id, segment, r_score, f_score, m_score (1 to 5, 5 the best), p_alive, p_purchase, expected_clv.
    table : pandas.DataFrame
        A row a segment that has customers, best name first, and one of all: the columns of `value_by_segment`, with
        p_alive and p_purchase (averages) and rank_by_clv, the segment's place by `mean_clv`.
    boundaries : mapping of measure to (4,) list
        Values up to which a customer gets the lower score (of recency: the higher): `recency`, time since the last
        purchase, in `time_unit`; `frequency`, repeat purchases; `money`, what they came to. As `boundaries=` they make
        the same segments of another snapshot.
    definition : pandas.DataFrame
        Names by r_score (rows) and the mean of f_score and m_score, halves up (columns).
    settings : mapping
        As of `CustomerTiers`.
    """

    customers: Any
    table: pd.DataFrame
    boundaries: Mapping[str, list[float]]
    definition: pd.DataFrame
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<RFMSegments: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """What the best name holds, and which names mislead, in words."""
        rows, every = self.table.iloc[:-1], self.table.iloc[-1]
        if not every["expected_clv"] > 0:
            return f"none of the {every['customers']:,} customers is expected to bring anything"
        most = rows.iloc[int(rows["share_of_value"].to_numpy().argmax())]
        said = (
            f"{most['segment']!r}, {most['share_of_customers']:.0%} of the customers, hold "
            f"{most['share_of_value']:.0%} of the value expected in {self.settings['horizon']} "
            f"({most['share_low']:.0%} to {most['share_high']:.0%})"
        )
        misled = self.misleading()
        if len(misled):
            pairs = [f"{row.segment!r} than {row.better_named!r}" for row in misled.head(3).itertuples()]
            more = f" and {len(misled) - 3} more" if len(misled) > 3 else ""
            said += f"; worth more a customer, though worse in name: {', '.join(pairs)}{more}"
        return said if every["customers"] >= FEW else f"{said}; not enough customers to say more"

    def misleading(self) -> pd.DataFrame:
        """Segments whose customers are surely worth more than those of a better name.

        Returns
        -------
        DataFrame
            segment, better_named (of those that it surpasses, the best named), mean_clv, better_named_mean_clv:
            where the lower end of the mean's interval lies above the other's upper end.
        """
        rows = self.table.iloc[:-1].reset_index(drop=True)
        found = []
        for i, row in rows.iterrows():
            passed = rows.iloc[: int(str(i))]
            passed = passed[passed["mean_clv_high"] < row["mean_clv_low"]]
            if len(passed):
                best = passed.iloc[0]
                found.append((row["segment"], best["segment"], row["mean_clv"], best["mean_clv"]))
        return pd.DataFrame(found, columns=["segment", "better_named", "mean_clv", "better_named_mean_clv"])


def assign_rfm_segments(
    clv: CLV,
    rfm: Any,
    horizon: Any = "1 year",
    *,
    boundaries: Mapping[str, Sequence[float]] | None = None,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    estimate: Estimate | None = None,
    n_draws: int | None = None,
) -> RFMSegments:
    """Score customers in fifths by recency, frequency and money, name their segments, and set the forecast beside.

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases.
    rfm : RFMSummary
    boundaries : mapping, optional
        Of another result, so that names mean the same in both; else the fifths of these customers.
    horizon, discount_rate, margin, level, estimate, n_draws
        As in `CLV.portfolio`.

    Returns
    -------
    RFMSegments

    Raises
    ------
    DataError
        All customers have one history, so that there is nothing to score; or as `CLV.portfolio`.
    TypeError
        The CLV is of contracts.
    ValueError
        The boundaries are none, or as `CLV.portfolio`.

    Notes
    -----
    Who has the same value has the same score, so that fifths are as even as ties allow: where three in five bought
    once, all of them have 1 for frequency, and nobody has 2 or 3. Frequency and money count repeat purchases, as the
    model does.
    """
    if isinstance(clv, CLV) and isinstance(getattr(clv, "transactions_", None), ContractModel):
        raise TypeError("RFM segments are of purchases, and contracts have no recency. See assign_tiers.")
    question = Question(clv, rfm, horizon, discount_rate, margin, level, estimate)
    require_summary(rfm)
    outlook = question.outlook()
    measures = {
        # Rounded, so that who is alike is so whatever the unit: seven days are a week.
        "recency": np.round(rfm.T - rfm.recency, 9),
        "frequency": rfm.frequency.astype(np.float64),
        "money": np.round(rfm.frequency * rfm.monetary_value, 6),
    }
    edges = _fifths(measures) if boundaries is None else _check_boundaries(boundaries)
    scores = {name: 1 + np.searchsorted(edges[name], value, side="left") for name, value in measures.items()}
    scores["recency"] = _SCORES + 1 - scores["recency"]
    names = np.array([_NAMES.index(name) for row in DEFINITION for name in row]).reshape(_SCORES, _SCORES)
    value_score = (scores["frequency"] + scores["money"] + 1) // 2
    codes = names[_SCORES - scores["recency"], _SCORES - value_score]
    forecast = outlook.columns(["p_alive", "p_purchase", "expected_clv"])
    require_finite(forecast["expected_clv"], outlook.customer_id)
    columns = {
        "customer_id": outlook.customer_id,
        "segment": np.array(_NAMES, dtype=object)[codes],
        "r_score": scores["recency"],
        "f_score": scores["frequency"],
        "m_score": scores["money"],
        **forecast,
    }
    order = range(_SCORES, 0, -1)
    definition = pd.DataFrame(
        DEFINITION, index=pd.Index(order, name="r_score"), columns=pd.Index(order, name="fm_score")
    )
    table = _table(outlook, codes, forecast, level, n_draws)
    bounds = {name: edge.tolist() for name, edge in edges.items()}
    return RFMSegments(outlook.to_native(columns), table, bounds, definition, question.settings())


def _table(
    outlook: Outlook, codes: IntArray, forecast: Mapping[str, NDArray[Any]], level: float, n_draws: int | None
) -> pd.DataFrame:
    present, codes = np.unique(codes, return_inverse=True)
    table = group_table(outlook, [_NAMES[code] for code in present], codes, level, n_draws)
    customers = np.bincount(codes, minlength=len(present))
    for name in ("p_alive", "p_purchase"):
        average = np.bincount(codes, forecast[name], len(present)) / customers
        table[name] = np.append(average, forecast[name].mean())
    ranks = table["mean_clv"].iloc[:-1].rank(ascending=False, method="min")
    table["rank_by_clv"] = pd.array([*ranks.astype(int), None], dtype="Int64")
    return table


def _fifths(measures: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    if all(value.min() == value.max() for value in measures.values()):
        raise DataError(
            f"All {len(measures['recency']):,} customers bought as recently, as often and for as much as each other: "
            "there is nothing to score."
        )
    shares = np.arange(1, _SCORES) / _SCORES
    return {name: np.quantile(value, shares, method="inverted_cdf") for name, value in measures.items()}


def _check_boundaries(boundaries: Mapping[str, Sequence[float]]) -> dict[str, FloatArray]:
    expected = f"{_SCORES - 1} values that do not fall for each of {', '.join(_MEASURES)}, as RFMSegments.boundaries"
    if not isinstance(boundaries, Mapping) or set(boundaries) != set(_MEASURES):
        raise ValueError(f"'boundaries' must hold {expected}. Got {boundaries!r}.")
    found = {name: np.asarray(boundaries[name], dtype=np.float64) for name in _MEASURES}
    for name, edge in found.items():
        if edge.shape != (_SCORES - 1,) or not np.isfinite(edge).all() or (np.diff(edge) < 0).any():
            raise ValueError(f"'boundaries' must hold {expected}. Got {list(boundaries[name])!r} for {name!r}.")
    return found
