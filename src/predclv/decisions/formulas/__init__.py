"""Formulas everyone starts from, and how far off each is when it is set beside the models."""

from __future__ import annotations

from predclv.decisions.formulas.comparison import FormulaComparison, compare_formulas
from predclv.decisions.formulas.from_log import five_step_formula, historical_value, retention_formula_of_log
from predclv.decisions.formulas.plain import FormulaValue, purchase_formula, retention_formula

__all__ = [
    "FormulaComparison",
    "FormulaValue",
    "compare_formulas",
    "five_step_formula",
    "historical_value",
    "purchase_formula",
    "retention_formula",
    "retention_formula_of_log",
]
