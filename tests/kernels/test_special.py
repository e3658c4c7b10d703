"""Special functions against mpmath."""

import mpmath as mp
import numpy as np
import pytest

from predclv.kernels import special


@pytest.mark.parametrize("a", [1e-2, 0.7, 5.0, 300.0, 2e4])
@pytest.mark.parametrize("b", [1e-2, 0.24, 8.0, 3000.0])
def test_incomplete_beta_fraction(a: float, b: float) -> None:
    for share in (1e-6, 0.1, 0.5, 0.95):
        z = share * (a + 1) / (a + b + 2)
        with mp.workdps(60):
            lead = mp.mpf(z) ** a * (1 - mp.mpf(z)) ** b / (a * mp.beta(a, b))
            truth = float(mp.betainc(a, b, 0, z, regularized=True) / lead)
        assert special.incomplete_beta_fraction(a, b, z) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("y", [0.0, 1e-12, 1e-4, 0.1, 0.2999999, 0.3, 1.0, 30.0, 2000.0])
def test_log_sinhc(y: float) -> None:
    truth = float(mp.log(mp.sinh(y) / y)) if y else 0.0
    assert special.log_sinhc(y) == pytest.approx(truth, rel=1e-13)


def test_legendre_nodes_integrate_and_interpolate() -> None:
    nodes, weights, to_chebyshev = special.LEGENDRE_NODES, special.LEGENDRE_WEIGHTS, special.LEGENDRE_TO_CHEBYSHEV
    assert weights @ np.exp(-nodes) == pytest.approx(-np.expm1(-1.0), rel=1e-15)
    found = np.polynomial.chebyshev.chebval(2 * 0.3141 - 1, to_chebyshev @ np.exp(nodes))
    assert found == pytest.approx(np.exp(0.3141), rel=1e-15)
