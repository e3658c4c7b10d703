"""Posteriors hold what they promise: ranks of the truth are even, and small firms' intervals hold."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.errors import ConvergenceWarning, DependenceWarning, HeavyTailWarning
from predclv.priors import LogNormal, elicit_purchases, elicit_retention, elicit_spend
from ranks import p_values, place, plot_ranks, thin

COUNTS = {"r": LogNormal(1.0, 0.4), "alpha": LogNormal(8.0, 0.4), "a": LogNormal(0.8, 0.6), "b": LogNormal(2.5, 0.6)}
SPEND = {"p": LogNormal(6.0, 0.5), "q": LogNormal(4.0, 0.5, above=1.0), "gamma": LogNormal(16.0, 0.5)}
MODELS = [pytest.param(pc.BGNBD, COUNTS, id="bg_nbd"), pytest.param(pc.GammaGamma, SPEND, id="gamma_gamma")]
#: Beyond the parameters: what forecasts depend on, as functions of theta (n_draws, n_parameters).
DERIVED = {
    "bg_nbd": {"mean rate": lambda t: t[:, 0] / t[:, 1], "mean dropout": lambda t: t[:, 2] / (t[:, 2] + t[:, 3])},
    "gamma_gamma": {"mean spend": lambda t: t[:, 0] * t[:, 2] / (t[:, 1] - 1)},
}
#: How many truths are drawn, and with which settings they are looked for. With 200 a posterior that lies 0.4 of its
#: width beside, or is 0.75 or 1.3 times as wide as it should be, is found nine times in ten and more; with 50, which do
#: for chains on a density that others test, one 0.8 beside or 0.6 as wide.
METHODS = {
    "map": (200, {"method": "map"}),
    "mcmc": (50, {"method": "mcmc", "chains": 2, "draws": 300, "tune": 200, "progressbar": False}),
}
# Even ranks fail one test in a thousand; of all tests of one run, so that none fails in a hundred seeds or so.
FAILS = 0.01


def simulate(model, truth, n_customers, seed):
    """Customers of one population, whose parameters are `truth` by name."""
    return pc.datasets.simulate_rfm(
        n_customers=n_customers,
        T=(20.0, 60.0),
        seed=seed,
        **({"parameters": truth} if model is pc.BGNBD else {"spend": truth}),
    ).rfm


def quantities(model, theta):
    """Parameters and what is derived of them, (n_draws, n_quantities), at theta (n_draws, n_parameters)."""
    return np.column_stack([theta, *(function(theta) for function in DERIVED[model.KEY].values())])


def independent_draws(posterior):
    """All that importance sampling made, and of chains as many as forget each other."""
    if posterior.method != "mcmc":
        return posterior.draws_array()
    return thin(posterior.chains.values, posterior.diagnostics["least_ess_bulk"])


@contextmanager
def quiet():
    """Without what is no news of truths drawn at random; doubtful draws are counted instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        warnings.simplefilter("ignore", HeavyTailWarning)  # a truth with q below 2
        # Chains as short as these have too few effective draws for a tail.
        warnings.filterwarnings("ignore", message=".*(draws are doubtful|chains are doubtful)")
        yield


def assert_even(places, names):
    """By five tests of each quantity, at a level that all together keep."""
    table = pd.DataFrame([p_values(column) for column in np.transpose(places)], index=names)
    print(f"\n{table.round(3).to_string()}")
    assert table.min(axis=None) > FAILS / table.size


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("model", "priors"), MODELS)
def test_ranks_of_the_truth_are_even(model, priors, method):
    """Simulation-based calibration, for importance sampling and for NUTS alike."""
    n_simulations, settings = METHODS[method]
    rng, places, n_doubtful = np.random.default_rng(20), [], 0
    for seed in range(n_simulations):
        truth = np.array([[prior.sample(rng, 1)[0] for prior in priors.values()]])
        rfm = simulate(model, dict(zip(priors, truth[0].tolist(), strict=True)), 150, seed)
        with quiet():
            posterior = model(priors=priors, random_state=seed, **settings).fit(rfm).posterior_
            draws = quantities(model, independent_draws(posterior))
        found = posterior.diagnostics
        n_doubtful += found["gate"] != "passed" if method == "map" else found["n_divergences"] > 0
        true = quantities(model, truth)[0]
        places.append([place(column, value, rng) for column, value in zip(draws.T, true, strict=True)])
    # A rare rejection does not distort the ranks that are kept with it: none is left out.
    assert n_doubtful <= 0.02 * n_simulations
    assert_even(np.array(places), [*priors, *DERIVED[model.KEY]])


