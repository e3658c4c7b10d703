"""Purchases if leaving were rarer: the model itself at factor 1, quadrature, simulation, and who stays at factor 0."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import predclv as pc
from predclv.kernels.leaving import beta_nodes
from predclv.models.bg_family import BGFamily

X = np.array([0.0, 0.0, 3.0, 20.0, 0.0])
T_X = np.array([0.0, 0.0, 20.0, 38.0, 0.0])
T = np.array([0.0, 30.0, 30.0, 39.0, 10.0])
BINDINGS = {
    "bg_nbd": BGFamily(),
    "mbg_nbd": BGFamily(dropout_at_first=True),
    "bg_cnbd": BGFamily(k=2),
    "mbg_cnbd": BGFamily(k=3, dropout_at_first=True),
    "pareto_nbd": pc.ParetoNBD.BINDINGS,
    "nbd": pc.NBD.BINDINGS,
    "bg_bb": pc.BGBB.BINDINGS,
}
PARAMETERS = {"pareto_nbd": [0.5, 4.0, 0.6, 10.0], "nbd": [0.5, 4.0]}


def theta_of(key):
    return np.array([PARAMETERS.get(key, [0.5, 4.0, 0.8, 2.5]), PARAMETERS.get(key, [0.6, 3.0, 0.7, 1.5])])


def test_every_transaction_model_is_tried():
    assert set(BINDINGS) == {key for key, model in pc.MODELS.items() if model.KIND == "transactions"}


@pytest.mark.parametrize(("horizon", "delta"), [(52.0, 0.0018), (30.0, 0.0), (np.inf, 0.01)])
@pytest.mark.parametrize("key", BINDINGS)
def test_at_factor_one_it_is_the_model_itself(key, horizon, delta):
    rows = BINDINGS[key], theta_of(key)
    found = rows[0].discounted_if_leaving_less(X, T_X, T, horizon, delta, rows[1], 1.0)
    expected = rows[0].discounted_expected_purchases(X, T_X, T, horizon, delta, rows[1])
    endless = key in ("bg_cnbd", "mbg_cnbd", "bg_bb") and np.isinf(horizon)
    np.testing.assert_allclose(found, expected, rtol=1e-4 if endless else 1e-10)
    ahead = 1.0 if key == "bg_bb" else 30.0
    there = rows[0].alive_if_leaving_less(X, T_X, T, rows[1], ahead, 1.0)
    np.testing.assert_allclose(there, rows[0].p_alive(X, T_X, T, rows[1], ahead - (key == "bg_bb")), rtol=1e-10)


@pytest.mark.parametrize("key", BINDINGS)
def test_near_factor_zero_everyone_stays(key):
    bindings, theta = BINDINGS[key], theta_of(key)
    found = bindings.discounted_if_leaving_less(X, T_X, T, 52.0, 0.0018, theta, 1e-7)
    now = bindings.alive_if_leaving_less(X, T_X, T, theta, 0.0, 1e-7)
    # A dropout of 1e-7 adds up over some tens of purchases.
    expected = now * bindings.discounted_if_staying(X, T_X, T, 52.0, 0.0018, theta)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(bindings.alive_if_leaving_less(X, T_X, T, theta, 40.0, 1e-7), now, rtol=1e-5)


@pytest.mark.parametrize(("x", "t_x", "age"), [(0.0, 0.0, 20.0), (4.0, 25.0, 30.0)])
def test_poisson_buyers_by_quadrature(x, t_x, age):
    """The integrals over lambda and p, or mu, as they are defined, at factor 0.6."""
    row, horizon, delta, factor = (np.array([x]), np.array([t_x]), np.array([age])), 40.0, 0.01, 0.6
    for key in ("bg_nbd", "pareto_nbd"):
        bindings, theta = BINDINGS[key], theta_of(key)[:1]
        shape, rate, third, fourth = theta[0]
        buying, weight = special.roots_genlaguerre(80, shape + x - 1)
        buying = buying[:, np.newaxis] / (rate + age)
        if key == "bg_nbd":
            leaving, leave_weight = special.roots_jacobi(80, fourth + x - 1, third - 1)
            leaving = buying * (1 + leaving) / 2
        else:
            leaving, leave_weight = special.roots_genlaguerre(80, third - 1)
            leaving = leaving / (fourth + age)
        hazard = factor * leaving + delta
        bought = weight @ (buying * -np.expm1(-hazard * horizon) / hazard) @ leave_weight
        expected = bought / weight.sum() / leave_weight.sum() * bindings.p_alive(*row, theta)[0, 0]
        found = bindings.discounted_if_leaving_less(*row, horizon, delta, theta, factor)[0, 0]
        assert found == pytest.approx(expected, rel=1e-6)


def test_opportunities_one_by_one():
    theta = theta_of("bg_bb")[:1]
    alpha, beta, gamma, delta = theta[0]
    for x, t_x, n in ((0.0, 0.0, 0.0), (2.0, 5.0, 6.0)):
        row = np.array([x]), np.array([t_x]), np.array([n])
        there = BINDINGS["bg_bb"].alive_if_leaving_less(*row, theta, 0.0, 0.4)[0, 0]
        stays = [special.hyp2f1(-i, gamma, gamma + delta + n, 0.4) for i in range(1, 31)]
        expected = there * (alpha + x) / (alpha + beta + n) * (stays @ np.exp(-0.02 * np.arange(1, 31)))
        found = BINDINGS["bg_bb"].discounted_if_leaving_less(*row, 30.0, 0.02, theta, 0.4)
        assert found[0, 0] == pytest.approx(expected, rel=1e-10)
    assert there <= 1.0


@pytest.mark.parametrize("key", ["mbg_nbd", "mbg_cnbd"])
def test_new_customers_by_simulation(key):
    """From the first purchase on, which may be the last: 200,000 lives, at factor 0.6."""
    bindings, theta, factor = BINDINGS[key], np.array([[1.2, 3.0, 0.8, 2.5]]), 0.6
    rng, n = np.random.default_rng(1), 200_000
    rate, p = rng.gamma(1.2, 1 / 3.0, n), rng.beta(0.8, 2.5, n)
    there = rng.random(n) >= factor * p
    at_horizon, here, time, worth = there.copy(), there, np.zeros(n), np.zeros(n)
    while here.any():
        time = time + rng.gamma(bindings.k, 1 / rate)
        here = here & (time < 40.0)
        worth += here * np.exp(-0.01 * time)
        leaves = here & (rng.random(n) < factor * p)
        at_horizon, here = at_horizon & ~leaves, here & ~leaves
    zero = np.zeros(1)
    found = bindings.discounted_if_leaving_less(zero, zero, zero, 40.0, 0.01, theta, factor)[0, 0]
    assert abs(found - worth.mean()) < 4 * worth.std() / np.sqrt(n)
    alive = bindings.alive_if_leaving_less(zero, zero, zero, theta, 40.0, factor)[0, 0]
    assert abs(alive - at_horizon.mean()) < 4 * np.sqrt(alive * (1 - alive) / n)


def test_nodes_are_those_of_jacobi():
    a, b = np.array([[0.4, 3.0], [0.8, 1.2]]), np.array([[0.7, 40.0], [2.5, 7.0]])
    nodes, weights = beta_nodes(a, b, 20)
    for i in np.ndindex(a.shape):
        t, w = special.roots_jacobi(20, b[i] - 1, a[i] - 1)
        np.testing.assert_allclose(nodes[:, *i], (1 + t) / 2, rtol=1e-9)
        np.testing.assert_allclose(weights[:, *i], w / w.sum(), rtol=1e-8, atol=1e-16)
    uniform, _ = beta_nodes(np.ones(1), np.ones(1), 20)
    np.testing.assert_allclose(uniform[:, 0], (1 + np.polynomial.legendre.leggauss(20)[0]) / 2, rtol=1e-12)
    both_half, weight = beta_nodes(np.array([0.5]), np.array([0.5]), 20)
    assert weight.sum() == pytest.approx(1.0)
    assert (weight * both_half).sum() == pytest.approx(0.5)
