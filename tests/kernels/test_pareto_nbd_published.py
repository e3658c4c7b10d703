"""Pareto/NBD forecasts against figures of independent software and of the literature, from CDNOW's data."""

import numpy as np
import pytest

from predclv.kernels import gamma_gamma_compiled
from predclv.kernels import pareto_nbd_forecast as kernel

THETA = (0.5532770870, 10.5776836914, 0.6062393676, 11.6687155634)

# CDNOW, 39 weeks ahead, by CLVTools 0.12.1 at its early-stopped estimates: P(alive), purchases, and purchases over an
# infinite horizon, discounted at 15 % a year of 52 weeks, by customer; and sums over all 2,357.
CUSTOMERS = {
    1: (0.869165490131, 1.455320778044, 6.502228412696),
    3: (0.295157618367, 0.107090424175, 0.478469358306),
    1516: (0.997873935518, 20.115889031685, 86.280661342832),
}
SUMS = (1051.971, 1665.688, 7207.835)
CLV, CLV_SUM = {1: 160.306141964, 3: 16.828006202, 1516: 3441.760190}, 261_614.78
WEEKLY = np.log(1.15) / 52
# Those estimates, from the nine figures of the three customers: four numbers that reproduce all of them to 1e-12.
STOPPED_EARLY = (0.5532700103543376, 10.577800684041902, 0.6060199977521803, 11.663914533518081)
# Fader & Hardie (2013), polished: p, q, gamma.
SPEND = (6.249572288, 3.744224667, 15.443520918)


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
    mean_spend = gamma_gamma_compiled.expected_spend(cdnow_rows[0], spend, np.array([SPEND]))[0]
    value = three_forecasts(cdnow_rows, STOPPED_EARLY)[2] * mean_spend
    for customer, number in CLV.items():
        assert value[cdnow.customer_id == customer][0] == pytest.approx(number, rel=1e-4)
    assert value.sum() == pytest.approx(CLV_SUM, rel=1e-4)


def test_published_holdout(cdnow_split, cdnow_rows) -> None:
    expected = kernel.expected_purchases(*cdnow_rows, 39.0, THETA)[0]
    actual = cdnow_split.holdout["purchases"].to_numpy()
    assert actual.sum() == 1882
    assert np.sqrt(np.mean((expected - actual) ** 2)) == pytest.approx(1.603, abs=5e-4)
    assert np.mean((np.log1p(expected) - np.log1p(actual)) ** 2) == pytest.approx(0.238, abs=5e-4)
    assert expected.sum() / actual.sum() - 1 == pytest.approx(-0.115, abs=5e-4)
    assert np.corrcoef(expected, actual)[0, 1] == pytest.approx(0.630, abs=5e-4)
    # The published mean absolute errors were divided by one customer less, as that of predicting zero shows.
    assert np.abs(expected - actual).sum() / (len(actual) - 1) == pytest.approx(0.755, abs=5e-4)
