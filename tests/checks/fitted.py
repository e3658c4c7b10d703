"""Models whose posterior is one point, to be checked at the truth."""

from __future__ import annotations

import copy

import numpy as np

import predclv as pc
from predclv.inference.posterior import Draws, Posterior

__all__ = ["at_truth", "p_value", "shares_above"]


def at_truth(fitted, truth, seed=0, n_draws=512):
    """A fitted model with its posterior concentrated at `truth` instead."""
    model = copy.copy(fitted)
    point = np.array([truth[parameter.name] for parameter in model.PARAMETERS])
    nothing = np.zeros((len(point), len(point)))
    model.random_state = seed
    model.posterior_ = Posterior(
        model.PARAMETERS, "mle", point, nothing, lambda: Draws(np.repeat(point[np.newaxis], n_draws, axis=0))
    )
    return model


def p_value(check, quantity):
    """P-value of one quantity."""
    return check.p_values.set_index("quantity")["p_value"][quantity]


def shares_above(bg, gg, rfm, n_draws):
    """`share_above` of every quantity of the histories and the spend."""
    made = (
        pc.checks.check_frequencies(bg, rfm, n_draws=n_draws),
        pc.checks.check_recency(bg, rfm, n_draws=n_draws),
        pc.checks.check_spend(gg, rfm, n_draws=n_draws),
    )
    return {row.quantity: row.share_above for check in made for row in check.p_values.itertuples()}
