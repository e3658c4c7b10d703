"""Priors: proper densities with exact derivatives, that say the same in every unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from predclv.errors import UnitError
from predclv.parameters import Parameter
from predclv.priors import Gamma, LogNormal, priors_table
from predclv.priors.distributions import prior_from_dict, prior_to_dict
from predclv.priors.settle import Scales, check_priors, settle_priors, supported

PRIORS = [LogNormal(4.0, 0.5), LogNormal(4.0, 1.5, above=1.0), Gamma(3.0, 0.7), Gamma(3.0, 4.0, above=1.0)]
PARAMETERS = (
    Parameter("shape", "how alike", (0.5, 5.0)),
    Parameter("alpha", "rate", (1.0, 50.0), unit="time"),
    Parameter("gamma", "scale of spend", (1.0, 50.0), unit="money"),
)
DEFAULTS = {
    "shape": LogNormal(4.0, 1.0, above=1.0),
    "alpha": LogNormal(0.5, 1.0, unit="age"),
    "gamma": LogNormal(2.0, 1.0, unit="basket"),
}
WEEKS = Scales("week", "EUR", age=30.0, basket=20.0)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_density_integrates_to_one_and_agrees_with_quantiles_and_draws(prior):
    for probability in (0.05, 0.5, 0.95):
        quantile = float(prior.quantile(probability))
        # In the logarithm, where the density has no pole.
        below = quad(
            lambda u: np.exp(u + prior.log_density(prior.above + np.exp(u))), -25, np.log(quantile - prior.above)
        )[0]
        assert below == pytest.approx(probability, abs=1e-6)
    draws = prior.sample(np.random.default_rng(1), 20_000)
    assert draws.min() > prior.above
    # Three standard errors of a share of 20,000.
    assert np.mean(draws < prior.quantile(0.3)) == pytest.approx(0.3, abs=3 * np.sqrt(0.21 / 20_000))


def test_densities_are_scipys():
    value = np.array([0.2, 1.0, 7.0])
    np.testing.assert_allclose(
        LogNormal(4.0, 0.5).log_density(value), stats.lognorm.logpdf(value, 0.5, scale=4.0), rtol=1e-13
    )
    np.testing.assert_allclose(
        Gamma(3.0, 0.7, above=0.1).log_density(value), stats.gamma.logpdf(value, 0.7, 0.1, 2.9 / 0.7), rtol=1e-13
    )


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("value", [1.02, 2.0, 9.0, 300.0])
def test_derivatives(prior, value):
    density, slope, curvature = prior.derivatives(value)
    assert density == pytest.approx(float(prior.log_density(value)), rel=1e-14)
    step = 1e-4 * (value - prior.above)
    below, above = (prior.derivatives(value + side * step) for side in (-1, 1))
    # Central differences: wrong by step^2 times a third derivative, here 1e-8 of the size, and by rounding.
    assert slope == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-6, abs=1e-9)
    assert curvature == pytest.approx((above[1] - below[1]) / (2 * step), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogNormal(1.0, np.inf), "spread must be positive and finite, or the prior is improper"),
        (lambda: LogNormal(1.0, 0.0), "spread must be positive"),
        (lambda: LogNormal(1.0, 1.0, above=1.0), "median must be finite and greater than above=1"),
        (lambda: LogNormal(np.inf, 1.0), "median must be finite"),
        (lambda: LogNormal("wide", 1.0), "wants numbers. Got 'wide'"),
        (lambda: Gamma(2.0, -1.0), "shape must be positive and finite, or the prior is improper"),
        (lambda: Gamma(2.0, 1.0, above=-1.0), "which is at least 0"),
    ],
)
def test_improper_priors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aplha": LogNormal(1.0, 1.0)}, r"no parameter 'aplha'.*shape, alpha, gamma. Did you mean 'alpha'"),
        ({"alpha": 3.0}, r"must be proper, a LogNormal or a Gamma.*Got 3.0"),
        ({"alpha": "flat"}, r"must be proper.*Got 'flat'"),
        ({"shape": LogNormal(4.0, 1.0)}, r"reaches below 1.*Set above=1"),
        ({"alpha": LogNormal(4.0, 1.0, unit="fortnight")}, r"in 'fortnight'.*one of hour, day, week, year, age"),
        ({"gamma": LogNormal(4.0, 1.0, unit="week")}, r"in 'week'.*a currency or basket"),
        ({"shape": LogNormal(4.0, 1.0, above=1.0, unit="EUR")}, r"in 'EUR'; the unit of this parameter is none"),
        ([LogNormal(1.0, 1.0)], "must map parameter names to priors. Got list"),
    ],
)
def test_wrong_priors_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_priors(given, DEFAULTS, PARAMETERS, "Model")


def test_units_are_settled_by_the_summary():
    settled = settle_priors(None, DEFAULTS, PARAMETERS, WEEKS)
    assert settled["alpha"] == LogNormal(15.0, 1.0, unit="week")
    assert settled["gamma"] == LogNormal(40.0, 1.0, unit="EUR")
    given = {"alpha": Gamma(1.0, 2.0, unit="year")}
    assert settle_priors(given, DEFAULTS, PARAMETERS, WEEKS)["alpha"].mean == pytest.approx(365.25 / 7)
    own = settle_priors({"alpha": LogNormal(9.0, 1.0)}, DEFAULTS, PARAMETERS, WEEKS)
    assert own["alpha"] == LogNormal(9.0, 1.0, unit="week")
    with pytest.raises(UnitError, match="'USD' and the summary in 'EUR'"):
        settle_priors({"gamma": LogNormal(9.0, 1.0, unit="USD")}, DEFAULTS, PARAMETERS, WEEKS)
    with pytest.raises(ValueError, match="holds no spend"):
        settle_priors(None, DEFAULTS, PARAMETERS, Scales("week", None, 30.0, None))


def test_support_narrows_the_domain():
    shape, alpha, _ = supported(PARAMETERS, DEFAULTS)
    assert shape.above == 1.0
    assert alpha is PARAMETERS[1]


def test_table_and_round_trip():
    table = priors_table(DEFAULTS, PARAMETERS)
    assert table.columns.tolist() == ["parameter", "prior", "low", "median", "high", "unit", "meaning"]
    assert table["prior"].tolist()[0] == "LogNormal(median 4, spread 1, above 1)"
    assert table["median"].tolist() == pytest.approx([4.0, 0.5, 2.0])
    for prior in (*PRIORS, *DEFAULTS.values()):
        assert prior_from_dict(prior_to_dict(prior)) == prior
        assert eval(repr(prior)) == prior  # a plain repr


def test_a_very_wide_prior_has_a_domain_too():
    """Its 5 % quantile is its lower end to all digits."""
    parameter = Parameter("q", "", (1.5, 15.0))
    found = supported((parameter,), {"q": Gamma(5.0, 0.01, above=1.0)})[0]
    assert found.above == 1.0
    assert 1.0 < found.typical[0] < found.typical[1]
