"""Acquisition: what a new customer of each channel is worth, what may be paid for one, and how to split a budget."""

from __future__ import annotations

from predclv.decisions.acquisition.assess import Acquisition, assess_acquisition
from predclv.decisions.acquisition.budget import BudgetPlan, Saturating, allocate_budget
from predclv.decisions.acquisition.terms import BANDS

__all__ = ["BANDS", "Acquisition", "BudgetPlan", "Saturating", "allocate_budget", "assess_acquisition"]
