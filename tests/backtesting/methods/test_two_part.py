import numpy as np
import pytest
from scipy import stats

from predclv.backtesting.methods.two_part import hurdle_counts, hurdle_values, scaled_hurdle


def gamma_mixed(mean, shape):
    """Probability of a purchase, and further ones given one, of a gamma-mixed Poisson."""
    p = 1 - (1 + mean / shape) ** -shape
    return p, mean / p - 1


@pytest.mark.parametrize("scale", [0.5, 2.0, 13.0])
def test_a_gamma_mixed_poisson_is_stretched_exactly(scale):
    mean, shape = np.array([0.01, 0.3, 2.0, 9.0]), np.array([0.05, 0.4, 2.0, 30.0])
    p, more = scaled_hurdle(*gamma_mixed(mean, shape), scale)
    expected_p, expected_more = gamma_mixed(scale * mean, shape)
    # The shape is found by bisection, to 40 / 2^50 of its log.
    np.testing.assert_allclose(p, expected_p, rtol=1e-9)
    np.testing.assert_allclose(more, expected_more, rtol=1e-8)


def test_a_window_of_the_horizons_length_stays_as_it_is():
    p, more = np.array([1e-6, 0.2, 0.7, 1.0]), np.array([0.0, 0.4, 3.0, 2.0])
    stretched, further = scaled_hurdle(p, more, 1.0)
    np.testing.assert_allclose(stretched, p, rtol=1e-9)
    np.testing.assert_allclose(further, more, atol=1e-8)


def test_where_no_mixture_has_so_many_buyers_windows_are_independent():
    p, more = scaled_hurdle(np.array([0.9, 0.3]), np.array([0.0, 0.0]), 3.0)
    np.testing.assert_allclose(p, 1 - np.array([0.1, 0.7]) ** 3, rtol=1e-12)
    np.testing.assert_allclose(p * (1 + more), [2.7, 0.9], rtol=1e-12)


def test_counts_by_hand():
    counts = hurdle_counts(np.array([0.3, 0.8, 0.3, 0.1]), np.array([0.5, 4.0, 0.5, 0.0]), 2.0)
    assert len(counts) == 4
    # The first and the third customer share a row.
    assert len(counts.start) - 1 == 3
    np.testing.assert_allclose(counts.p_positive(), [0.3, 0.8, 0.3, 0.1], rtol=1e-12)
    # Rows end where less than 1e-6 is left.
    np.testing.assert_allclose(counts.mean(), [0.45, 4.0, 0.45, 0.1], rtol=1e-4)
    _, at = counts.bounds(np.array([2.0, 3.0, 0.0, 1.0]))
    law = [1 - 0.3 + 0.3 * stats.nbinom.cdf(1, 2, 0.8), 1 - 0.8 + 0.8 * stats.nbinom.cdf(2, 2, 1 / 3), 0.7, 1.0]
    np.testing.assert_allclose(at, law, rtol=1e-12)


def test_values_by_hand():
    ratios = [np.sort(np.random.default_rng(1).gamma(2.0, 0.5, 5_001)), np.array([1.0])]
    values = hurdle_values(np.array([0.5, 1.0, 0.5]), np.array([10.0, 4.0, 10.0]), np.array([0, 1, 0]), ratios)
    np.testing.assert_allclose(values.p_positive(), [0.5, 1.0, 0.5], rtol=1e-12)
    assert len(values.nothing) == 2
    # Half of the level above nothing is the median of the ratios, which stands in the middle.
    found = values.at_levels([0.3, 0.75])
    np.testing.assert_allclose(found[0], [0.0, 10 * ratios[0][2_500]], rtol=1e-3)
    np.testing.assert_allclose(found[1], [4.0, 4.0], rtol=1e-12)
    np.testing.assert_allclose(values.mean()[0], 5 * ratios[0].mean(), rtol=0.005)
