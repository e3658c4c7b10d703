"""Posteriors as ArviZ sees them: groups, predictive distributions, and leave-one-out scores by customer."""

from __future__ import annotations

import json
import pickle
import warnings
from importlib import util

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest

import predclv as pc
from predclv.errors import DataError, DependenceWarning, InfluenceWarning, PredCLVWarning
from predclv.forecast.replicates import distinct_ages, with_rest
from predclv.inference import arviz, leave_one_out
from predclv.inference.pareto import smooth_weights
from predclv.kernels import bg_family, gamma_gamma
from predclv.priors import Gamma, LogNormal

# ArviZ 0.23 asks Matplotlib 3.11 and pandas 3.1 for something in ways that will end.
pytestmark = [
    pytest.mark.filterwarnings("ignore::matplotlib.MatplotlibDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.sort_values:DeprecationWarning"),
]

SETTINGS = {
    "mle": {"method": "mle"},
    "map": {"method": "map"},
    "mcmc": {"method": "mcmc", "draws": 250, "tune": 200, "progressbar": False},
}
MODELS = {"bg_nbd": pc.BGNBD, "gamma_gamma": pc.GammaGamma}
BINS = {"bg_nbd": "repeat_purchases", "gamma_gamma": "mean_spend"}
every_model = pytest.mark.parametrize("key", MODELS)
every_method = pytest.mark.parametrize("method", SETTINGS)
drawn = pytest.mark.parametrize("method", ["map", "mcmc"])


@pytest.fixture(autouse=True)
def _dependence_is_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted(cdnow):
    """Fitted models by key and method, and their InferenceData, each made once."""
    made = {}

    def get(key, method):
        if (key, method) not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DependenceWarning)
                model = MODELS[key](**SETTINGS[method]).fit(cdnow)
            made[key, method] = model, model.posterior_.to_arviz()
        return made[key, method]

    return get


def log_likelihood_of_customers(key, rfm, theta):
    """By the literal equations, customer by customer, nothing collapsed: (n_draws, n_customers)."""
    if key == "bg_nbd":
        columns, equation = (rfm.frequency.astype(float), rfm.recency, rfm.T), bg_family.log_likelihood
    else:
        columns, equation = rfm.repeat_spend()[:2], gamma_gamma.log_likelihood
    return np.array([equation(*columns, *one) for one in theta])


@every_model
@every_method
def test_groups_dimensions_and_values(key, method, fitted):
    model, data = fitted(key, method)
    posterior = model.posterior_
    expected = {"posterior", "posterior_predictive", "observed_data", "constant_data", "log_likelihood"}
    expected |= {"prior", "prior_predictive"} if method != "mle" else set()
    expected |= {"sample_stats"} if method == "mcmc" else set()
    assert set(data.groups()) == expected
    values = posterior.chains.values if method == "mcmc" else posterior.draws_array()[np.newaxis]
    assert list(data.posterior.data_vars) == posterior.names
    for i, name in enumerate(posterior.names):
        assert data.posterior[name].dims == ("chain", "draw")
        np.testing.assert_array_equal(data.posterior[name], values[:, :, i])
    if method == "mcmc":
        assert {"diverging", "energy", "lp", "tree_depth"} <= set(data.sample_stats.data_vars)
        np.testing.assert_array_equal(data.sample_stats.lp, posterior.chains.statistics["lp"])
    for group in expected & {"prior_predictive", "posterior_predictive"}:
        assert data[group].customers.dims == ("chain", "draw", BINS[key])
        # Every replicated data set has as many customers as the data.
        assert (data[group].customers.sum(BINS[key]) == data.observed_data.customers.sum()).all()
        assert data[group].sizes["draw"] * data[group].sizes["chain"] <= 1024
        assert list(data[group][BINS[key]].values) == list(data.observed_data[BINS[key]].values)
    assert data.attrs["model"] == type(model).__name__
    assert data.posterior.attrs["method"] == method
    assert json.loads(data.attrs["diagnostics"])["n_observations"] == posterior.diagnostics["n_observations"]
    assert data.attrs["note"] == ""


