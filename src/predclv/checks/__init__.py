"""Does a fitted model say what customers did? Results that plots draw, and that are useful without a plot."""

from __future__ import annotations

from predclv.checks.customer import AliveHistory, follow_customer
from predclv.checks.frequencies import check_frequencies
from predclv.checks.holdout import check_holdout, expect_holdout
from predclv.checks.tracking import Tracking, track_purchases

__all__ = [
    "AliveHistory",
    "Tracking",
    "check_frequencies",
    "check_holdout",
    "expect_holdout",
    "follow_customer",
    "track_purchases",
]
