"""What can be monitored: models and snapshots that go together, and what is to be said of those that hardly do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.columns import mean_spend, segments
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.snapshots import Pairing, ids_of
from predclv.decisions.monitor.sources import ROWS, FileSnapshot, Snapshot, stretches
from predclv.errors import DataError, DataQualityWarning, UnitError, warn
from predclv.models.base import require_summary
from predclv.models.contracts.model import ContractModel
from predclv.models.horizons import parse_discount_rate, warn_long_horizon
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["bind", "check_models", "one_of", "refuse_hindsight", "set_aside_unknown_segments", "warn_of_matching"]

_FEW = 200


def bind(option: str, model: Any, rfm: RFMSummary, horizon: Any, discount_rate: float) -> Forecaster:
    """Check a model, and what is asked of it, against its snapshot."""
    if isinstance(model, CLV):
        check_is_fitted(model)
        transactions, spend = model.transactions_, getattr(model, "spend_", None)
    else:
        transactions, spend = model, None
    if isinstance(transactions, ContractModel):
        raise TypeError(
            f"Monitoring is of purchases, and {type(transactions).__name__} forecasts renewals of contracts: who has "
            "left is seen there. `predclv contracts backtest` sets renewals against their forecast."
        )
    if not isinstance(transactions, TransactionModel):
        raise TypeError(f"{option!r} must be a fitted CLV or transaction model. Got {type(model).__name__}.")
    check_is_fitted(transactions)
    require_summary(rfm)
    transactions.check_counts(rfm)
    seen = transactions.fingerprint_
    rfm.require_compatible(time_unit=seen.time_unit, collapse=seen.collapse)
    if spend is not None:
        rfm.require_compatible(currency=spend.fingerprint_.currency)
        mean_spend(rfm)
    parsed = transactions.parse_horizon(horizon, rfm.time_unit, rfm.observation_end)
    if parsed.until is not None:
        raise ValueError(
            f"'horizon' must be a span, as long at both dates, such as '1 year'. Got the date {horizon!r}."
        )
    delta = parse_discount_rate(discount_rate, parsed, rfm.time_unit)
    warn_long_horizon(parsed, seen.longest_age, rfm.time_unit)
    return Forecaster(transactions, spend, parsed.length, delta)


def refuse_hindsight(first: Forecaster, old: RFMSummary) -> None:
    """Raise DataError where the model was fitted after the old date, and so has seen what it is to have forecast."""
    fitted, end = first.transactions.fingerprint_.observation_end, old.observation_end
    # By the day: a snapshot of a date and a model of an hour of it are of one time.
    if fitted is not None and end is not None and fitted[:10] > end.isoformat()[:10]:
        raise DataError(
            f"The old model was fitted as of {fitted}, after the old snapshot of {end}: it has seen what it would be "
            "held against. Give the one that was in use then, and the later one as the new model."
        )


def one_of(snapshot: Snapshot) -> Any:
    """What knows the units of a snapshot: of a file the summary of one customer, else itself, whatever it is."""
    return snapshot.one if isinstance(snapshot, FileSnapshot) else snapshot


def check_models(first: Forecaster, second: Forecaster | None, new: RFMSummary) -> None:
    """Raise UnitError where the new model is of another kind, or the old one cannot speak of the new snapshot."""
    seen = first.transactions.fingerprint_
    first.transactions.check_counts(new)
    new.require_compatible(time_unit=seen.time_unit, collapse=seen.collapse)
    if first.spend is not None:
        new.require_compatible(currency=first.spend.fingerprint_.currency)
        mean_spend(new)
    if second is None:
        return
    kinds = [type(one.transactions).__name__ for one in (first, second)]
    if kinds[0] != kinds[1] or (first.spend is None) != (second.spend is None):
        said = [
            f"{kind}{' without' if one.spend is None else ' with'} spend"
            for kind, one in zip(kinds, (first, second), strict=True)
        ]
        raise UnitError(
            f"The old model is {said[0]}, the new one {said[1]}: what changed would be the model. Give two fits of one "
            "kind; predclv.compare and backtests tell which kind is better."
        )


def set_aside_unknown_segments(first: Forecaster, pairing: Pairing) -> Pairing:
    """Leave out whoever is now in a segment that the old model does not know, as those of a channel that is new.

    Raises
    ------
    DataError
        Nobody else is left.
    """
    unknown: dict[str, NDArray[np.bool_]] = {}
    for model in (first.transactions, first.spend):
        if model is None or not model.segments_ or model.segment in unknown:
            continue
        column = str(model.segment)
        unknown[column] = np.zeros(len(pairing.new), dtype=bool)
        for some in stretches(len(pairing.new), ROWS):
            names, codes = segments(pairing.new.pick(np.arange(some.start, some.stop)), column, option="segment")
            unknown[column][some] = np.array([str(name) not in model.segments_ for name in names])[codes]
    for column, away in unknown.items():
        known, news = ~away[pairing.there], ~away[pairing.newcomers]
        if not known.any():
            raise DataError(
                f"All customers of the new snapshot are in segments of {column!r} that the old model lacks."
            )
        rows = np.concatenate([pairing.there[~known], pairing.newcomers[~news]])
        if len(rows):
            reason = f"now in a segment of {column!r} that the old model does not know"
            left = pd.DataFrame({"customer_id": ids_of(pairing.new, rows), "reason": reason})
            pairing = replace(
                pairing,
                here=pairing.here[known],
                there=pairing.there[known],
                newcomers=pairing.newcomers[news],
                set_aside=pd.concat([pairing.set_aside, left], ignore_index=True),
            )
    return pairing


def warn_of_matching(matched: Pairing) -> None:
    """Warn where customers are set aside, or few."""
    aside = matched.set_aside
    if len(aside):
        reasons = aside.groupby("reason", sort=False).size()
        told = "; ".join(f"{reason}: {n:,}" for reason, n in reasons.items())
        warn(
            f"Set aside, because they cannot be compared: {len(aside):,} of {len(aside) + len(matched):,} customers "
            f"({told}; first: customer {aside['customer_id'].iloc[0]}).",
            DataQualityWarning,
        )
    if len(matched) < _FEW:
        warn(
            f"Only {len(matched):,} customers can be compared: alarms hold their level, and most checks of the base "
            "cannot tell drift from chance.",
            DataQualityWarning,
        )
