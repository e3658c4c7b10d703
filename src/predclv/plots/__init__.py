"""Plots: a result in, matplotlib Axes out.

Each takes `ax=None` and returns the Axes; without one, a pyplot figure is made, so that a notebook shows it.
The results that need more than a fitted model come from `predclv.checks`, whose names are here too.
"""

from __future__ import annotations

from predclv.checks import (
    AliveHistory,
    PredictiveCheck,
    SpendCheck,
    Tracking,
    check_frequencies,
    check_holdout,
    check_recency,
    check_spend,
    check_survivors,
    follow_customer,
    track_purchases,
)
from predclv.plots.acquisition import plot_payback, plot_ratios
from predclv.plots.backtest import plot_gains, plot_method_tracking, plot_total_tracking
from predclv.plots.backtest_calibration import plot_calibration_by_decile, plot_pit, plot_reliability
from predclv.plots.backtest_scores import plot_score_against_cost, plot_scores
from predclv.plots.budget import plot_budget
from predclv.plots.cohorts import plot_cohorts, plot_continuation
from predclv.plots.comparison import plot_comparison
from predclv.plots.contracts import plot_recurring_revenue, plot_retention, plot_survivors
from predclv.plots.covariates import plot_effects, plot_penalty_path
from predclv.plots.customers import plot_alive_history, plot_frequency_recency
from predclv.plots.drivers import plot_drivers
from predclv.plots.experiments import plot_arm_draws, plot_differences
from predclv.plots.explanation import plot_explanation
from predclv.plots.fit import plot_calibration, plot_frequency_histogram, plot_tracking
from predclv.plots.formulas import plot_formula_errors, plot_formula_values
from predclv.plots.methods import MethodStyle, method_styles
from predclv.plots.monitor import plot_alarm_counts, plot_last_forecast, plot_parameter_drift
from predclv.plots.predictive import plot_p_values, plot_recency, plot_spend_density
from predclv.plots.prior import plot_prior_predictive
from predclv.plots.retention import plot_offer_return, plot_stakes
from predclv.plots.segments import plot_migration, plot_pareto, plot_tiers
from predclv.plots.worth import plot_lorenz_curve, plot_portfolio, plot_value_distribution

__all__ = [
    "AliveHistory",
    "MethodStyle",
    "PredictiveCheck",
    "SpendCheck",
    "Tracking",
    "check_frequencies",
    "check_holdout",
    "check_recency",
    "check_spend",
    "check_survivors",
    "follow_customer",
    "method_styles",
    "plot_alarm_counts",
    "plot_alive_history",
    "plot_arm_draws",
    "plot_budget",
    "plot_calibration",
    "plot_calibration_by_decile",
    "plot_cohorts",
    "plot_comparison",
    "plot_continuation",
    "plot_differences",
    "plot_drivers",
    "plot_effects",
    "plot_explanation",
    "plot_formula_errors",
    "plot_formula_values",
    "plot_frequency_histogram",
    "plot_frequency_recency",
    "plot_gains",
    "plot_last_forecast",
    "plot_lorenz_curve",
    "plot_method_tracking",
    "plot_migration",
    "plot_offer_return",
    "plot_p_values",
    "plot_parameter_drift",
    "plot_pareto",
    "plot_payback",
    "plot_penalty_path",
    "plot_pit",
    "plot_portfolio",
    "plot_prior_predictive",
    "plot_ratios",
    "plot_recency",
    "plot_recurring_revenue",
    "plot_reliability",
    "plot_retention",
    "plot_score_against_cost",
    "plot_scores",
    "plot_spend_density",
    "plot_stakes",
    "plot_survivors",
    "plot_tiers",
    "plot_total_tracking",
    "plot_tracking",
    "plot_value_distribution",
    "track_purchases",
]
