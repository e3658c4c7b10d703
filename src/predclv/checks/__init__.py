"""Does a fitted model say what customers did? Results that plots draw, and that are useful without a plot.

`check_frequencies`, `check_recency`, `check_spend` and `track_purchases` put the data beside replications of it from
the posterior; `check_holdout` does so for the time after the fit, `check_survivors` for contracts. Each gives a table
with bands and Bayesian p-values.

On the data that a model was fitted on, p-values are conservative: the fit has moved the model towards these data. Some
quantities it can then hardly miss, whatever the truth (the share of one-time buyers, means, the spread of log spend,
the total until the as-of date); a p-value near 1 of theirs is no praise. Others it can (the largest count, silence
beside one's own gaps, the correlation of frequency and spend, unevenness in time). What lies after the fit has no such
bias. With some twenty quantities, one of p < 0.05 may be chance; look at how far, and at what.
"""

from __future__ import annotations

from predclv.checks.customer import AliveHistory, follow_customer
from predclv.checks.histories import check_frequencies, check_recency
from predclv.checks.holdout import check_holdout, expect_holdout
from predclv.checks.results import PredictiveCheck
from predclv.checks.spend import SpendCheck, check_spend
from predclv.checks.survivors import check_survivors
from predclv.checks.tracking import Tracking, track_purchases

__all__ = [
    "AliveHistory",
    "PredictiveCheck",
    "SpendCheck",
    "Tracking",
    "check_frequencies",
    "check_holdout",
    "check_recency",
    "check_spend",
    "check_survivors",
    "expect_holdout",
    "follow_customer",
    "track_purchases",
]
