"""Snapshots of simulated customers at two dates, with known truth: who left, and who changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import predclv as pc
from predclv.inference.posterior import Draws


@dataclass(frozen=True)
class Pair:
    """Old and new snapshot of the same customers, and each one's rate; newcomers are in the new one alone."""

    old: pc.RFMSummary
    new: pc.RFMSummary
    rate: np.ndarray
    alive: np.ndarray


def simulate(
    seed,
    n=2_000,
    *,
    theta=(0.8, 6.0, 0.8, 2.5),
    spend=(6.0, 4.0, 15.0),
    ages=(10.0, 60.0),
    window=10.0,
    staying=False,
    change=1.0,
    basket=1.0,
    newcomers=0,
    money=True,
):
    """BG/NBD and Gamma-Gamma customers, seen at two dates.

    `staying`: nobody leaves in the window, and customers who left before it are not there. `change` and `basket`
    multiply everyone's rate and spend in the window.
    """
    rng = np.random.default_rng(seed)
    r, alpha, a, b = theta
    p, q, gamma = spend
    T = np.concatenate([rng.uniform(*ages, n), np.zeros(newcomers)])
    late = np.concatenate([np.zeros(n), rng.uniform(0.0, window, newcomers)])
    rate = rng.gamma(r, 1 / alpha, n + newcomers)
    life = rng.geometric(rng.beta(a, b, n + newcomers)).astype(float)
    nu = rng.gamma(q, 1 / gamma, n + newcomers)
    before, t_x = _bought(rng, rate * T, T, life)
    alive = before < life
    left = np.full(len(T), np.inf) if staying else life - before
    during, last = _bought(rng, change * rate * (window - late), window - late, left)
    during = np.where(alive, during, 0.0)
    first = _spent(rng, before, p, nu)
    second = _spent(rng, during, p, nu) * basket
    after = before + during
    keep = alive | (not staying)
    ids = np.arange(1, len(T) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "old": (before, t_x, T, np.where(before > 0, first / before, 0.0)),
            "new": (
                after,
                np.where(during > 0, T + last, t_x),
                T + window - late,
                np.where(after > 0, (first + second) / after, 0.0),
            ),
        }
    made = {}
    for name, (x, when, age, mean) in columns.items():
        rows = keep & (np.arange(len(T)) < n) if name == "old" else keep
        made[name] = pc.RFMSummary(
            ids[rows],
            x[rows].astype(np.int64),
            when[rows],
            age[rows],
            mean[rows] if money else None,
        )
    return Pair(made["old"], made["new"], rate[keep], alive[keep])


def _bought(rng, mean, length, life):
    """Purchases within a length, of as many as a life allows, and the time of the last one."""
    events = rng.poisson(mean)
    bought = np.minimum(events, life)
    # The k-th of n uniform times is Beta(k, n - k + 1).
    at = rng.beta(np.maximum(bought, 1.0), np.maximum(events - bought, 0.0) + 1.0)
    return bought, np.where(bought > 0, length * at, 0.0)


def _spent(rng, n, p, nu):
    return np.where(n > 0, rng.standard_gamma(np.maximum(p * n, 1e-9)) / nu, 0.0)


def fitted(rfm, theta=None, spend=None):
    """A CLV of BG/NBD, at known parameters where they are given: without uncertainty, then."""
    clv = pc.CLV().fit(rfm)
    for model, values in ((clv.transactions_, theta), (clv.spend_, spend)):
        if values is not None:
            point = np.array(values, dtype=np.float64)
            model.posterior_ = model.posterior_.evolve(
                point_array=point, make_draws=lambda point=point: Draws(np.tile(point, (1024, 1)))
            )
    return clv
