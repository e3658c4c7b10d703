"""Quantiles over draws, selected one customer at a time, are those of the whole table of draws by customers."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.forecast.customers import _rank
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.kernels.mean_quantiles import expected_value_quantiles


@pytest.mark.parametrize("n_draws", [1, 2, 7, 256])
@pytest.mark.parametrize("now", [0.0, 1.0])
def test_as_numpys_quantiles_of_the_whole_table(n_draws, now):
    rng = np.random.default_rng(n_draws)
    # Ties and reversed order among the draws, and a q so low that some means are infinite.
    purchases = np.round(rng.gamma(2.0, size=(n_draws, 5)), 1)
    purchases[:, 0] = np.sort(purchases[:, 0])[::-1]
    theta = np.column_stack([rng.gamma(30, 0.2, n_draws), rng.uniform(0.9, 6.0, n_draws), rng.gamma(30, 0.5, n_draws)])
    run = rng.integers(0, 5, 40)
    x, m = rng.integers(0, 4, 40).astype(float), rng.gamma(5.0, 6.0, 40)
    m[x == 0] = 0.0
    whole = expected_spend(x, m, theta) * (purchases[:, run] + now)
    levels = [0.0, 0.05, 0.3, 0.5, 0.95, 1.0]
    ranks = np.array([_rank(level, n_draws) for level in levels])
    found = expected_value_quantiles(purchases, run, x, m, theta, now, ranks)
    unknown = np.isnan(whole).any(axis=0)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), unknown)
    with np.errstate(invalid="ignore"):
        expected = np.quantile(whole, levels, axis=0, method="inverted_cdf").T
    np.testing.assert_array_equal(found[~unknown], expected[~unknown])