def test_the_data_are_those_fitted_on(cdnow, fitted):
    _, data = fitted("bg_nbd", "map")
    counts = np.bincount(np.minimum(cdnow.frequency, 7))
    np.testing.assert_array_equal(data.observed_data.customers, counts)
    assert list(data.observed_data.repeat_purchases.values) == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    rows = data.constant_data
    assert rows.n_customers.sum() == len(cdnow) > rows.sizes["history"]
    assert rows.frequency @ rows.n_customers == cdnow.frequency.sum()
    assert float(rows["T"] @ rows.n_customers) == pytest.approx(cdnow.T.sum())

    _, data = fitted("gamma_gamma", "map")
    frequency, mean_spend, _ = cdnow.repeat_spend()
    rows = data.constant_data
    each = np.repeat(np.arange(rows.sizes["history"]), rows.n_customers)
    # In order of frequency and mean spend; some customers share both.
    order = np.lexsort((mean_spend, frequency))
    np.testing.assert_array_equal(rows.monetary_value[each], mean_spend[order])
    np.testing.assert_array_equal(rows.frequency[each], frequency[order])
    labels = list(data.observed_data.mean_spend.values)
    start, end = map(float, labels[4].split(" to "))
    # Labels round to four digits, which moves nobody here.
    assert data.observed_data.customers[4] == np.sum((mean_spend >= start) & (mean_spend < end)) > 100
    assert (labels[0], labels[-1]) == (f"under {labels[1].split()[0]}", f"{labels[-2].split()[-1]} or more")


@drawn
def test_predictive_counts_are_the_exact_ones(method, cdnow, fitted):
    model, data = fitted("bg_nbd", method)
    for group, seed_draws in (("posterior_predictive", data.posterior), ("prior_predictive", data.prior)):
        theta = np.stack([seed_draws[name].values for name in model.posterior_.names], axis=-1).reshape(-1, 4)
        ages, weight = distinct_ages(cdnow.T)
        zero = np.zeros(len(ages))
        one_by_one = [
            weight @ with_rest(model.bindings.purchase_pmf(zero, zero, zero, ages, one[None], 6)) for one in theta
        ]
        replicated = data[group].customers.values.reshape(-1, 8)
        # Given a draw a count is a sum of independent indicators, so its variance is at most its mean.
        error = np.sqrt(np.mean(one_by_one, axis=0) / len(replicated))
        assert (np.abs(replicated.mean(axis=0) - np.mean(one_by_one, axis=0)) < 4 * error).all()
    low, high = np.quantile(data.posterior_predictive.customers, [0.005, 0.995], axis=(0, 1))
    assert ((low <= data.observed_data.customers) & (data.observed_data.customers <= high)).all()


def test_predictive_spend_is_what_customers_would_spend(fitted, cdnow):
    """Against simulated customers, one data set a draw."""
    model, data = fitted("gamma_gamma", "map")
    frequency, mean_spend, _ = cdnow.repeat_spend()
    inner = np.geomspace(*np.quantile(mean_spend, [0.01, 0.99]), 9)
    generator, simulated = np.random.default_rng(5), []
    for p, q, gamma in model.posterior_.draws_array():
        rate = generator.gamma(q, 1 / gamma, len(frequency))
        spent = generator.gamma(p * frequency) / rate / frequency
        simulated.append(np.bincount(np.searchsorted(inner, spent, side="right"), minlength=10))
    simulated, replicated = np.array(simulated), data.posterior_predictive.customers.values[0]
    error = np.sqrt((simulated.var(axis=0) + replicated.var(axis=0)) / len(simulated))
    assert (np.abs(simulated.mean(axis=0) - replicated.mean(axis=0)) < 4 * error).all()
    # The variance of 1,024 near-normal counts is known to 4.4 %, the ratio of two to 6.3 %.
    np.testing.assert_allclose(replicated.var(axis=0) / simulated.var(axis=0), 1.0, atol=4 * 0.063)


def test_draws_of_the_prior_are_the_prior(fitted):
    model, data = fitted("bg_nbd", "map")
    for name, prior in model.priors_.items():
        sample = data.prior[name].values.ravel()
        for probability in (0.1, 0.5, 0.9):
            share = np.mean(sample < prior.quantile(probability))
            assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / len(sample))
    assert model.posterior_.to_arviz(log_likelihood=False).prior.equals(data.prior)


