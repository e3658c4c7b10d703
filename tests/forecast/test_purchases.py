"""Counts from plain arrays: quantiles, and distributions as long as each row needs."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.forecast.purchases import purchase_distribution, purchase_quantiles
from predclv.models import BGNBD

BINDINGS = BGNBD().bindings
THETA = np.array([[0.2426, 4.4137, 0.7930, 2.4259], [0.30, 5.0, 0.9, 2.0]])
X = np.array([0.0, 2000.0, 2.0, 7.0, 0.0])
T_X = np.array([0.0, 38.9, 20.0, 38.0, 0.0])
T = np.array([39.0, 39.0, 30.0, 39.0, 0.0])


def test_quantiles_are_the_smallest_counts_that_reach_the_level():
    levels = [0.05, 0.5, 0.95, 0.999]
    quantiles = purchase_quantiles(BINDINGS, X, T_X, T, 39.0, THETA, levels)
    cdf = np.cumsum(BINDINGS.purchase_pmf(X, T_X, T, 39.0, THETA, 6000), axis=1)
    for row, counts in enumerate(quantiles):
        for level, count in zip(levels, counts, strict=True):
            assert cdf[row, count] >= level - 1e-12
            assert count == 0 or cdf[row, count - 1] < level
    assert quantiles[1, 2] > 1000


def test_each_row_is_as_long_as_it_needs_and_the_same_alone():
    probability, length = purchase_distribution(BINDINGS, X, T_X, T, 39.0, THETA, tail=1e-6)
    assert len(probability) == length.sum()
    assert length[1] > 1000
    assert length[[0, 2, 3, 4]].max() < 300
    rows = np.split(probability, np.cumsum(length)[:-1])
    for i, row in enumerate(rows):
        assert 1e-6 >= 1 - row.sum() >= -1e-12
        assert 1 - row[:-1].sum() > 1e-6
        one = slice(i, i + 1)
        alone, _ = purchase_distribution(BINDINGS, X[one], T_X[one], T[one], 39.0, THETA, tail=1e-6)
        np.testing.assert_array_equal(alone, row)


def test_no_rows():
    empty = np.zeros(0)
    probability, length = purchase_distribution(BINDINGS, empty, empty, empty, 39.0, THETA)
    assert len(probability) == len(length) == 0
    assert purchase_quantiles(BINDINGS, empty, empty, empty, 39.0, THETA, [0.5]).shape == (0, 1)


@pytest.mark.parametrize("n_rows", [1, 4])
def test_one_time_buyers_of_any_age(n_rows):
    age = np.linspace(0, 1000, n_rows)
    zero = np.zeros(n_rows)
    quantiles = purchase_quantiles(BINDINGS, zero, zero, age, 52.0, THETA, [0.95])[:, 0]
    # The longer nobody came back, the lower the rate.
    assert (np.diff(quantiles) <= 0).all()
