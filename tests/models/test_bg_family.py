"""The family's bindings refuse what their kernels do not hold, instead of answering wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.forecast.lifetime_value import value_quantiles
from predclv.models.bg_family import BGFamily

THETA, SPEND = np.array([[0.5, 2.0, 0.3, 0.6]]), np.array([[6.0, 4.0, 15.0]])
ROW = np.array([2.0]), np.array([10.0]), np.array([30.0])


def test_value_of_regular_buyers_is_refused():
    bindings = BGFamily(k=2)
    basket = np.array([20.0])
    with pytest.raises(NotImplementedError, match="needs t_x"):
        value_quantiles(bindings, THETA, SPEND, *ROW, basket, 52.0, 0.0, [0.5])
    with pytest.raises(NotImplementedError, match="Got k = 2"):
        bindings.discount_moments(*ROW, 52.0, 0.002, THETA[0], np.arange(3.0))
    assert BGFamily(k=1).forgets_recency


def test_values_at_many_thetas_are_those_with_derivatives():
    rows = (
        np.array([0.0, 2.0, 5.0]),
        np.array([0.0, 10.0, 8.0]),
        np.array([30.0, 30.0, 12.0]),
        np.array([3.0, 1.0, 2.0]),
    )
    thetas = np.vstack([THETA, 2 * THETA])
    for bindings in (BGFamily(k=1), BGFamily(k=3), BGFamily(k=2, dropout_at_first=True)):
        evaluate = bindings.log_likelihood(*rows)
        values = bindings.log_likelihood_values(*rows)(thetas)
        np.testing.assert_allclose(values, [evaluate(theta)[0] for theta in thetas], rtol=1e-12)
