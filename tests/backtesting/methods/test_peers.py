"""Other packages as methods: the same model must say the same, and what a package cannot do must be said."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import warnings

import numpy as np
import pytest

import predclv as pc
from predclv.backtesting.methods.clvkit import ClvkitMethod
from predclv.backtesting.methods.lifetimes import LifetimesMethod
from predclv.backtesting.methods.pymc_marketing import PymcMarketingMethod
from predclv.backtesting.predictions import as_forecast
from predclv.errors import FitError

MOST_LIKELY = [LifetimesMethod, ClvkitMethod]
ALL = [*MOST_LIKELY, PymcMarketingMethod]


def installed(method):
    """The method, or a skip where its package is absent."""
    package = method.PACKAGE.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs the package {package}, which is not installed here")
    return method


def forecast(method, case):
    rfm, log, horizon, _ = case
    return as_forecast(method.fit(rfm, log).predict(rfm, log, horizon), rfm)


def first_customers(case, n):
    """The first customers of a case; only summaries matter to other packages."""
    return case._replace(rfm=case.rfm[:n])


def heavy_buyer(rfm):
    return pc.RFMSummary(
        customer_id=np.array([1]),
        frequency=np.array([3000]),
        recency=np.array([39.0]),
        T=np.array([39.0]),
        monetary_value=np.array([20.0]),
        observation_end=rfm.observation_end,
    )


@pytest.mark.parametrize("case", ["cdnow_case", "grocery_case"])
@pytest.mark.parametrize("method", MOST_LIKELY)
def test_bg_nbd_of_others_is_ours(method, case, request):
    case = request.getfixturevalue(case)
    ours = pc.BGNBD().fit(case.rfm).predict(case.rfm, horizon=case.horizon)["expected_purchases"]
    found = forecast(installed(method)(), case)
    # Both stop their optimisers early: lifetimes at a tolerance of 1e-7 for a mean log-likelihood near 4, clvkit at
    # the default of L-BFGS-B. Either is within 2e-6 purchases of the optimum here; 1e-3 is what is promised.
    np.testing.assert_allclose(found.expected_purchases, ours, rtol=0, atol=1e-3)
    assert found.purchases is None
    assert found.p_purchase is None


@pytest.mark.parametrize("method", MOST_LIKELY)
def test_gamma_gamma_of_others_is_ours(method, cdnow_case, clv):
    ours = clv.predict(cdnow_case.rfm, horizon=39)["expected_spend"]
    found = forecast(installed(method)(), cdnow_case)
    # They stop early here too, within 6e-6.
    np.testing.assert_allclose(found.expected_spend, ours, rtol=1e-4)
    np.testing.assert_array_equal(found.expected_value, found.expected_purchases * found.expected_spend)


# Rows of the published backtests: MAE (times n / (n - 1) on CDNOW, as R divides there), RMSE, MSLE, bias in percent, r.
ROWS = {
    ("cdnow_case", "pareto_nbd"): (0.755, 1.603, 0.238, -11.5, 0.630),
    ("cdnow_case", "bg_nbd"): (0.786, 1.608, 0.234, -12.1, 0.626),
    ("cdnow_case", "mbg_nbd"): (0.765, 1.607, 0.231, -16.2, 0.627),
    ("grocery_case", "pareto_nbd"): (1.508, 3.194, 0.406, 17.8, 0.821),
    ("grocery_case", "bg_nbd"): (1.577, 3.150, 0.419, 17.9, 0.822),
    ("grocery_case", "mbg_nbd"): (1.513, 3.209, 0.410, 18.8, 0.820),
}


@pytest.mark.parametrize(("case", "model"), ROWS, ids=[" ".join(key) for key in ROWS])
def test_published_rows_of_lifetimes(case, model, request):
    row, fewer = ROWS[case, model], int(case == "cdnow_case")
    case = request.getfixturevalue(case)
    expected = forecast(installed(LifetimesMethod)(model), case).expected_purchases
    actual = case.purchases
    error = expected - actual
    found = (
        np.abs(error).sum() / (len(actual) - fewer),
        np.sqrt((error**2).mean()),
        ((np.log1p(expected) - np.log1p(actual)) ** 2).mean(),
        np.corrcoef(expected, actual)[0, 1],
    )
    assert np.round(found, 3).tolist() == [*row[:3], row[4]]
    assert round(100 * (expected.sum() / actual.sum() - 1), 1) == row[3]


@pytest.mark.parametrize("method", MOST_LIKELY)
def test_mbg_nbd_of_two_packages_agree(method, cdnow_case):
    found = forecast(installed(method)("mbg_nbd"), cdnow_case)
    # The sum over customers at the tight optimum, which both come near.
    assert found.expected_purchases.sum() == pytest.approx(1576.728, abs=0.01)


def test_pareto_nbd_of_lifetimes_starts_alike_whatever_the_global_seed(cdnow_case):
    method = installed(LifetimesMethod)
    np.random.seed(1)  # noqa: NPY002, the package draws from it
    first = forecast(method("pareto_nbd"), cdnow_case)
    np.random.seed(2)  # noqa: NPY002
    again = forecast(method("pareto_nbd"), cdnow_case)
    np.testing.assert_array_equal(first.expected_purchases, again.expected_purchases)
    assert first.expected_purchases.sum() == pytest.approx(1665.688, abs=0.5)
    # The probability of any is at most the mean number.
    assert (first.p_purchase <= first.expected_purchases).all()
    assert first.p_purchase.mean() == pytest.approx(0.222, abs=0.001)


@pytest.mark.slow
def test_pymc_marketing_is_near_under_its_own_priors(cdnow_case):
    method = installed(PymcMarketingMethod)
    rfm, log, horizon, _ = cdnow_case
    fitted = method().fit(rfm, log)
    found = as_forecast(fitted.predict(rfm, log, horizon), rfm)
    ours = pc.BGNBD().fit(rfm).predict(rfm, horizon=horizon)
    # Its priors move the mode from the maximum likelihood estimate: 1.8 % more purchases in all, up to 20 % for a
    # customer, and 2 % more value. They draw a away from small values, hence a higher chance of a purchase too.
    assert found.expected_purchases.sum() == pytest.approx(ours["expected_purchases"].sum(), rel=0.025)
    np.testing.assert_allclose(found.expected_purchases, ours["expected_purchases"], rtol=0.25)
    np.testing.assert_allclose(found.p_purchase, ours["p_purchase"], atol=0.12)
    assert found.notes == ()
    # And the same forecast of fewer customers, asked for later.
    some = fitted.predict(rfm[:50], log, horizon)
    np.testing.assert_allclose(some.expected_purchases, found.expected_purchases[:50], rtol=1e-12)


@pytest.mark.slow
def test_pymc_marketing_averages_over_draws(grocery_case):
    case = first_customers(grocery_case, 300)
    method = installed(PymcMarketingMethod)
    sampler = {"draws": 500, "tune": 300, "chains": 1}
    fitted = method(fit_method="mcmc", sampler=sampler).fit(case.rfm, case.log)
    found = as_forecast(fitted.predict(case.rfm, case.log, case.horizon), case.rfm)
    point = forecast(method(), case)
    assert fitted.name == "pymc_marketing_bg_nbd_mcmc"
    assert fitted.purchases_.idata.posterior.sizes["draw"] == 250
    assert not np.array_equal(found.expected_purchases, point.expected_purchases)
    assert found.expected_purchases.sum() == pytest.approx(point.expected_purchases.sum(), rel=0.1)


@pytest.mark.slow
def test_mbg_nbd_of_pymc_marketing_has_no_probability_of_a_purchase(cdnow_case):
    found = forecast(installed(PymcMarketingMethod)("mbg_nbd"), first_customers(cdnow_case, 500))
    assert found.p_purchase is None
    assert found.expected_value is not None


@pytest.mark.parametrize("method", MOST_LIKELY)
def test_cumulative_purchases_end_at_the_forecast(method, cdnow_case):
    fitted = installed(method)().fit(cdnow_case.rfm, cdnow_case.log)
    found = fitted.predict(cdnow_case.rfm, cdnow_case.log, 39.0)
    times, so_far = found.track
    assert (np.diff(so_far) > 0).all()
    assert so_far[-1] == pytest.approx(found.expected_purchases.sum())
    half = fitted.predict(cdnow_case.rfm, cdnow_case.log, 19.5)
    assert so_far[times == 19.5] == pytest.approx(half.expected_purchases.sum())


@pytest.mark.parametrize(
    ("method", "warned"),
    [
        (lambda: installed(LifetimesMethod)("mbg_nbd"), "lifetimes warned: invalid value"),
        (lambda: installed(LifetimesMethod)("pareto_nbd"), "lifetimes warned: invalid value"),
        (lambda: installed(ClvkitMethod)(), "clvkit warned: invalid value"),
    ],
    ids=["lifetimes MBG/NBD", "lifetimes Pareto/NBD", "clvkit BG/NBD"],
)
def test_a_heavy_buyer_for_whom_a_package_has_no_number_is_an_error(method, warned, cdnow_case):
    fitted = method().fit(cdnow_case.rfm, cdnow_case.log)
    heavy = heavy_buyer(cdnow_case.rfm)
    found = fitted.predict(heavy, cdnow_case.log, 39.0)
    assert any(note.startswith(warned) for note in found.notes)
    with pytest.raises(FitError, match=r"not finite for 1 of 1 customers \(first: customer 1, nan\)"):
        as_forecast(found, heavy)


def test_warnings_of_a_package_neither_stop_it_nor_change_the_filters(cdnow_case, capsys):
    before = list(warnings.filters)
    found = forecast(installed(LifetimesMethod)(), cdnow_case)
    assert warnings.filters == before
    assert found.notes == ()
    assert capsys.readouterr().out == ""


def test_each_warning_is_noted_once(cdnow_case, monkeypatch):
    method = installed(LifetimesMethod)()

    def expected(rfm, horizon):
        warnings.warn("not\n quite", RuntimeWarning, stacklevel=1)
        warnings.warn("to be removed", DeprecationWarning, stacklevel=1)
        return np.ones(len(rfm))

    monkeypatch.setattr(method, "_expected_purchases", expected)
    assert forecast(method, cdnow_case).notes == ("lifetimes warned: not quite",)


@pytest.mark.parametrize("method", MOST_LIKELY)
def test_a_log_without_amounts_has_no_spend(method, grocery_case):
    found = forecast(installed(method)(), grocery_case)
    assert found.expected_spend is None
    assert found.expected_value is None


@pytest.mark.parametrize("method", MOST_LIKELY)
def test_a_fitted_method_can_be_sent_to_another_process(method, cdnow_case):
    rfm, log, horizon, _ = cdnow_case
    fitted = installed(method)().fit(rfm, log)
    sent = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        sent.predict(rfm, log, horizon).expected_value, fitted.predict(rfm, log, horizon).expected_value
    )


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (LifetimesMethod, r"^lifetimes_bg_nbd needs lifetimes: pip install 'predclv\[lifetimes\]'$"),
        (ClvkitMethod, r"^clvkit_bg_nbd needs clvkit: pip install 'predclv\[peers\]'$"),
        (PymcMarketingMethod, r"^pymc_marketing_bg_nbd needs pymc-marketing: pip install 'predclv\[peers\]'$"),
    ],
)
def test_an_absent_package_says_what_to_install(method, text, cdnow_case, monkeypatch):
    monkeypatch.setitem(sys.modules, method.PACKAGE, None)
    with pytest.raises(ImportError, match=text):
        method().fit(cdnow_case.rfm, cdnow_case.log)


@pytest.mark.parametrize("method", ALL)
def test_an_unknown_model_is_refused_at_once(method):
    with pytest.raises(ValueError, match=r"model='bgnbd' is not one of bg_nbd, mbg_nbd"):
        method("bgnbd")


def test_an_unknown_fit_method_is_refused_at_once():
    with pytest.raises(ValueError, match="fit_method='advi' is not one of map, mcmc"):
        PymcMarketingMethod(fit_method="advi")
