"""Pareto/NBD forecasts against figures of independent software and of the literature, from CDNOW's data."""

import numpy as np
import pytest

import published
from predclv.kernels.gamma_gamma import compiled as gamma_gamma_compiled
from predclv.kernels.pareto_nbd import forecast as kernel

THETA = published.FITS["cdnow", "pareto_nbd"].estimates
CUSTOMERS, SUMS = published.CDNOW_PARETO_NBD_CUSTOMERS, published.CDNOW_PARETO_NBD_TOTALS
STOPPED_EARLY = published.CDNOW_PARETO_NBD_STOPPED_EARLY
WEEKLY = np.log(1.15) / 52


@pytest.fixture(scope="module")
def cdnow_rows(cdnow) -> tuple[np.ndarray, ...]:
    return cdnow.frequency.astype(float), cdnow.recency, cdnow.T


def three_forecasts(rows: tuple[np.ndarray, ...], theta: tuple[float, ...]) -> np.ndarray:
    return np.array(
        [
            kernel.p_alive(*rows, theta)[0],
            kernel.expected_purchases(*rows, 39.0, theta)[0],
            kernel.discounted_expected_purchases(*rows, np.inf, WEEKLY, theta)[0],
        ]
    )


def test_published_customers_and_sums(cdnow, cdnow_rows) -> None:
    found = three_forecasts(cdnow_rows, STOPPED_EARLY)
    for customer, numbers in CUSTOMERS.items():
        np.testing.assert_allclose(found[:, cdnow.customer_id == customer][:, 0], numbers, rtol=1e-11)
    np.testing.assert_allclose(found.sum(axis=1), SUMS, atol=6e-4)
    # At the maximum itself; a peer that stops early is off in the fourth digit, and discounted sums more than others.
    found = three_forecasts(cdnow_rows, THETA)
    for customer, numbers in CUSTOMERS.items():
        np.testing.assert_allclose(found[:, cdnow.customer_id == customer][:2, 0], numbers[:2], rtol=2e-4)
    np.testing.assert_allclose(found.sum(axis=1), SUMS, rtol=4e-4)


def test_published_value(cdnow, cdnow_rows) -> None:
    spend = np.where(cdnow.frequency > 0, cdnow.monetary_value, 0.0)
    mean_spend = gamma_gamma_compiled.expected_spend(cdnow_rows[0], spend, np.array([published.CDNOW_SPEND]))[0]
    value = three_forecasts(cdnow_rows, STOPPED_EARLY)[2] * mean_spend
    for customer, number in published.CDNOW_CLV.items():
        assert value[cdnow.customer_id == customer][0] == pytest.approx(number, rel=1e-4)
    assert value.sum() == pytest.approx(published.CDNOW_CLV_TOTAL, rel=1e-4)


def test_published_holdout(cdnow_split, cdnow_rows) -> None:
    expected = kernel.expected_purchases(*cdnow_rows, 39.0, THETA)[0]
    actual = cdnow_split.holdout["purchases"].to_numpy()
    assert actual.sum() == 1882
    printed = published.BACKTESTS["cdnow", "pareto_nbd"]
    assert np.sqrt(np.mean((expected - actual) ** 2)) == pytest.approx(printed.rmse, abs=5e-4)
    assert np.mean((np.log1p(expected) - np.log1p(actual)) ** 2) == pytest.approx(printed.msle, abs=5e-4)
    assert expected.sum() / actual.sum() - 1 == pytest.approx(printed.bias, abs=5e-4)
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(printed.pearson, abs=5e-4)
    # The published mean absolute errors were divided by one customer less, as that of predicting zero shows.
    assert np.abs(expected - actual).sum() / (len(actual) - 1) == pytest.approx(printed.mae, abs=5e-4)
