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
    follow_customer,
    track_purchases,
)
from predclv.plots.customers import plot_alive_history, plot_frequency_recency
from predclv.plots.fit import plot_calibration, plot_frequency_histogram, plot_tracking
from predclv.plots.predictive import plot_p_values, plot_recency, plot_spend_density
from predclv.plots.prior import plot_prior_predictive
from predclv.plots.worth import plot_lorenz_curve, plot_portfolio, plot_value_distribution

__all__ = [
    "AliveHistory",
    "PredictiveCheck",
    "SpendCheck",
    "Tracking",
    "check_frequencies",
    "check_holdout",
    "check_recency",
    "check_spend",
    "follow_customer",
    "plot_alive_history",
    "plot_calibration",
    "plot_frequency_histogram",
    "plot_frequency_recency",
    "plot_lorenz_curve",
    "plot_p_values",
    "plot_portfolio",
    "plot_prior_predictive",
    "plot_recency",
    "plot_spend_density",
    "plot_tracking",
    "plot_value_distribution",
    "track_purchases",
]
