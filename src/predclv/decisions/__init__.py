"""Decisions: what may be paid for a customer, and how the formulas in use compare with a forecast."""

from __future__ import annotations

from predclv.decisions.acquisition import BANDS, Acquisition, assess_acquisition
from predclv.decisions.formula_comparison import FormulaComparison, compare_formulas
from predclv.decisions.formulas import FormulaValue, purchase_formula, retention_formula
from predclv.decisions.log_formulas import five_step_formula, historical_value, retention_formula_of_log

__all__ = [
    "BANDS",
    "Acquisition",
    "FormulaComparison",
    "FormulaValue",
    "assess_acquisition",
    "compare_formulas",
    "five_step_formula",
    "historical_value",
    "purchase_formula",
    "retention_formula",
    "retention_formula_of_log",
]
