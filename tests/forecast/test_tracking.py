"""Purchases over time, against the equations and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hyp2f1

from predclv.forecast import tracking
from predclv.models.bg_family import BGFamily

R, ALPHA, A, B = 0.2425945221, 4.4136019995, 0.7929220004, 2.4259066847
THETA = np.array([[R, ALPHA, A, B]])
DAY = 1 / 7


def expected_of_a_new_customer(t):
    """E[X(t)], Fader, Hardie & Lee (2005), eq. (9)."""
    z = t / (ALPHA + t)
    return (A + B - 1) / (A - 1) * (1 - (ALPHA / (ALPHA + t)) ** R * hyp2f1(R, B, A + B - 1, z))


@pytest.fixture
def births():
    rng = np.random.default_rng(2)
    return np.arange(84) * DAY, rng.integers(1, 50, 84).astype(float)


def test_expected_purchases_are_the_sum_over_customers(births):
    times, customers = births
    edges = np.array([0.0, 5.0, 12.0, 39.0, 78.0])
    found = tracking.expected_cumulative(BGFamily(), times, customers, edges, THETA, DAY)
    expected = [(customers * expected_of_a_new_customer(np.maximum(edge - times, 0.0))).sum() for edge in edges]
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


def test_births_between_days_cost_little(births):
    times, customers = births
    edges = np.array([0.0, 20.0, 60.0])
    moved = times + 0.37 * DAY
    found = tracking.expected_cumulative(BGFamily(), moved, customers, edges, THETA, DAY)
    expected = [(customers * expected_of_a_new_customer(np.maximum(edge - moved, 0.0))).sum() for edge in edges]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_a_long_log_is_worked_on_a_wider_lattice(births, monkeypatch):
    monkeypatch.setattr(tracking, "_MOST_STEPS", 300)
    times, customers = births
    found = tracking.expected_cumulative(BGFamily(), times, customers, np.array([0.0, 78.0]), THETA, DAY)
    expected = (customers * expected_of_a_new_customer(78.0 - times)).sum()
    assert found[0, 1] == pytest.approx(expected, rel=1e-4)


def test_a_sample_of_lives_has_the_mean_and_spread_of_all(births, monkeypatch):
    times, customers = births
    edges = np.array([0.0, 10.0, 20.0, 40.0])
    theta = np.repeat(THETA, 600, axis=0)
    whole = tracking.simulated_periods(BGFamily(), times, customers, edges, theta, DAY, 1)
    monkeypatch.setattr(tracking, "_LIVES", 600 * 400)
    sampled = tracking.simulated_periods(BGFamily(), times, customers, edges, theta, DAY, 1)
    expected = np.diff(tracking.expected_cumulative(BGFamily(), times, customers, edges, THETA, DAY)[0])
    for simulated in (whole, sampled):
        error = simulated.std(axis=0) / np.sqrt(600)
        # The sample's own customers shift all of its draws together, by their own sampling error.
        assert np.all(np.abs(simulated.mean(axis=0) - expected) < 4 * error)
    np.testing.assert_allclose(sampled.std(axis=0), whole.std(axis=0), rtol=0.2)


def test_alive_path_follows_the_purchases():
    purchases = np.array([2.0, 5.0, 9.0])
    times = np.array([2.0, 4.9, 5.0, 9.0, 30.0])
    path = tracking.alive_path(BGFamily(), purchases, times, THETA)
    histories = [(0, 0.0, 0.0), (0, 0.0, 2.9), (1, 3.0, 3.0), (2, 7.0, 7.0), (2, 7.0, 28.0)]
    for found, (x, t_x, T) in zip(path, histories, strict=True):
        # Fader, Hardie & Lee (2008), "Computing P(alive) using the BG/NBD model", eq. (1).
        odds = (A / (B + x - 1)) * ((ALPHA + T) / (ALPHA + t_x)) ** (R + x) if x else 0.0
        assert found == pytest.approx(1 / (1 + odds), rel=1e-12)