#: Truth of the segments' hierarchy: narrow priors of the center, as above, and of how far segments differ.
SPREADS = LogNormal(0.25, 0.5)
SEGMENTS = {"largest": 150, "large": 80, "middling": 40, "small": 20, "tiny": 8}


def draw_hierarchy(priors, rng):
    """Hyper parameters from their priors, and parameters of segments from those; natural values by name."""
    center = {name: float(prior.sample(rng, 1)[0]) for name, prior in priors.items()}
    spread = {f"{name}_spread": float(SPREADS.sample(rng, 1)[0]) for name in priors}
    segments = {
        segment: {
            name: prior.above + (center[name] - prior.above) * np.exp(spread[f"{name}_spread"] * rng.standard_normal())
            for name, prior in priors.items()
        }
        for segment in SEGMENTS
    }
    return center | spread, segments


@pytest.mark.slow
@pytest.mark.parametrize(("model", "priors"), MODELS)
def test_ranks_of_a_hierarchy_are_even(model, priors, monkeypatch):
    """Of the center, the spreads, and two segments: the largest, and one that is nearly all the population's.

    What lies its width beside, or is half as wide as it should be, is found.
    """
    monkeypatch.setattr("predclv.inference.nested_importance._MOST_POINTS", 512)
    monkeypatch.setattr("predclv.inference.nested_importance._HYPER_POINTS", 2048)
    shown, rng, places, n_doubtful, n_simulations = ("largest", "tiny"), np.random.default_rng(21), [], 0, 32
    names = [*priors, *(f"{name}_spread" for name in priors)]
    names += [f"{name}[{segment}]" for segment in shown for name in [*priors, *DERIVED[model.KEY]]]
    for seed in range(n_simulations):
        hyper, segments = draw_hierarchy(priors, rng)
        tables = [
            simulate(model, truth, SEGMENTS[segment], 1000 * seed + i).to_pandas().assign(segment=segment)
            for i, (segment, truth) in enumerate(segments.items())
        ]
        table = pd.concat(tables, ignore_index=True).assign(customer_id=lambda t: np.arange(len(t)))
        rfm = pc.RFMSummary.from_frame(table, time_unit="week", carry=["segment"])
        with quiet():
            warnings.filterwarnings("ignore", message=".*fewer than 10 customers")
            fitted = model(
                method="map",
                segment="segment",
                priors=priors | {f"{name}_spread": SPREADS for name in priors},
                random_state=seed,
            ).fit(rfm)
            drawn = [(fitted.posterior_.draws_array(), np.array(list(hyper.values())))]
        n_doubtful += fitted.posterior_.diagnostics["gate"] != "passed"
        for segment in shown:
            own, true = fitted.segments_[segment].posterior_.draws_array(), np.array([list(segments[segment].values())])
            drawn.append((quantities(model, own), quantities(model, true)[0]))
        places.append(
            [place(column, value, rng) for draws, true in drawn for column, value in zip(draws.T, true, strict=True)]
        )
    print(f"{model.__name__}: the gate stayed closed in {n_doubtful} of {n_simulations}")
    assert_even(np.array(places), names)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "priors"), MODELS)
