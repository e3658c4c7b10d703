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
    with pytest.raises(NotImplementedError, match="Got k = 2"):
        bindings.simulate_totals(
            *ROW, basket, np.ones(1), np.zeros(1, dtype=np.int64), 1, 52.0, 0.0, THETA, SPEND, 0, False
        )
    assert BGFamily(k=1).forgets_recency
