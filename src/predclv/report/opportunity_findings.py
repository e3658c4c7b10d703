"""The log against a model of opportunities: what can be told of them, one after the other."""

from __future__ import annotations

from predclv import checks
from predclv.checks import Tracking
from predclv.report.blocks import Finding
from predclv.report.inputs import ReportInputs

__all__ = ["opportunities", "track_opportunities"]

_UNLIKELY = 0.01


def track_opportunities(given: ReportInputs) -> Tracking | None:
    """Track the log by opportunity; None without a log or an as-of date, and where times are measured."""
    if given.timeline is None or given.rfm.observation_end is None or not given.counts_opportunities:
        return None
    end = given.rfm.observation_end
    return checks.track_purchases(given.clv.transactions_, given.timeline, as_of=end, level=given.level)


def opportunities(tracking: Tracking) -> Finding:
    """Do opportunities differ from what the model expects by more than chance, as a trend or one by one?"""
    unit = tracking.period
    told = tracking.p_values.set_index("quantity").filter(regex="^(drift|unevenness)", axis=0)
    if told.empty:
        return Finding(
            "note",
            "Too few opportunities to look for a trend",
            f"Fewer than four {unit}s have enough purchases. The model takes every {unit} to be like the others.",
        )
    numbers = "; ".join(f"{row.Index}: p = {row.p_value:.2g}" for row in told.itertuples())
    if (told["p_value"] >= _UNLIKELY).all():
        return Finding(
            "fine",
            f"The {unit}s are as the model expects",
            f"Neither a trend nor single {unit}s stand out from what chance explains ({numbers}).",
        )
    return Finding(
        "caution",
        f"The {unit}s differ from what the model expects",
        f"They do by more than chance explains ({numbers}). The model takes every {unit} to be like the others: it "
        "knows no trend, no season and no campaign.",
    )
