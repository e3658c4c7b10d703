"""Sums by group against repeated rows."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.kernels.group_sums import group_sums


@pytest.mark.parametrize("n_resamples", [1, 127, 300])
def test_sums_are_those_of_repeated_rows(n_resamples):
    rng = np.random.default_rng(n_resamples)
    n_clusters, n_rows = 40, 60
    weights = rng.integers(0, 5, (n_clusters, n_resamples)).astype(np.uint16)
    cluster, group = rng.integers(0, n_clusters, n_rows), rng.integers(-1, 3, n_rows)
    columns = rng.normal(size=(n_rows, 2))
    found = group_sums(weights, cluster, group, columns, 4)
    assert found.shape == (4, 2, n_resamples)
    for b in (0, n_resamples - 1):
        row = np.repeat(np.arange(n_rows), weights[cluster, b])
        expected = [columns[row][group[row] == g].sum(axis=0) for g in range(4)]
        np.testing.assert_allclose(found[:, :, b], expected, rtol=1e-12, atol=1e-12)