def test_priors_may_be_wide(cdnow):
    """A gamma of shape 0.05 draws a and b below 1e-16 now and then."""
    priors = {name: Gamma(2.0, 0.05) for name in ("r", "alpha", "a", "b")}
    data = pc.BGNBD(method="map", priors=priors).fit(cdnow).posterior_.to_arviz(log_likelihood=False)
    assert (np.maximum(data.prior.a, data.prior.b) < 1e-16).any()
    assert (data.prior_predictive.customers.sum("repeat_purchases") == len(cdnow)).all()


@every_model
@every_method
def test_loo_is_that_of_all_customers(key, method, cdnow, fitted):
    model, data = fitted(key, method)
    ours, theirs = model.posterior_.loo(), az.loo(data, pointwise=True)
    theta = np.stack([data.posterior[name].values for name in model.posterior_.names], axis=-1)
    each = log_likelihood_of_customers(key, cdnow, theta.reshape(-1, theta.shape[-1]))
    uncollapsed = az.from_dict(
        posterior={name: data.posterior[name].values for name in model.posterior_.names},
        log_likelihood={"customer": each.reshape(*theta.shape[:2], -1)},
    )
    plain = az.loo(uncollapsed, pointwise=True)
    for name in ("elpd_loo", "se", "p_loo", "n_samples", "n_data_points", "good_k"):
        # The literal equations and the compiled ones differ in the last digits of each term.
        assert ours[name] == pytest.approx(theirs[name], rel=1e-10, abs=1e-8)
        assert ours[name] == pytest.approx(plain[name], rel=1e-10, abs=1e-8)
    assert not any(found.warning for found in (ours, theirs, plain))
    np.testing.assert_allclose(ours.loo_i, theirs.loo_i, rtol=1e-10)
    np.testing.assert_allclose(ours.pareto_k, theirs.pareto_k, atol=1e-8)
    np.testing.assert_allclose(np.sort(ours.loo_i), np.sort(plain.loo_i), rtol=1e-9)
    np.testing.assert_allclose(np.sort(ours.pareto_k), np.sort(plain.pareto_k), atol=1e-6)
    # Some customers share a history, and each counts.
    assert ours.n_data_points == each.shape[1] == len(ours.loo_i)
    assert str(ours).splitlines()[:4] == str(theirs).splitlines()[:4]
    # Four parameters, or three, well determined.
    assert ours.p_loo == pytest.approx(len(model.PARAMETERS), abs=1.0)


def test_the_log_likelihood_says_whose_it_is(fitted):
    model, data = fitted("bg_nbd", "map")
    group, rows = data.log_likelihood, data.constant_data
    np.testing.assert_array_equal(np.bincount(group.history), rows.n_customers)
    first = group.log_likelihood.sel(draw=3, chain=0).values
    theta = [float(data.posterior[name][0, 3]) for name in model.posterior_.names]
    columns = [rows[name].values[group.history] for name in ("frequency", "recency", "T")]
    np.testing.assert_allclose(first, bg_family.log_likelihood(*columns, *theta), rtol=1e-9)


def test_blocks_of_rows_change_nothing(fitted, monkeypatch):
    posterior = fitted("bg_nbd", "map")[0].posterior_
    whole = posterior.loo()
    monkeypatch.setattr(leave_one_out, "_BLOCK", 8 * 1024 * 7)  # seven rows
    blocked = posterior.loo()
    np.testing.assert_array_equal(blocked.loo_i, whole.loo_i)
    np.testing.assert_array_equal(blocked.pareto_k, whole.pareto_k)


@every_model
@drawn
def test_tables_and_plots(key, method, fitted):
    model, data = fitted(key, method)
    table = az.summary(data, kind="stats", round_to="none")
    np.testing.assert_allclose(table["mean"], [data.posterior[n].mean() for n in model.posterior_.names], rtol=1e-9)
    if method == "mcmc":
        assert (az.summary(data)["r_hat"] < 1.05).all()
        az.plot_energy(data)
    assert az.plot_trace(data).shape == (len(model.PARAMETERS), 2)
    az.plot_pair(data, divergences=method == "mcmc")
    bins = data.observed_data.sizes[BINS[key]]
    for group in ("posterior", "prior"):
        axes = az.plot_ppc(data, flatten=[], group=group, num_pp_samples=50, random_seed=0)
        assert sum(len(axis.lines) > 0 for axis in np.ravel(axes)) == bins
    az.plot_khat(model.posterior_.loo())


