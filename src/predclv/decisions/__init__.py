"""Decisions: what may be paid for a customer, whom to keep, and how the formulas in use compare with a forecast."""

from __future__ import annotations

from predclv.decisions.acquisition import BANDS, Acquisition, assess_acquisition
from predclv.decisions.budget import BudgetPlan, Saturating, allocate_budget
from predclv.decisions.experiments import Experiment, read_experiment
from predclv.decisions.formula_comparison import FormulaComparison, compare_formulas
from predclv.decisions.formulas import FormulaValue, purchase_formula, retention_formula
from predclv.decisions.log_formulas import five_step_formula, historical_value, retention_formula_of_log
from predclv.decisions.retention import list_at_risk, list_to_win_back, weigh_offer
from predclv.decisions.retention_effect import RetentionEffect, retention_effect

__all__ = [
    "BANDS",
    "Acquisition",
    "BudgetPlan",
    "Experiment",
    "FormulaComparison",
    "FormulaValue",
    "RetentionEffect",
    "Saturating",
    "allocate_budget",
    "assess_acquisition",
    "compare_formulas",
    "five_step_formula",
    "historical_value",
    "list_at_risk",
    "list_to_win_back",
    "purchase_formula",
    "read_experiment",
    "retention_effect",
    "retention_formula",
    "retention_formula_of_log",
    "weigh_offer",
]
