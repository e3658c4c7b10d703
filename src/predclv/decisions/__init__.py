"""Decisions: what may be paid for a customer, whom to keep, who is worth how much, and what the formulas in use say."""

from __future__ import annotations

from predclv.decisions.acquisition import BANDS, Acquisition, assess_acquisition
from predclv.decisions.activity import Activity, activity
from predclv.decisions.arrivals import ArrivalForecast, forecast_arrivals
from predclv.decisions.budget import BudgetPlan, Saturating, allocate_budget
from predclv.decisions.cohort_comparison import compare_cohorts
from predclv.decisions.cohort_forecast import CohortForecast, continue_cohorts
from predclv.decisions.cohorts import CohortTable, cohort_table
from predclv.decisions.drivers import Drivers, find_drivers
from predclv.decisions.equity import CustomerEquity, customer_equity
from predclv.decisions.experiments import Experiment, read_experiment
from predclv.decisions.formula_comparison import FormulaComparison, compare_formulas
from predclv.decisions.formulas import FormulaValue, purchase_formula, retention_formula
from predclv.decisions.log_formulas import five_step_formula, historical_value, retention_formula_of_log
from predclv.decisions.migration import TierMigration, tier_migration
from predclv.decisions.monitor import Monitoring, Watch, compare_snapshots, watch_snapshots
from predclv.decisions.pareto import ParetoCurve, pareto_curve
from predclv.decisions.report import write_decision_report
from predclv.decisions.retention import list_at_risk, list_to_win_back, weigh_offer
from predclv.decisions.retention_effect import RetentionEffect, retention_effect
from predclv.decisions.retention_metrics import RetentionMetrics, retention_metrics
from predclv.decisions.rfm_segments import RFMSegments, assign_rfm_segments
from predclv.decisions.segments import value_by_segment
from predclv.decisions.tiers import CustomerTiers, assign_tiers

__all__ = [
    "BANDS",
    "Acquisition",
    "Activity",
    "ArrivalForecast",
    "BudgetPlan",
    "CohortForecast",
    "CohortTable",
    "CustomerEquity",
    "CustomerTiers",
    "Drivers",
    "Experiment",
    "FormulaComparison",
    "FormulaValue",
    "Monitoring",
    "ParetoCurve",
    "RFMSegments",
    "RetentionEffect",
    "RetentionMetrics",
    "Saturating",
    "TierMigration",
    "Watch",
    "activity",
    "allocate_budget",
    "assess_acquisition",
    "assign_rfm_segments",
    "assign_tiers",
    "cohort_table",
    "compare_cohorts",
    "compare_formulas",
    "compare_snapshots",
    "continue_cohorts",
    "customer_equity",
    "find_drivers",
    "five_step_formula",
    "forecast_arrivals",
    "historical_value",
    "list_at_risk",
    "list_to_win_back",
    "pareto_curve",
    "purchase_formula",
    "read_experiment",
    "retention_effect",
    "retention_formula",
    "retention_formula_of_log",
    "retention_metrics",
    "tier_migration",
    "value_by_segment",
    "watch_snapshots",
    "weigh_offer",
    "write_decision_report",
]
