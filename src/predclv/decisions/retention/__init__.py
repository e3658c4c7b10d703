"""Retention: whom to keep and win back, what an offer returns, and what it is worth that fewer leave."""

from __future__ import annotations

from predclv.decisions.retention.effect import RetentionEffect, retention_effect
from predclv.decisions.retention.lists import list_at_risk, list_to_win_back
from predclv.decisions.retention.offers import weigh_offer

__all__ = ["RetentionEffect", "list_at_risk", "list_to_win_back", "retention_effect", "weigh_offer"]
