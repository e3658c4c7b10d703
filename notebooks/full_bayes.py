# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Full Bayes, and priors from what you know
#
# Maximum likelihood gives one set of parameters. A posterior gives all those that the data and your knowledge leave
# possible, and every forecast carries them. This notebook says what you know as priors, fits CDNOW two ways, checks
# the model against replicated data, and lets small segments borrow strength from large ones.

# %%
import logging
import warnings

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm

import predclv as pc
from predclv.priors import elicit_purchases, elicit_retention, elicit_spend, predict_prior

split = pc.split_transactions(
    pc.datasets.load_cdnow(), amount="amount", time_unit="week", at="1997-09-30", holdout_end="1998-06-30"
)
rfm = split.calibration
print(rfm)

# %% [markdown]
# ## What you know, before any data
#
# “Customers buy about four times a year, most of them between one and twelve; 70 % are still with us after a year; a
# purchase is 30 to 80 euro.” Three helpers turn that into priors, and `predict_prior` turns the priors back into
# customers, so that you can see whether you meant it.

# %%
counts = elicit_purchases(per_year=4, between=(1, 12))
counts |= elicit_retention(0.70, after_years=1, purchases=counts)
spend = elicit_spend(between=(30, 80))
pc.plots.plot_prior_predictive(predict_prior(counts | spend))

# %% [markdown]
# Without such knowledge the defaults are wide, and go by the data's own scale: the same prior in days and in weeks.

# %%
pc.BGNBD(method="map").priors_table(rfm).drop(columns="meaning").round(2)

# %% [markdown]
# ## One posterior, two ways to it
#
# `method="map"` climbs to the mode and draws by importance sampling, in a tenth of a second, and says itself if that
# will do: k-hat below 0.5, and two proposals that agree. `method="mcmc"` runs NUTS on the same compiled likelihood.

# %%
sampled = pc.BGNBD(method="map").fit(rfm)
chains = pc.BGNBD(method="mcmc", draws=5_000, progressbar=False).fit(rfm)
wanted = ("k_hat", "effective_sample_size", "gate")
print({name: sampled.posterior_.diagnostics[name] for name in wanted})
wanted = ("n_chains", "n_draws", "n_divergences", "worst_r_hat", "least_ess_bulk")
print({name: chains.posterior_.diagnostics[name] for name in wanted})

# %% [markdown]
# The 1,024 draws of importance sampling and the 20,000 of NUTS agree within their Monte Carlo errors. Columns
# `difference` are in standard errors of that difference: beyond 3.3 once in 130 such tables of eight.

# %%
short, long = np.log(sampled.posterior_.draws), np.log(chains.posterior_.chains.flat())
size = sampled.posterior_.diagnostics["effective_sample_size"]
by_chain = np.log(chains.posterior_.chains.values)
rows = []
for i, name in enumerate(short):
    one, many = short[name].to_numpy(), long[:, i]
    effective = float(az.ess(by_chain[:, :, i], method="mean"))
    # Of n draws chosen out of the weighted points, the error is that of the points and of the choice.
    n = 1 / (1 / size + 1 / len(one))
    error_of_mean = many.std() * np.sqrt(1 / n + 1 / effective)
    error_of_sd = many.std() * np.sqrt(0.5 / n + 0.5 / float(az.ess(by_chain[:, :, i], method="sd")))
    rows.append(
        {
            "parameter": f"log {name}",
            "importance mean": one.mean(),
            "NUTS mean": many.mean(),
            "difference": (one.mean() - many.mean()) / error_of_mean,
            "importance sd": one.std(),
            "NUTS sd": many.std(),
            "difference of sd": (one.std() - many.std()) / error_of_sd,
        }
    )
agreement = pd.DataFrame(rows)
assert agreement[["difference", "difference of sd"]].abs().to_numpy().max() < 3.3
agreement.round(3)

# %% [markdown]
# ## Beside pymc-marketing
#
# The same model and data under pymc-marketing's own priors (Weibull on r and alpha, uniform and Pareto on the dropout).
# Where the data speak, r and alpha, the posteriors are one; a and b shift with the priors, by a third of their spread.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymc_marketing.clv import BetaGeoModel

    logging.getLogger("pymc").setLevel(logging.ERROR)
    table = rfm.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    peer = BetaGeoModel(data=table)
    peer.fit(method="mcmc", random_seed=1, chains=2, cores=1, progressbar=False)
theirs = peer.idata.posterior

fig, axes = plt.subplots(1, 4, figsize=(13, 3), layout="constrained")
for axis, (i, name) in zip(axes, enumerate(short), strict=True):
    for draws, label in ((long[:, i], "predclv, NUTS"), (short[name], "predclv, importance sampling")):
        az.plot_kde(np.asarray(draws), ax=axis, label=label if i == 0 else None)
    az.plot_kde(np.log(theirs[name].to_numpy().ravel()), ax=axis, plot_kwargs={"ls": "--"})
    axis.set(title=f"log {name}", yticks=[])
for line, color in zip(axes[0].lines, ("C0", "C1", "C2"), strict=True):
    line.set_color(color)
for axis in axes[1:]:
    for line, color in zip(axis.lines, ("C0", "C1", "C2"), strict=True):
        line.set_color(color)
_ = axes[0].legend(axes[0].lines, ["NUTS", "importance sampling", "pymc-marketing"], fontsize=8, loc="upper left")

# %% [markdown]
# ## The tools of ArviZ
#
# `to_arviz` gives prior, posterior, predictive, data and sampler statistics; pointwise likelihoods are there too, so
# models can be compared by PSIS-LOO. `loo` works on distinct histories with their weights, and is the same number.

