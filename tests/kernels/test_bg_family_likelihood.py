"""The BG family's likelihood: 40 digits, published fits, and its two forms against each other."""

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln, gammaln

import published
from kernels import bg_family_truth as truth
from predclv.kernels import bg_family
from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives
from predclv.kernels.collapse import collapse

MEMBERS = {"BG/NBD": (1, False), "MBG/NBD": (1, True), "BG/CNBD-3": (3, False), "MBG/CNBD-2": (2, True)}
members = pytest.mark.parametrize(("k", "first"), MEMBERS.values(), ids=MEMBERS)

HISTORIES = [
    (0, 0, 0),
    (0, 0, 39),
    (0, 0, 3650),
    (1, 30, 30),
    (1, 0.5, 3650),
    (2, 39, 39),
    (5, 10, 730),
    (30, 700, 730),
    (300, 3650, 3650),
    (3000, 1200, 3650),
]
THETAS = [
    (0.2426, 4.4137, 0.7929, 2.4259),
    (0.01, 1e-3, 1e-3, 1e-3),
    (30.0, 500.0, 20.0, 20.0),
    (0.5, 1000.0, 1.0, 0.05),
    (1e-6, 7.0, 2e4, 1e5),
]


def cdnow() -> tuple[np.ndarray, ...]:
    """The 2,357 customers in weeks; the file rounds them to hundredths, which whole days undo."""
    # Importing lifetimes warns on pandas 3; its file needs no import.
    (folder,) = find_spec("lifetimes").submodule_search_locations
    table = pd.read_csv(Path(folder) / "datasets" / "cdnow_customers_summary.csv")
    weeks = (np.round(table[column].to_numpy() * 7) / 7 for column in ("recency", "T"))
    return table["frequency"].to_numpy(float), *weeks


def grocery(shared_data) -> tuple[np.ndarray, ...]:
    """Histories in weeks to 2006-12-31, and the sum of the log times between purchases."""
    log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"]).drop_duplicates()
    log = log[log["date"] <= "2006-12-31"].sort_values(["cust", "date"])
    log["gap"] = log.groupby("cust")["date"].diff().dt.days / 7
    dates, gaps = log.groupby("cust")["date"], np.log(log["gap"]).groupby(log["cust"]).sum()
    first = dates.min()
    days = dates.max() - first, pd.Timestamp("2006-12-31") - first
    return (dates.count() - 1).to_numpy(float), *(d.dt.days.to_numpy() / 7 for d in days), gaps.to_numpy()


@members
@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_value_and_derivatives_hold_to_40_digits(theta: tuple[float, ...], k: int, first: bool) -> None:
    for x, t_x, T in HISTORIES:
        value, gradient, hessian = log_likelihood_derivatives([x], [t_x], [T], [1.0], theta, k, first)
        assert value == pytest.approx(float(truth.log_likelihood(x, t_x, T, *theta, k, first)), rel=1e-9, abs=1e-9)
        # Derivatives in log theta, so that one tolerance suits them all.
        true_gradient, true_hessian = truth.derivatives(x, t_x, T, theta, k, first)
        np.testing.assert_allclose(gradient * theta, np.multiply(true_gradient, theta), rtol=1e-9, atol=1e-9)
        scale = np.outer(theta, theta)
        np.testing.assert_allclose(hessian * scale, true_hessian * scale, rtol=1e-9, atol=1e-9)


@members
def test_both_forms_agree(k: int, first: bool) -> None:
    x, t_x, T = cdnow()
    rows = collapse(x, t_x, T)
    for theta in THETAS[:3]:
        literal = bg_family.log_likelihood(x, t_x, T, *theta, k=k, dropout_at_first=first)
        constants = -x * gammaln(k)
        by_customer, *_ = log_likelihood_derivatives(x, t_x, T, np.ones_like(x), theta, k, first)
        collapsed, *_ = log_likelihood_derivatives(*rows[:4], theta, k, first)
        assert by_customer == pytest.approx(np.sum(literal - constants), rel=1e-12)
        assert collapsed == pytest.approx(by_customer, rel=1e-13)


def test_literal_form_takes_draws_and_times_between_purchases() -> None:
    x, t_x, T = cdnow()
    r, alpha, a, b = np.array(THETAS[:3]).T[:, :, None]
    table = bg_family.log_likelihood(x, t_x, T, r, alpha, a, b, k=2, sum_log_itt=0.3 * x)
    for row, theta in zip(table, THETAS, strict=False):
        one = bg_family.log_likelihood(x, t_x, T, *theta, k=2)
        np.testing.assert_allclose(row, one + 0.3 * x, rtol=1e-13)


def test_mbg_is_the_form_of_its_paper() -> None:
    x, t_x, T = cdnow()
    r, alpha, a, b = THETAS[0]
    # Batislam, Denizel & Filiztekin (2007).
    rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    alive = betaln(a, b + x + 1) - betaln(a, b) - (r + x) * np.log(alpha + T)
    left = betaln(a + 1, b + x) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    paper = rate + np.logaddexp(alive, left)
    np.testing.assert_allclose(
        bg_family.log_likelihood(x, t_x, T, r, alpha, a, b, dropout_at_first=True), paper, rtol=1e-13
    )


@pytest.mark.parametrize("name", published.BG_FAMILY_FITS)
def test_published_fits(name: str, shared_data) -> None:
    fit = published.BG_FAMILY_FITS[name]
    x, t_x, T, *itt = cdnow() if fit.data == "cdnow" else grocery(shared_data)
    constants = (fit.k - 1) * np.sum(itt) - np.sum(x) * gammaln(fit.k)
    value, gradient, hessian = log_likelihood_derivatives(
        *(x, t_x, T), np.ones_like(x), fit.estimates, fit.k, fit.dropout_at_first
    )
    if fit.source != "tight":
        assert value == pytest.approx(fit.log_likelihood, abs=0.05)
        return
    assert value + constants == pytest.approx(fit.log_likelihood, abs=1e-8)
    # What is left of a Newton step.
    np.testing.assert_allclose(np.linalg.solve(hessian, gradient), 0, atol=1e-6)
    assert np.linalg.eigvalsh(hessian).max() < 0


def test_rows_in_any_order() -> None:
    x, t_x, T = cdnow()
    shuffled = np.random.default_rng(0).permutation(len(x))
    ours = log_likelihood_derivatives(x, t_x, T, np.ones_like(x), THETAS[3])
    other = log_likelihood_derivatives(x[shuffled], t_x[shuffled], T[shuffled], np.ones_like(x), THETAS[3])
    for left, right in zip(ours, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-11)


@pytest.mark.slow
@members
def test_derivatives_on_a_large_grid(k: int, first: bool) -> None:
    levels = (1e-3, 1.0, 20.0), (1e-3, 3.0), (1e-3, 30.0), (1e-3, 7.0, 1e5)
    for corner in product(range(3), range(2), range(2), range(3)):
        # A third of the grid, in which any two parameters take all their combinations.
        if sum(corner) % 3 == 0:
            a, b, r, alpha = (values[i] for values, i in zip(levels, corner, strict=True))
            test_value_and_derivatives_hold_to_40_digits((r, alpha, a, b), k, first)
