"""Cohorts: what each month of first purchases did and will do, and the equity of present and coming customers."""

from __future__ import annotations

from predclv.decisions.cohorts.active import Activity, activity
from predclv.decisions.cohorts.arrivals import ArrivalForecast, forecast_arrivals
from predclv.decisions.cohorts.comparison import compare_cohorts
from predclv.decisions.cohorts.continuation import CohortForecast
from predclv.decisions.cohorts.equity import CustomerEquity, customer_equity
from predclv.decisions.cohorts.forecast import continue_cohorts
from predclv.decisions.cohorts.metrics import RetentionMetrics, retention_metrics
from predclv.decisions.cohorts.table import CohortTable, cohort_table

__all__ = [
    "Activity",
    "ArrivalForecast",
    "CohortForecast",
    "CohortTable",
    "CustomerEquity",
    "RetentionMetrics",
    "activity",
    "cohort_table",
    "compare_cohorts",
    "continue_cohorts",
    "customer_equity",
    "forecast_arrivals",
    "retention_metrics",
]
