"""Priors: what is believed of a model's parameters before the data.

`LogNormal` and `Gamma` are given to a model by name, `BGNBD(method="map", priors={"alpha": LogNormal(10, 0.5)})`;
`Normal` is for coefficients of covariates.
`elicit_purchases`, `elicit_retention` and `elicit_spend` turn what a firm knows of its customers into priors, and
`predict_prior` shows what priors say of customers, before any data.
"""

from __future__ import annotations

from predclv.priors.distributions import Gamma, LogNormal, Normal, Prior
from predclv.priors.elicitation import elicit_purchases, elicit_retention, elicit_spend
from predclv.priors.predictive import PriorPredictive, predict_prior
from predclv.priors.settle import priors_table

__all__ = [
    "Gamma",
    "LogNormal",
    "Normal",
    "Prior",
    "PriorPredictive",
    "elicit_purchases",
    "elicit_retention",
    "elicit_spend",
    "predict_prior",
    "priors_table",
]