# %%
idata = chains.posterior_.to_arviz()
az.summary(idata, var_names=["r", "alpha", "a", "b"])

# %%
az.plot_pair(idata, var_names=["r", "alpha", "a", "b"], divergences=True, marginals=True, figsize=(7, 7))

# %%
chains.posterior_.loo()

# %% [markdown]
# ## Would customers of this model look like ours?
#
# Replicate the customers from the posterior, many times, and see where the real ones lie. What the parameters were
# fitted to can hardly miss; what they were not can. CDNOW's spend does: frequent buyers pay more per purchase, and the
# mean spends pile up at 10 to 20, where the model has a smooth hump. Counts and the silence since the last purchase are
# fine.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the dependence of spend on frequency, which the check below shows
    amounts = pc.GammaGamma(method="map").fit(rfm)
frequencies, recency = pc.checks.check_frequencies(chains, rfm), pc.checks.check_recency(chains, rfm)
baskets = pc.checks.check_spend(amounts, rfm)
fig, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
pc.plots.plot_frequency_histogram(frequencies, ax=axes[0])
pc.plots.plot_spend_density(baskets, ax=axes[1])

# %%
pc.plots.plot_p_values(frequencies, recency, baskets)

# %% [markdown]
# ## Extend the model
#
# `to_pymc` is a PyMC model with named variables, dims and data. Add to it what you like.

# %%
with pc.BGNBD().to_pymc(rfm) as model:
    pm.Deterministic("mean_rate_per_year", 52.18 * model["r"] / model["alpha"])
print(", ".join(variable.name for variable in model.unobserved_RVs), "given", ", ".join(model.named_vars_to_dims))

# %% [markdown]
# ## Segments that share strength
#
# A seller to firms has thousands of small customers, some dozens of large ones, and one ministry. Separate fits of the
# small segments are noise; one fit for all is wrong about each. With `segment=` every segment has parameters of its
# own, pulled to what all have in common as far as its data are few. Here the truth is known.

# %%
truth = {
    "small business": {"r": 0.5, "alpha": 9.0, "a": 0.9, "b": 2.5},
    "mid-size": {"r": 0.7, "alpha": 7.0, "a": 0.7, "b": 2.8},
    "enterprise": {"r": 1.1, "alpha": 6.0, "a": 0.5, "b": 3.2},
    "partners": {"r": 0.8, "alpha": 8.0, "a": 0.8, "b": 2.6},
    "ministry": {"r": 0.9, "alpha": 7.0, "a": 0.6, "b": 3.0},
}
sizes = {"small business": 3_000, "mid-size": 400, "enterprise": 40, "partners": 25, "ministry": 1}
frames = [
    pc.datasets.simulate_rfm(n_customers=sizes[name], T=(8.0, 52.0), lattice=7, parameters=parameters, seed=seed)
    .rfm.to_pandas()
    .assign(segment=name)
    for seed, (name, parameters) in enumerate(truth.items())
]
customers = pd.concat(frames, ignore_index=True)
customers["customer_id"] = np.arange(len(customers))
firms = pc.RFMSummary.from_frame(customers, time_unit="week", carry=["segment"])

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pooled = pc.BGNBD(method="map", segment="segment").fit(firms)
    pooled.posterior_.draws_array()  # made at first use, with a warning where they are doubtful
for warning in caught:
    print(f"{warning.category.__name__}: {warning.message}")


# %%
def purchases_a_year(model):
    """Mean and 90 % interval of a new customer's repeat purchases in the first year, over the draws."""
    zero = np.zeros(1)
    expected = model.bindings.expected_purchases(zero, zero, zero, 52.18, model.posterior_.draws_array())[:, 0]
    return expected.mean(), *np.quantile(expected, [0.05, 0.95])


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that default priors decide for forty customers
    separate = {
        name: pc.BGNBD(method="map").fit(firms[(customers["segment"] == name).to_numpy()])
        for name in sizes
        if name != "ministry"  # one customer who never came back is no data for a model
    }
everyone = pc.BGNBD(method="map").fit(firms)

fig, axis = plt.subplots(figsize=(9, 4), layout="constrained")
for row, name in enumerate(sizes):
    zero = np.zeros(1)
    true = pc.BGNBD().bindings.expected_purchases(zero, zero, zero, 52.18, np.array([list(truth[name].values())]))[0, 0]
    axis.plot(true, row, "k|", markersize=22, label="truth" if row == 0 else None)
    for offset, color, label, model in (
        (-0.2, "C1", "separate fits", separate.get(name)),
        (0.0, "C7", "one fit for all", everyone),
        (0.2, "C0", "sharing strength", pooled.segments_[name]),
    ):
        if model is None:
            continue
        mean, low, high = purchases_a_year(model)
        axis.plot([low, high], [row + offset] * 2, color=color)
        axis.plot(mean, row + offset, "o", color=color, label=label if row == 0 else None)
axis.set_yticks(range(len(sizes)), [f"{name} ({n:,})" for name, n in sizes.items()])
axis.set_xlabel("repeat purchases of a new customer in the first year")
axis.invert_yaxis()
_ = axis.legend(loc="lower right")

# %% [markdown]
# Forecasts take each customer's own segment; totals by segment belong together draw by draw.

# %%
pooled.predict(firms, horizon="26 weeks").sample(5, random_state=1).round(2)

# %% [markdown]
# ## The sentence to say in the meeting
#
# > “We did not bet on one set of parameters: the forecast holds all that the data and our own experience allow. Where a
# > segment is small we say so, and lean on the others exactly as far as they are alike.”
