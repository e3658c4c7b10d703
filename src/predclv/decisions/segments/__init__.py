"""Segments: tiers of value, the Pareto curve, named RFM segments, and customers who move between tiers."""

from __future__ import annotations

from predclv.decisions.segments.by_segment import value_by_segment
from predclv.decisions.segments.migration import TierMigration, tier_migration
from predclv.decisions.segments.pareto import ParetoCurve, pareto_curve
from predclv.decisions.segments.rfm import RFMSegments, assign_rfm_segments
from predclv.decisions.segments.tiers import CustomerTiers, assign_tiers

__all__ = [
    "CustomerTiers",
    "ParetoCurve",
    "RFMSegments",
    "TierMigration",
    "assign_rfm_segments",
    "assign_tiers",
    "pareto_curve",
    "tier_migration",
    "value_by_segment",
]
