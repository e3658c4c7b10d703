"""What can be monitored: models and snapshots that go together, and what is to be said of those that hardly do."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from predclv.data.columns import mean_spend
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.snapshots import Pairing
from predclv.decisions.monitor.sources import FileSnapshot, Snapshot
from predclv.errors import DataError, DataQualityWarning, UnitError, warn
from predclv.models.base import require_summary
from predclv.models.contracts import ContractModel
from predclv.models.horizons import parse_discount_rate, warn_long_horizon
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["bind", "check_models", "one_of", "refuse_hindsight", "warn_of_matching"]

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


def warn_of_matching(matched: Pairing) -> None:
    """Warn where customers are set aside, or few."""
    aside = matched.set_aside
    if len(aside):
        reasons = aside.groupby("reason", sort=False).size()
        told = "; ".join(f"{reason}: {n:,}" for reason, n in reasons.items())
        warn(
            f"Set aside, for being in one snapshot alone or contradicting the other: {len(aside):,} of "
            f"{len(aside) + len(matched):,} customers ({told}; first: customer {aside['customer_id'].iloc[0]}).",
            DataQualityWarning,
        )
    if len(matched) < _FEW:
        warn(
            f"Only {len(matched):,} customers can be compared: alarms hold their level, and most checks of the base "
            "cannot tell drift from chance.",
            DataQualityWarning,
        )