def test_models_are_compared(cdnow, fitted):
    far = {"r": LogNormal(2.0, 0.02), "a": LogNormal(0.8, 1.0), "b": LogNormal(2.5, 1.0)}
    narrow = pc.BGNBD(method="map", priors=far).fit(cdnow)
    ours, theirs = (
        az.compare({"default": default, "far": far})
        for default, far in (
            (fitted("bg_nbd", "map")[0].posterior_.loo(), narrow.posterior_.loo()),
            (fitted("bg_nbd", "map")[1], narrow.posterior_.to_arviz()),
        )
    )
    assert list(ours.index) == ["default", "far"]
    for column in ("elpd_loo", "p_loo", "elpd_diff", "se", "dse"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-9, atol=1e-8)
    # Far beyond chance, with its standard error over customers.
    assert ours.loc["far", "elpd_diff"] > 5 * ours.loc["far", "dse"] > 0


def test_influential_customers_are_named(cdnow):
    """One of few customers decides the posterior, under priors that would not have expected him."""
    few = cdnow[np.arange(40)].to_pandas()[["customer_id", "frequency", "recency", "T"]]
    few.loc[0, ["frequency", "recency"]] = 150, few.loc[0, "T"]
    priors = {
        name: LogNormal(median, 1.0) for name, median in zip(["r", "alpha", "a", "b"], (0.3, 5, 1, 3), strict=True)
    }
    model = pc.BGNBD(method="map", priors=priors).fit(pc.RFMSummary.from_frame(few, time_unit="week"))
    with pytest.warns(InfluenceWarning, match=r"BGNBD: \d+ of 40 customers .*the most: frequency 150, .*Look at these"):
        found = model.posterior_.loo()
    assert found.warning
    with pytest.warns(UserWarning, match="Estimated shape parameter of Pareto"):
        theirs = az.loo(model.posterior_.to_arviz(), pointwise=True)
    assert found.elpd_loo == pytest.approx(theirs.elpd_loo, abs=1e-8)
    assert np.sum(found.pareto_k > found.good_k) == np.sum(theirs.pareto_k > theirs.good_k) > 0


def test_files_keep_everything(fitted, tmp_path):
    for key, method in (("bg_nbd", "mcmc"), ("gamma_gamma", "map")):
        data = fitted(key, method)[1]
        data.to_netcdf(str(tmp_path / f"{key}.nc"))
        again = az.from_netcdf(str(tmp_path / f"{key}.nc"))
        assert again.groups() == data.groups()
        for group in data.groups():
            assert again[group].equals(data[group])
        assert again.posterior.attrs["diagnostics"] == data.attrs["diagnostics"]


def test_a_loaded_model_shows_what_needs_no_customers(fitted, tmp_path):
    for key, method in (("bg_nbd", "mcmc"), ("gamma_gamma", "mle")):
        model, _ = fitted(key, method)
        model.save(tmp_path / key)
        posterior = pc.load(tmp_path / key).posterior_
        data = posterior.to_arviz()
        assert set(data.groups()) == ({"posterior", "prior"} if method == "mcmc" else {"posterior"})
        assert dict(data.posterior.sizes) == {"chain": 1, "draw": 1024}
        np.testing.assert_array_equal(data.posterior[posterior.names[0]][0], model.posterior_.draws[posterior.names[0]])
        assert "fit it again" in data.attrs["note"]
        with pytest.raises(DataError, match=rf"{type(model).__name__}: loo\(\) needs the customers .* fit it again"):
            posterior.loo()
        with pytest.raises(DataError, match="log_likelihood=True needs the customers"):
            posterior.to_arviz(log_likelihood=True)


