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
# # Coming from lifetimes or pymc-marketing
#
# Call by call, on the data that both know: what you wrote, what you write now, and that the numbers are the same. Where
# they are not, it is said why. At the end is what you could not ask before.

# %%
import importlib.metadata
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter, ModifiedBetaGeoFitter, ParetoNBDFitter
from lifetimes.utils import summary_data_from_transaction_data

import predclv as pc
from predclv.errors import DependenceWarning, HorizonWarning

log = pc.datasets.load_cdnow()
pd.Series(
    {name: importlib.metadata.version(name) for name in ("lifetimes", "pymc-marketing", "pandas")}, name="version"
)

# %% [markdown]
# ## The summary
#
# Two things hide in the arguments of lifetimes. `freq="D"` says which purchases count as one: those of a day, here
# `collapse`. `freq_multiplier=7` says in what time is counted: weeks, here `time_unit`. Both are the defaults here.

# %%
theirs = summary_data_from_transaction_data(
    log, "customer_id", "date", "amount", observation_period_end="1997-09-30", freq="D", freq_multiplier=7
)

rfm = pc.RFMSummary.from_transactions(
    log, customer_id="customer_id", date="date", amount="amount", observation_end="1997-09-30"
)
ours = rfm.to_pandas().set_index("customer_id")
columns = ["frequency", "recency", "T", "monetary_value"]
(theirs[columns] - ours[columns]).abs().max()

# %% [markdown]
# You have a summary already, from lifetimes or a warehouse? `pc.RFMSummary.from_frame(table, time_unit="week")` takes
# it as it is.
#
# ## BG/NBD, its relatives, and Gamma-Gamma
#
# The parameters have the same letters, but for Gamma-Gamma's third: `v` there, the paper's gamma here. They agree to
# four digits, but for Pareto/NBD in lifetimes, which starts at random and stops where it is nearly flat. `low` and
# `high` hold each with 90 % probability.

# %%
repeat = theirs[theirs["frequency"] > 0]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what lifetimes says of itself on a newer NumPy
    np.random.seed(1)  # noqa: NPY002  lifetimes draws its starts from NumPy's global state
    peers = {
        "bg_nbd": BetaGeoFitter().fit(theirs["frequency"], theirs["recency"], theirs["T"]),
        "mbg_nbd": ModifiedBetaGeoFitter().fit(theirs["frequency"], theirs["recency"], theirs["T"]),
        "pareto_nbd": ParetoNBDFitter().fit(theirs["frequency"], theirs["recency"], theirs["T"]),
        "gamma_gamma": GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"]),
    }
    models = {key: pc.MODELS[key]().fit(rfm) for key in peers}

rows = []
for key, peer in peers.items():
    for (letter, value), (_, mine) in zip(peer.params_.items(), models[key].summary.iterrows(), strict=True):
        rows.append((key, letter, mine["parameter"], value, mine["estimate"], mine["low"], mine["high"]))
parameters = pd.DataFrame(rows, columns=["model", "lifetimes", "predclv", "value there", "value here", "low", "high"])
assert np.allclose(parameters["value there"], parameters["value here"], rtol=1e-2)
parameters.round(4)

# %% [markdown]
# ## Forecasts
#
# | lifetimes | predclv |
# |---|---|
# | `conditional_expected_number_of_purchases_up_to_time(t, ...)` | `predict(rfm, horizon=t)["expected_purchases"]` |
# | `conditional_probability_alive(...)` | `p_alive(rfm)`, and `p_alive(rfm, ahead="26 weeks")` |
# | `expected_number_of_purchases_up_to_time(t)` | `CLV().fit(rfm).new_customer(horizon=t)["expected_purchases"]` |
# | `probability_of_n_purchases_up_to_time(t, n)`, of a new one | `purchase_distribution(rfm, horizon=t)`, of each |
# | `conditional_expected_average_profit(...)` | `GammaGamma().fit(rfm).expected_spend(rfm)`, and a column of `CLV` |
# | `customer_lifetime_value(...)` | `CLV().predict(rfm, horizon=..., discount_rate=...)` |

# %%
bg, peer = models["bg_nbd"], peers["bg_nbd"]
table = bg.predict(rfm, horizon="39 weeks").set_index("customer_id")
rows = theirs["frequency"], theirs["recency"], theirs["T"]
compared = pd.DataFrame(
    {
        "purchases there": peer.conditional_expected_number_of_purchases_up_to_time(39, *rows),
        "purchases here": table["expected_purchases"],
        "alive there": peer.conditional_probability_alive(*rows),
        "alive here": table["p_alive"],
    }
)
assert np.allclose(compared["purchases there"], compared["purchases here"], rtol=1e-3)
compared.sort_values("purchases here", ascending=False).head(4).round(4)

# %% [markdown]
# ## CLV, and why it differs by half a percent
#
# lifetimes takes a rate a *month* and discounts each month's purchases from the month's end; here the rate is a
# *year's* and every purchase is discounted from where it falls. At no discount the two agree, but for the
# length of a year: 52.14 weeks there, 52.18 here.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", (DependenceWarning, HorizonWarning))  # told in the notebook "start here"
    clv = pc.CLV().fit(rfm)
    rows = []
    for monthly in (0.0, 0.01):
        there = peers["gamma_gamma"].customer_lifetime_value(
            peer, theirs["frequency"], theirs["recency"], theirs["T"],
            theirs["monetary_value"], time=12, discount_rate=monthly, freq="W",
        )  # fmt: skip
        here = clv.predict(rfm, horizon="1 year", discount_rate=1.01**12 - 1 if monthly else 0.0)
        rows.append((f"{monthly:.0%} a month", there.sum(), here["expected_clv"].sum()))
