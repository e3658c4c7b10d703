"""Mixture, tables and inversion of the value distribution, against direct evaluation."""

import numpy as np
import pytest
from scipy.special import betainc
from scipy.stats import nbinom

from predclv.kernels.bg_family.compiled import discounted_expected_purchases, stage_purchase_pmf
from predclv.kernels.discounting import continuous_rate, discount_moments
from predclv.kernels.value_distribution import components, count_blocks, fill_tables
from predclv.kernels.value_quantiles import solve_quantiles

CDNOW = np.array([0.2426, 4.4136, 0.7929, 2.4259])
WEEKLY = continuous_rate(0.10, "week")
LEVELS = np.array([0.05, 0.3, 0.5, 0.9, 0.95, 0.995])


def undiscounted(n_blocks):
    return np.ones((4, 1, n_blocks))


def exceedance(u, weight, shape, scale, Q):
    u = np.asarray(u)[:, np.newaxis] / scale
    return weight.sum() - betainc(shape, Q, u / (1 + u)) @ weight


def test_undiscounted_counts_stand_as_they_are():
    pmf = np.array([0.4, 0.3, 0.2, 0.1])
    weight, shape, scale = components(pmf, count_blocks(3, 4.0), undiscounted(3), 6.25, False)
    np.testing.assert_array_equal(weight[:2], pmf[1:3])
    np.testing.assert_allclose(shape, 6.25 * np.arange(1, 4), rtol=1e-12)
    np.testing.assert_allclose(scale, 1.0, rtol=1e-12)
    weight, shape, _ = components(pmf, count_blocks(3, 4.0), undiscounted(3), 6.25, True)
    np.testing.assert_allclose(weight, pmf, rtol=1e-12)
    np.testing.assert_allclose(shape, 6.25 * np.arange(1, 5), rtol=1e-12)


@pytest.mark.parametrize("first_purchase", [False, True])
def test_blocks_keep_mean_and_variance(first_purchase):
    pmf = nbinom.pmf(np.arange(3000), 0.8, 0.004)
    sums = []
    for Q in (np.inf, 4.0):
        blocks = count_blocks(pmf.size - 1, Q)
        weight, shape, scale = components(pmf, blocks, undiscounted(blocks.size - 1), 3.0, first_purchase)
        sums.append((weight.sum(), weight @ (shape * scale), weight @ (shape * (shape + 1) * scale**2), weight.size))
    # Where the tail is cut, between 1e-5 and nothing, depends on the blocks.
    np.testing.assert_allclose(sums[1][:3], sums[0][:3], rtol=2e-4)
    assert sums[1][3] < 150 < sums[0][3]


@pytest.mark.parametrize("horizon", [52.0, 522.0, 3780.0])
@pytest.mark.parametrize(("x", "t_x", "T"), [(0, 0.0, 39.0), (3, 20.0, 30.0), (30, 39.0, 39.0)])
def test_mean_is_discounted_expected_purchases(x, t_x, T, horizon):
    """E Y / p is the discounted expected purchases of who is alive: two independent routes to one number."""
    rows = np.array([float(x)]), np.array([t_x]), np.array([T])
    pmf = stage_purchase_pmf(rows[0], rows[2], horizon, CDNOW, 30_000)
    assert 1 - pmf.sum() < 1e-9
    blocks = count_blocks(pmf.shape[1] - 1, 4.0)
    middles = 0.5 * (blocks[:-1] + blocks[1:] - 1)
    moments = np.stack(discount_moments(rows[0], rows[2], horizon, WEEKLY, CDNOW, middles))[:, 0]
    weight, shape, scale = components(pmf[0], blocks, moments, 2.0, False)
    # P(alive) of an alive customer is 1: t_x = T with no purchase yet makes it so in the kernel too.
    theta = CDNOW[np.newaxis]
    alive = 1.0
    if x:
        r, alpha, a, b = CDNOW
        alive = 1 / (1 + a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x))
    expected = discounted_expected_purchases(*rows, horizon, WEEKLY, theta, 1, False)[0, 0] / alive
    # A block's discount is that of its middle; the far tail is lumped.
    assert weight @ (shape * scale) / 2.0 == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize("Q", [0.8, 2.1, 3.74, 190.0])
@pytest.mark.parametrize("p", [0.6, 6.25, 150.0])
def test_tables_against_direct_evaluation(p, Q):
    pmf = nbinom.pmf(np.arange(200), 1.3, 0.08)
    blocks = count_blocks(pmf.size - 1, Q)
    moments = np.ones((4, 1, 1, blocks.size - 1))
    step = min(0.4 / np.sqrt(Q), 0.4)
    table = np.empty((1, 512, 2))
    assert fill_tables(pmf[np.newaxis], blocks, moments, p, Q, False, step, table) <= table.shape[1]
    weight, shape, scale = components(pmf, blocks, moments[:, 0], p, False)
    sinh = np.sinh(0.5 * step * np.arange(table.shape[1]))
    assert table[0, 0, 0] == pytest.approx(1 - pmf[0])
    error = table[0, :, 0] - exceedance(sinh**2, weight, shape, scale, Q)
    assert np.abs(error).max() < 3e-5
    slope = -np.gradient(table[0, :, 0], step)[5:]
    np.testing.assert_allclose(table[0, 5:, 1], slope, atol=0.03 * slope.max())


def test_quantiles_invert_the_distribution_averaged_over_draws():
    rng = np.random.default_rng(4)
    pmf = nbinom.pmf(np.arange(200), 1.3, 0.08)
    blocks = count_blocks(pmf.size - 1, 4.0)
    moments = np.ones((4, 1, 1, blocks.size - 1))
    draws = [(6.0, 3.5), (6.5, 4.0), (5.5, 3.8)]
    tables = np.empty((1, 3, 1024, 2))
    for d, (p, Q) in enumerate(draws):
        fill_tables(pmf[np.newaxis], blocks, moments, p, Q, False, 0.2, tables[:, d])
    n = 50
    alive, scale = rng.random((n, 3)), 15 * np.exp(rng.standard_normal((n, 1)) + 0.1 * rng.standard_normal((n, 3)))
    quantiles = solve_quantiles(
        tables, np.array([tables.shape[2]]), np.zeros(n, np.int64), np.ones((n, 1)), alive, scale, 0.2, LEVELS
    )
    for i in range(n):
        exceed = 0.0
        at_zero = 0.0
        for d, (p, Q) in enumerate(draws):
            parts = components(pmf, blocks, moments[:, 0], p, False)
            exceed = exceed + alive[i, d] * exceedance(quantiles[i] / scale[i, d], *parts, Q) / 3
            at_zero += alive[i, d] * (1 - pmf[0]) / 3
        np.testing.assert_array_equal(quantiles[i] > 0, 1 - at_zero < LEVELS)
        np.testing.assert_allclose(exceed[quantiles[i] > 0], 1 - LEVELS[quantiles[i] > 0], atol=2e-5)