@pytest.mark.parametrize("drawn", [False, True])
def test_evidence_survives_another_process(drawn, cdnow):
    for model in (pc.BGNBD().fit(cdnow), pc.GammaGamma(method="map").fit(cdnow)):
        if drawn:
            model.posterior_.draws_array()
        again = pickle.loads(pickle.dumps(model)).posterior_
        assert again.loo().elpd_loo == model.posterior_.loo().elpd_loo
        assert again.to_arviz().posterior_predictive.equals(model.posterior_.to_arviz().posterior_predictive)


def test_evidence_is_the_rows_of_the_fit_and_no_more(fitted):
    """No array of it is as long as there are customers, and the likelihood shares its own with it."""
    likelihood = fitted("bg_nbd", "mle")[0].posterior_.evidence.likelihood
    shared = likelihood.evaluate.args[0]
    for column in (*likelihood.rows.values(), likelihood.weight):
        assert any(np.shares_memory(column, array) for array in shared)
        assert len(column) < likelihood.n_observations


def test_large_log_likelihoods_are_left_out(fitted, monkeypatch):
    posterior = fitted("bg_nbd", "map")[0].posterior_
    monkeypatch.setattr(arviz, "LARGEST_LOG_LIKELIHOOD", 8 * 1024 * 2357 - 1)
    with pytest.warns(PredCLVWarning, match=r"2,357 customers at 1,024 draws would take 0.0 GiB, .* loo\(\)"):
        assert "log_likelihood" not in posterior.to_arviz().groups()
    assert "log_likelihood" in posterior.to_arviz(log_likelihood=True).groups()
    assert "log_likelihood" not in posterior.to_arviz(log_likelihood=False).groups()
    monkeypatch.setattr(arviz, "LARGEST_LOG_LIKELIHOOD", 8 * 1024 * 2357)
    assert "log_likelihood" in posterior.to_arviz().groups()


def test_many_draws_are_thinned(fitted, monkeypatch):
    monkeypatch.setattr(arviz, "_PREDICTIVE_DRAWS", 40)
    data = fitted("bg_nbd", "mcmc")[0].posterior_.to_arviz(log_likelihood=False)
    assert dict(data.posterior_predictive.sizes) == {"chain": 4, "draw": 10, "repeat_purchases": 8}
    # Labels are those of the posterior's draws that they come from.
    assert list(data.posterior_predictive.draw.values[[0, -1]]) == [0, 249]
    assert data.prior_predictive.sizes["draw"] == 40


def test_without_arviz_the_remedy_is_named(fitted, monkeypatch):
    posterior = fitted("bg_nbd", "mle")[0].posterior_
    found = util.find_spec
    monkeypatch.setattr("predclv.inference.posterior.find_spec", lambda name: None if name == "arviz" else found(name))
    for ask, what in ((posterior.to_arviz, "to_arviz"), (posterior.loo, "loo")):
        with pytest.raises(ImportError, match=rf"{what} needs arviz: pip install 'predclv\[bayes\]'"):
            ask()


def test_segments_have_their_own(cdnow):
    table = cdnow.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    table["channel"] = np.where(np.arange(len(table)) % 3 == 0, "shop", "web")
    rfm = pc.RFMSummary.from_frame(table, time_unit="week", carry=["channel"])
    model = pc.BGNBD(method="map", segment="channel").fit(rfm)
    data = model.posterior_.to_arviz()
    assert set(data.groups()) == {"posterior", "prior"}
    with pytest.raises(DataError, match=r"take segments_\[name\].posterior_"):
        model.posterior_.loo()
    shop = model.segments_["shop"].posterior_
    data = shop.to_arviz()
    # A segment's prior is the population, which the other segments inform.
    assert "prior" not in data.groups()
    assert data.observed_data.customers.sum() == (table["channel"] == "shop").sum()
    assert shop.loo().elpd_loo == pytest.approx(az.loo(data).elpd_loo, abs=1e-8)


def test_the_tail_grows_as_draws_are_worth_less():
    log_weight = np.random.default_rng(0).standard_normal(1000)
    plain, k = smooth_weights(log_weight)
    theirs, their_k = az.psislw(log_weight.copy(), reff=0.3)
    ours, our_k = smooth_weights(log_weight, 0.3)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert our_k == pytest.approx(float(their_k), abs=1e-12)
    assert our_k != k
    assert not np.array_equal(plain, ours)