values = pd.DataFrame(rows, columns=["discount", "there", "here"]).assign(ratio=lambda t: t["here"] / t["there"])
values.round(4)

# %% [markdown]
# The other two calls of the table, a new customer's purchases in 39 weeks and the spend that is expected of each:

# %%
new = clv.new_customer(horizon="39 weeks")["expected_purchases"].iloc[0]
spend = models["gamma_gamma"].expected_spend(rfm)["expected_spend"]
spend_there = peers["gamma_gamma"].conditional_expected_average_profit(theirs["frequency"], theirs["monetary_value"])
assert np.isclose(peer.expected_number_of_purchases_up_to_time(39), new, rtol=1e-3)
assert np.allclose(spend_there, spend, rtol=1e-3)
pd.DataFrame(
    {"there": [peer.expected_number_of_purchases_up_to_time(39), spend_there.mean()], "here": [new, spend.mean()]},
    index=["purchases of a new customer", "mean of the spends expected"],
).round(4)

# %% [markdown]
# ## The rest of lifetimes
#
# | lifetimes | predclv |
# |---|---|
# | `penalizer_coef=0.01` | a prior that says what it means: `BGNBD(method="map", priors=...)` |
# | `calibration_and_holdout_data` | `pc.split_transactions(log, at=..., holdout_end=...)` |
# | `plot_frequency_recency_matrix`, `plot_probability_alive_matrix` | `pc.plots.plot_frequency_recency` |
# | `plot_history_alive` | `pc.plots.follow_customer`, `plot_alive_history`; `clv.explain(rfm, customer_id)` |
# | `plot_period_transactions`, `plot_calibration_purchases_vs_holdout_purchases` | `pc.checks` and its plots |
# | `save_model` (pickle by dill) | `save`, `pc.load`: JSON and Parquet, nothing in it is run |

# %%
split = pc.split_transactions(log, amount="amount", at="1997-09-30", holdout_end="1998-06-30")
fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
pc.plots.plot_frequency_recency(bg, horizon="39 weeks", ax=axes[0])
pc.plots.plot_calibration(pc.plots.check_holdout(bg, split, by="frequency"), by="frequency", ax=axes[1])

# %% [markdown]
# ## From pymc-marketing
#
# | pymc-marketing | predclv |
# |---|---|
# | `clv.BetaGeoModel(data).fit()`, NUTS | `pc.BGNBD(method="mcmc").fit(rfm)`, or `"auto"` |
# | `fit(method="map")` | `method="map"`, with draws behind its intervals |
# | `model_config={"a": Prior("HalfNormal")}` | `priors={"a": ...}`, on the paper's parameters |
# | `expected_purchases(data, future_t=39)`, draws × customers | `predict(rfm, horizon="39 weeks")`, a table |
# | `expected_probability_alive(data)` | the column `p_alive` |
# | `expected_customer_lifetime_value(...)` | `pc.CLV(...).predict(...)` |
# | `idata` | `posterior_.to_arviz()` |
# | `ShiftedBetaGeoModel` | `pc.SBG()`, on `pc.Subscriptions` |
#
# Its interval is that of the *mean*: parameter uncertainty alone. It is here too, as `expected_clv_low` and
# `expected_clv_high`; what a customer will really do lies in `clv_low` to `clv_high`. `notebooks/full_bayes.ipynb` has
# both posteriors side by side.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", (DependenceWarning, HorizonWarning))
    future = clv.predict(rfm, horizon="39 weeks", discount_rate=0.0)
spent = split.holdout["spend"].to_numpy()
held = {
    "interval of the mean, as others print it": (future["expected_clv_low"], future["expected_clv_high"]),
    "interval of the outcome": (future["clv_low"], future["clv_high"]),
}
pd.Series(
    {name: np.mean((spent >= low) & (spent <= high)) for name, (low, high) in held.items()},
    name="customers whose spend of the next 39 weeks it held, at 90 %",
).map("{:.1%}".format)

# %% [markdown]
# ## What you could not ask before
#
# The chance of every number of purchases of a given customer, heavy buyers included; totals with intervals; and whether
# any of it was true at past dates (`pc.backtest`), beside other methods.

# %%
best = future["expected_clv"].to_numpy().argmax()
pmf = bg.purchase_distribution(rfm[[best]], horizon="39 weeks")
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.bar(pmf["n"], pmf["probability"], color="C0")
ax.set_xlim(-0.5, 45)
ax.set_xlabel("purchases in 39 weeks")
ax.set_ylabel("probability")
ax.set_title(f"Customer {rfm.customer_id[best]}, who bought {rfm.frequency[best] + 1} times in {rfm.T[best]:.0f} weeks")

# %% [markdown]
# ## The sentence to say in the meeting
#
# > “We changed the library and the forecasts stayed the same to the third digit; what is new is that the intervals hold
# > what customers then do.”
