"""Discounts of regular buyers' purchases: against 20-digit sums, simulated events, and the exact expectation."""

import mpmath as mp
import numpy as np
import pytest

from predclv.kernels.bg_family.compiled import discounted_expected_purchases, p_alive_by_stage, stage_purchase_pmf
from predclv.kernels.bg_family.discounts import stage_discount_moments
from predclv.kernels.discounting import continuous_rate, discount_moments
from predclv.kernels.value_distribution import components, count_blocks

THETA = np.array([0.3591, 1.1294, 0.5228, 2.7855])
WEEKLY = continuous_rate(0.10, "week")

CASES = [
    # k, stage, x, T, horizon, delta, counts
    (2, 0, 0, 39.0, 52.0, WEEKLY, (2, 4)),
    (2, 1, 2, 30.0, 3652.5 / 7, WEEKLY, (1, 6)),
    (3, 2, 7, 39.0, 3780.0, WEEKLY, (1, 5)),
    (4, 1, 1, 3.0, 1.0, 0.05, (1, 2)),
    (2, 0, 3, 30.0, 260.0, 0.1, (1, 5)),
]


def moments_at(k, stage, x, T, horizon, delta, counts, first=False):
    """(4, n_parts, n_counts) of one row."""
    counts = np.array(counts, dtype=float)
    return np.stack(
        stage_discount_moments(np.array([float(x)]), np.array([T]), horizon, delta, THETA, counts, k, stage, first)
    )[:, 0]


def true_means(k, stage, x, T, horizon, delta, i):
    """E[sum e / i] and E[sum e^2 / i]: order statistics of uniforms, by confluent hypergeometric functions."""
    r, alpha, a, b = map(mp.mpf, THETA)
    m, rate, b, n, t = r + k * x + stage, alpha + mp.mpf(T), b + x, k * i - stage, mp.mpf(horizon)
    z = t / (rate + t)
    negative_binomial = [
        mp.rf(m, n + more) / mp.factorial(n + more) * z ** (n + more) * (1 - z) ** m for more in range(k)
    ]

    def density(y):
        return mp.exp((n - 1) * mp.log(-mp.expm1(-y)) - m * y) / mp.beta(n, m)

    end = mp.log1p(t / rate)
    points = [end * j / 12 for j in range(13)]
    result = []
    for speed in (delta, 2 * delta):
        left = mp.quad(
            lambda y, speed=speed: (
                density(y) * sum(mp.hyp1f1(k * l - stage, n, -speed * rate * mp.expm1(y)) for l in range(1, i + 1))
            ),
            points,
        )
        stayed = sum(
            probability * sum(mp.hyp1f1(k * l - stage, n + more + 1, -speed * t) for l in range(1, i + 1))
            for more, probability in enumerate(negative_binomial)
        )
        result.append(((b + i - 1) * stayed + a * left) / i)
    total = (b + i - 1) * sum(negative_binomial) + a * mp.quad(density, points)
    return [float(value / total) for value in result]


@pytest.mark.parametrize("case", CASES, ids=[f"k={case[0]}, x={case[2]}, t={case[4]:.0f}" for case in CASES])
def test_means_against_truth(case):
    with mp.workdps(20):
        expected = [true_means(*case[:6], i) for i in case[6]]
    moments = moments_at(*case)
    np.testing.assert_allclose(moments[0].sum(axis=0), 1.0, rtol=1e-12)
    computed = (moments[0] * moments[1:3]).sum(axis=1).T
    np.testing.assert_allclose(computed, expected, rtol=1e-9)


