"""Gamma-Gamma kernels against the published fit, 40-digit truth and each other."""

from importlib import resources

import mpmath
import numpy as np
import pandas as pd
import pytest

from predclv.kernels import gamma_gamma
from predclv.kernels.gamma_gamma import compiled as gamma_gamma_compiled

# CDNOW sample, 946 repeat buyers: Fader & Hardie (2013) print 6.25, 3.74, 15.44; polished by Newton to more digits.
CDNOW = np.array([6.249572288, 3.744224667, 15.443520918])
CDNOW_LOG_LIKELIHOOD = -4055.9176948019

THETAS = [
    (6.25, 3.74, 15.44),
    (0.05, 1.001, 1e-3),
    (0.7, 0.3, 40.0),
    (150.0, 2.0, 1e4),
    (2.0, 60.0, 900.0),
]
HISTORIES = [(x, m) for x in (1, 2, 7, 150, 3000) for m in (0.01, 1.0, 34.7, 5e4)]


@pytest.fixture(scope="module")
def cdnow():
    """Repeat purchases and mean repeat spend to 1997-09-30, purchases merged by day, from the raw sample log.

    The summary that also ships has means rounded to cents, which moves the log-likelihood by 0.006.
    """
    pytest.importorskip("lifetimes", reason="CDNOW ships with lifetimes")
    file = resources.files("lifetimes") / "datasets" / "CDNOW_sample.txt"
    columns = ["master_id", "id", "date", "quantity", "amount"]
    with resources.as_file(file) as path:
        log = pd.read_csv(path, sep=r"\s+", header=None, names=columns)
    days = log[log["date"] <= 19970930].groupby(["id", "date"], as_index=False)["amount"].sum()
    repeats = days[days["date"] > days.groupby("id")["date"].transform("min")]
    spend = repeats.groupby("id")["amount"].agg(["count", "mean"])
    spend = spend[spend["mean"] > 0]
    return spend["count"].to_numpy(np.float64), spend["mean"].to_numpy(np.float64)


def truth(x, m, p, q, gamma):
    """Fader & Hardie (2013), eq. (1a), as printed, in mpmath."""
    x, m = mpmath.mpf(x), mpmath.mpf(m)
    return (
        mpmath.loggamma(p * x + q)
        - mpmath.loggamma(p * x)
        - mpmath.loggamma(q)
        + q * mpmath.log(gamma)
        + (p * x - 1) * mpmath.log(m)
        + p * x * mpmath.log(x)
        - (p * x + q) * mpmath.log(gamma + x * m)
    )


def test_published_fit(cdnow):
    x, m = cdnow
    assert x.size == 946
    literal = gamma_gamma.log_likelihood(x, m, *CDNOW).sum()
    value, gradient, hessian = gamma_gamma_compiled.log_likelihood_derivatives(x, m, np.ones_like(x), CDNOW)
    assert literal == pytest.approx(CDNOW_LOG_LIKELIHOOD, abs=1e-8)
    assert value == pytest.approx(CDNOW_LOG_LIKELIHOOD, abs=1e-8)
    assert np.all(np.linalg.eigvalsh(hessian) < 0)
    # The reference was polished to a gradient of 2e-5, so a further Newton step is small, not zero.
    np.testing.assert_allclose(np.linalg.solve(hessian, gradient), 0.0, atol=1e-6)


@pytest.mark.parametrize("theta", THETAS)
def test_log_likelihood_against_truth(theta):
    mpmath.mp.dps = 40
    x, m = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    expected = np.array([float(truth(*history, *map(mpmath.mpf, theta))) for history in HISTORIES])
    # An absolute error of a log density is a relative one of the density: hence the 1.
    np.testing.assert_allclose(gamma_gamma.log_likelihood(x, m, *theta), expected, rtol=1e-9, atol=1e-9)
    for i in range(x.size):
        row = slice(i, i + 1)
        value, _, _ = gamma_gamma_compiled.log_likelihood_derivatives(x[row], m[row], np.ones(1), np.array(theta))
        assert value == pytest.approx(expected[i], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("history", [(1, 0.01), (1, 34.7), (7, 5e4), (150, 1.0), (3000, 34.7)])
def test_derivatives_against_truth(theta, history):
    mpmath.mp.dps = 60
    _, gradient, hessian = gamma_gamma_compiled.log_likelihood_derivatives(
        np.array([history[0]], dtype=float), np.array([history[1]]), np.ones(1), np.array(theta)
    )

    def along(*parameters):
        return truth(*history, *parameters)

    point = tuple(map(mpmath.mpf, theta))
    orders = np.eye(3, dtype=int)
    expected_gradient = [float(mpmath.diff(along, point, tuple(map(int, o)))) for o in orders]
    expected_hessian = [[float(mpmath.diff(along, point, tuple(map(int, i + j)))) for j in orders] for i in orders]
    # Per unit of relative change: what is lost beside a larger entry does not move a Newton step on log parameters.
    scale = np.array(theta)
    np.testing.assert_allclose(gradient * scale, expected_gradient * scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        hessian * np.outer(scale, scale), expected_hessian * np.outer(scale, scale), rtol=1e-9, atol=1e-9
    )


def test_weights_stand_for_repeated_rows():
    rng = np.random.default_rng(1)
    x, m = rng.integers(1, 9, 40).astype(float), rng.uniform(1, 90, 40)
    weight = rng.integers(1, 5, 40)
    once = gamma_gamma_compiled.log_likelihood_derivatives(x, m, weight.astype(float), CDNOW)
    repeated = gamma_gamma_compiled.log_likelihood_derivatives(
        np.repeat(x, weight), np.repeat(m, weight), np.ones(weight.sum()), CDNOW
    )
    for one, other in zip(once, repeated, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_expected_spend():
    x, m = np.array([0.0, 1.0, 3000.0]), np.array([0.0, 20.0, 35.0])
    theta = np.array([CDNOW, [0.5, 0.4, 10.0]])
    compiled = gamma_gamma_compiled.expected_spend(x, m, theta)
    p, q, gamma = theta.T[:, :, None]
    np.testing.assert_allclose(compiled, gamma_gamma.expected_spend(x, m, p, q, gamma), rtol=1e-14)
    # CLVTools 0.12.1, CDNOW customer 3 (x = 0), at parameters stopped early: 1e-4.
    assert compiled[0, 0] == pytest.approx(35.170499237880, rel=1e-4)
    # p x + q <= 1: the mean does not exist.
    assert compiled[1, 0] == compiled[1, 1] == np.inf
    assert compiled[1, 2] == pytest.approx(0.5 * (10 + 3000 * 35) / (0.5 * 3000 + 0.4 - 1))
