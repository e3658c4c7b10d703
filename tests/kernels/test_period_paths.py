"""Simulated futures by period: on average what the closed forms say, in every model."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.models import MODELS

THETA = {
    "bg_nbd": [0.24, 4.4, 0.8, 2.4],
    "mbg_nbd": [0.5, 6.0, 0.9, 2.5],
    "bg_cnbd": [0.5, 3.0, 0.8, 2.4],
    "mbg_cnbd": [0.5, 3.0, 0.8, 2.4],
    "pareto_nbd": [0.55, 10.6, 0.6, 11.7],
    "nbd": [0.4, 12.0],
    "bg_bb": [1.2, 0.75, 0.66, 2.8],
}
HISTORIES = np.array([(0, 0, 5), (2, 20, 30), (7, 30, 38)], dtype=np.float64).T
EDGES = np.array([0.0, 4.0, 9.0, 20.0])
SPEND = np.array([[6.2, 6.7, 30.0]])
EACH = 20_000


def bindings_of(key):
    model = MODELS[key]
    return (model(k=2) if key.endswith("cnbd") else model()).bindings


def customers(counted=False):
    x, t_x, T = (np.repeat(column, EACH) for column in HISTORIES)
    segment = np.repeat(np.arange(3), EACH)
    return x, t_x, T, 35.0 * (x > 0), np.full(len(x), 0.3), segment, np.full(len(x), counted)


@pytest.mark.parametrize("key", THETA)
def test_means_are_those_of_the_closed_forms(key):
    bindings, theta = bindings_of(key), np.array([THETA[key]])
    found = bindings.simulate_periods(customers(), 3, EDGES, theta, SPEND, 3)[0] / EACH
    until = np.array([bindings.expected_purchases(*HISTORIES, edge, theta)[0] for edge in EDGES[1:]])
    expected = np.diff(np.vstack([np.zeros(3), until]), axis=0).T
    # A count's variance is its mean and, for who buys often or not at all, up to its square more.
    error = np.sqrt((expected + 2 * expected**2) / EACH)
    assert (np.abs(found[..., 1] - expected) < 4.5 * error).all()
    buys = 1 - bindings.purchase_pmf(*HISTORIES, EDGES[1], theta, 3)[:, 0]
    assert (np.abs(found[:, 0, 0] - buys) < 4.5 * np.sqrt(buys * (1 - buys) / EACH)).all()
    ever = 1 - bindings.purchase_pmf(*HISTORIES, EDGES[-1], theta, 3)[:, 0]
    assert (found[..., 0].sum(axis=1) > ever - 4.5 * np.sqrt(ever / EACH)).all()
    assert (found[..., 0] <= found[..., 1]).all()
    mean = expected_spend(HISTORIES[0], 35.0 * (HISTORIES[0] > 0), SPEND)[0]
    # Those who buy more may spend otherwise by chance: a customer's mean varies by about a third.
    np.testing.assert_allclose(found[..., 2].sum(axis=1), expected.sum(axis=1) * mean, rtol=0.1)
    np.testing.assert_allclose(found[..., 3], 0.3 * found[..., 2], rtol=1e-9)


def test_order_does_not_matter_and_who_is_counted_is_not_counted_again():
    bindings, theta = bindings_of("bg_nbd"), np.array([THETA["bg_nbd"]])
    rows = customers()
    shuffled = np.random.default_rng(1).permutation(len(rows[0]))
    base = bindings.simulate_periods(rows, 3, EDGES, theta, SPEND, 3)
    other = bindings.simulate_periods(tuple(row[shuffled] for row in rows), 3, EDGES, theta, SPEND, 3)
    np.testing.assert_array_equal(base, other)
    known = bindings.simulate_periods(customers(counted=True), 3, EDGES, theta, SPEND, 3)
    assert (known[:, :, 0, 0] == 0).all()
    np.testing.assert_array_equal(known[:, :, 1:, 0], base[:, :, 1:, 0])
    np.testing.assert_array_equal(known[..., 1:], base[..., 1:])


def test_without_spend_there_is_no_money():
    bindings, theta = bindings_of("pareto_nbd"), np.array([THETA["pareto_nbd"]] * 2)
    found = bindings.simulate_periods(customers(), 3, EDGES, theta, np.zeros((2, 0)), 3)
    assert (found[..., 2:] == 0).all()
    assert not np.array_equal(found[0], found[1])