@pytest.mark.parametrize("dropout_at_first", [False, True])
@pytest.mark.parametrize("horizon", [52.0, 522.0, 3780.0])
@pytest.mark.parametrize(("k", "stage"), [(2, 1), (3, 0)])
def test_moments_against_simulation(k, stage, horizon, dropout_at_first):
    """Count, then times: every moment and share within five standard errors."""
    rng = np.random.default_rng(3)
    n, x, T, i = 400_000, 2.0, 30.0, 3
    r, alpha, a, b = THETA
    rate = rng.gamma(r + k * x + stage, size=n) / (alpha + T)
    dropout = rng.geometric(rng.beta(a, b + x + dropout_at_first, size=n))
    gaps = rng.gamma([k - stage, *[k] * i], size=(n, i + 1))
    times = np.cumsum(gaps / rate[:, None], axis=1)
    stayed = (times[:, i - 1] < horizon) & (times[:, i] > horizon) & (dropout > i)
    left = (times[:, i - 1] < horizon) & (dropout == i)
    computed = moments_at(k, stage, x, T, horizon, WEEKLY, (i,), dropout_at_first)[:, :, 0]
    factors = np.exp(-WEEKLY * times[:, :i])
    part = np.where(stayed, 0, 1 + np.digitize(WEEKLY * times[:, i - 1], [0.7, 1.75]))
    used = stayed | left
    for j in range(computed.shape[1]):
        here = used & (part == j)
        share = here.sum() / used.sum()
        exact = computed[0, j]
        assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / used.sum()) + 5 / used.sum()
        if here.sum() < 200:
            continue
        sample = factors[here]
        for statistic, expected in (
            (sample.mean(axis=1), computed[1, j]),
            ((sample**2).mean(axis=1), computed[2, j]),
            (sample.mean(axis=1) ** 2, computed[3, j]),
        ):
            assert abs(statistic.mean() - expected) < 5 * statistic.std() / np.sqrt(here.sum())


def test_one_event_to_a_purchase_is_the_closed_form():
    rows = np.array([0.0, 3.0, 40.0]), np.array([39.0, 20.0, 39.0])
    for horizon in (10.0, 522.0, 3780.0):
        counts = np.array([0.0, 1.0, 2.0, 7.0, 60.0])
        general = stage_discount_moments(*rows, horizon, WEEKLY, THETA, counts, 1, 0)
        closed = discount_moments(*rows, horizon, WEEKLY, THETA, counts)
        for ours, theirs in zip(general, closed, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("horizon", [52.0, 522.0, 3780.0])
@pytest.mark.parametrize(("x", "t_x", "T"), [(0, 0.0, 39.0), (3, 20.0, 30.0), (30, 39.0, 39.0)])
@pytest.mark.parametrize("k", [2, 3])
def test_mean_is_discounted_expected_purchases(k, x, t_x, T, horizon):
    """E Y / p over the stages is the discounted expected purchases: two independent routes to one number."""
    row = np.array([float(x)]), np.array([t_x]), np.array([T])
    mean = 0.0
    for stage, probability in enumerate(p_alive_by_stage(*row, THETA, k)[:, 0, 0]):
        pmf = stage_purchase_pmf(row[0], row[2], horizon, THETA, 20_000, k, False, stage)
        blocks = count_blocks(pmf.shape[1] - 1, 4.0)
        moments = moments_at(k, stage, x, T, horizon, WEEKLY, 0.5 * (blocks[:-1] + blocks[1:] - 1))
        weight, shape, scale = components(pmf[0], blocks, moments, 2.0, False)
        mean += probability * (weight @ (shape * scale)) / 2.0
    expected = discounted_expected_purchases(*row, horizon, WEEKLY, THETA, k)[0, 0]
    # A block's discount is that of its middle; the far tail is lumped.
    assert mean == pytest.approx(expected, rel=5e-4)


def test_regular_purchases_vary_less_in_discount():
    """The more regular the purchases of one count, the less the mean discount varies; its mean is nearly the same."""
    spreads, means = [], []
    for k in (1, 2, 8):
        share, mean, _, square_mean = moments_at(k, 0, 3, 30.0, 522.0, WEEKLY, (10,))[:, 0, 0]
        assert share > 0
        spreads.append(square_mean - mean**2)
        means.append(mean)
    assert spreads[0] > spreads[1] > spreads[2] > 0
    np.testing.assert_allclose(means, means[0], rtol=0.05)