def test_intervals_of_maximum_likelihood_hold(model, priors):
    """Normal intervals on the log scale: of 90 % with thousands of customers, and of less with few, as printed."""
    truth = {name: float(prior.quantile(0.5)) for name, prior in priors.items()}
    true = quantities(model, np.array([list(truth.values())]))[0]
    names, n_simulations = [*priors, *DERIVED[model.KEY]], 300
    for n_customers in (2500, 150):
        held, n_failed = [], 0
        for seed in range(n_simulations):
            rfm = simulate(model, truth, n_customers, 10_000 * n_customers + seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                posterior = model(random_state=seed).fit(rfm).posterior_
            if posterior.diagnostics["runaway"]:
                n_failed += 1
                continue
            table = posterior.summary(0.9)
            low, high = np.quantile(quantities(model, posterior.draws_array()), [0.05, 0.95], axis=0)
            n = len(priors)
            low, high = np.append(table["low"], low[n:]), np.append(table["high"], high[n:])
            held.append((low <= true) & (true <= high))
        share = np.mean(held, axis=0)
        shares = {name: round(float(part), 3) for name, part in zip(names, share, strict=True)}
        print(f"{model.__name__}, {n_customers:,} customers: {shares}; at an edge {n_failed} of {n_simulations}")
        if n_customers == 2500:
            assert n_failed == 0
            p_value = [stats.binomtest(int(count), n_simulations, 0.9).pvalue for count in np.sum(held, axis=0)]
            assert min(p_value) > FAILS / len(names), shares


def test_uneven_ranks_are_found():
    """Posteriors too narrow, too wide or shifted by a quarter fail the tests that true ones pass."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(400)
    for width, shift, even in ((1.0, 0.0, True), (0.75, 0.0, False), (1.35, 0.0, False), (1.0, 0.25, False)):
        # Data that say nothing: the posterior is the prior.
        places = np.array([place(shift + width * rng.standard_normal(63), value, rng) for value in truth])
        assert (min(p_values(places).values()) > 1e-3) == even, (width, shift, p_values(places))
    figure = plot_ranks(np.column_stack([places, rng.random((400, 4))]), ["shifted", *"abcd"])
    assert [ax.get_title() for ax in figure.axes] == ["shifted", *"abcd"]
    heights = [patch.get_height() for patch in figure.axes[0].patches[1:]]
    assert sum(heights) == 400


def test_chains_are_thinned_until_they_forget():
    """Of an autoregression whose effective size is known: what is left is independent."""
    rng, memory = np.random.default_rng(1), 0.8
    chains = np.zeros((2, 6000, 1))
    noise = rng.standard_normal(chains.shape)
    for i in range(1, 6000):
        chains[:, i] = memory * chains[:, i - 1] + np.sqrt(1 - memory**2) * noise[:, i]
    kept = thin(chains, 12_000 * (1 - memory) / (1 + memory))[:, 0]
    assert 400 < len(kept) < 500
    # A standard error is 1 / sqrt(440); 0.8 ** 27 is nothing.
    assert abs(np.corrcoef(kept[1:], kept[:-1])[0, 1]) < 0.15


def firm(rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """A firm of a stated population: its truth, in the words of its manager, varies around what he says of it.

    Purchases a year: log-normal around 4, 0.3 in logs; their range over customers a factor of 2.2 to 4 below and
    above. Still here after a year: 55 to 85 %. Purchases: 30 to 80, times a log-normal factor with 0.3; 30 to 70 % of
    the variance between customers.
    """
    per_year, wide = 4.0 * np.exp(0.3 * rng.standard_normal()), np.exp(rng.uniform(-0.3, 0.3))
    purchases = elicit_purchases(per_year, (per_year / (4 * wide), per_year * 3 * wide))
    alike = np.exp(rng.uniform(np.log(1.5), np.log(6.0)))
    retention = elicit_retention(rng.uniform(0.55, 0.85), purchases=purchases, alike=alike)
    size = np.exp(0.3 * rng.standard_normal())
    spend = elicit_spend((30 * size, 80 * size), between_customers=rng.uniform(0.3, 0.7))
    counts, amounts = (
        {name: float(prior.quantile(0.5)) for name, prior in priors.items()}
        for priors in ({**purchases, **retention}, spend)
    )
    return counts, amounts


@pytest.mark.slow
def test_forty_customers_and_ten_months():
    """Defaults warn; what the manager knows makes intervals that hold, and narrower ones."""
    purchases = elicit_purchases(4, (1, 12))
    known = pc.CLV(
        pc.BGNBD(method="map", priors={**purchases, **elicit_retention(0.7, purchases=purchases)}),
        pc.GammaGamma(method="map", priors=elicit_spend((30, 80))),
    )
    default = pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map"))
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(60):
        parameters, spend = firm(rng)
        simulated = pc.datasets.simulate_rfm(
            n_customers=40,
            parameters=parameters,
            spend=spend,
            T=(4.0, 43.5),
            lattice=7,
            horizons=["1 year"],
            seed=1000 + seed,
        )
        value = simulated.value[0].sum()
        row = {}
        for name, clv in (("maximum likelihood", pc.CLV()), ("default priors", default), ("known", known)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                clv.fit(simulated.rfm)
                row[name, "warned"] = any(issubclass(w.category, ConvergenceWarning) for w in caught)
                if name == "maximum likelihood":
                    continue
                total = clv.portfolio(simulated.rfm, "1 year", n_draws=256).iloc[-1]
            row[name, "held"] = total["clv_low"] <= value <= total["clv_high"]
            row[name, "width"] = (total["clv_high"] - total["clv_low"]) / value
        rows.append(row)
    table = pd.DataFrame(rows)
    for (name, what), column in table.items():
        print(f"{name}, {what}: {column.median() if what == 'width' else column.mean():.3f}")
    assert table["maximum likelihood", "warned"].all()
    assert table["default priors", "warned"].all()
    assert not table["known", "warned"].any()
    assert 0.80 <= table["known", "held"].mean() <= 0.98
    assert table["known", "width"].median() < 0.9 * table["default priors", "width"].median()
