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
# # The models, and when each is right
#
# All say two things of a customer: how often he buys while he is one, and how he leaves. They differ in the second, and
# in how regular they take the first to be. The choice is made by how your customers can leave, checked by how the data
# rank the models, and settled by a backtest.
#
# | how customers leave | model |
# |---|---|
# | unseen, right after a repeat purchase | `BGNBD` |
# | unseen, right after any purchase, the first too | `MBGNBD` |
# | unseen, at any moment | `ParetoNBD` |
# | as the first two, and they buy regularly (groceries) | `BGCNBD`, `MBGCNBD` |
# | unseen, and they buy or not at each of whole opportunities (a gift a year) | `BGBB` |
# | seen: a contract ends | `SBG`; `BDW` where the single customer changes with tenure |
# | never | `NBD`, to be compared with |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import predclv as pc

log = pc.datasets.load_cdnow()
split = pc.split_transactions(log, at="1997-09-30", holdout_end="1998-06-30")

# %% [markdown]
# ## One log, four models
#
# By likelihood the data prefer some; by what came in the 39 weeks after, all that know of leaving are near each other,
# and the one that does not is far off. That is the usual picture: *that* customers leave matters more than *how*.

# %%
keys = ["nbd", "bg_nbd", "mbg_nbd", "pareto_nbd"]
found = pc.compare(split.calibration, keys, holdout=split)
found.table.round(3)

# %% [markdown]
# Where they do differ is in what they say of single customers. Someone who bought once, and not again for nine
# months, is certainly alive for BG/NBD, for he had no repeat purchase to leave after. Alive or not, he will hardly be
# seen again: read `p_purchase`, in which the models with dropout differ far less.

# %%
once = pc.RFMSummary.from_frame(
    pd.DataFrame(
        {"customer_id": ["once", "five times"], "frequency": [0, 4], "recency": [0.0, 12.0], "T": [38.0, 38.0]}
    ),
    time_unit="week",
)
models = {key: pc.MODELS[key]().fit(split.calibration) for key in keys}
pd.concat({key: model.predict(once, horizon="39 weeks").set_index("customer_id") for key, model in models.items()})[
    ["p_alive", "p_purchase", "expected_purchases"]
].swaplevel().sort_index().round(2)

# %%
fig, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained", sharey=True)
for ax, key in zip(axes, keys[1:], strict=True):
    pc.plots.plot_frequency_recency(models[key], max_frequency=15, ax=ax)
    ax.set_title(type(models[key]).__name__, loc="left")

# %% [markdown]
# ## Regular buyers
#
# Someone who shops every Saturday and missed three is gone; someone who shops at random is not. `regularity` tells from
# the log whether gaps are more even than chance. Here they are simulated so, two events to a purchase.

# %%
shop = pc.datasets.simulate(
    "mbg_cnbd",
    n_customers=1_500,
    k=2,
    parameters={"r": 1.5, "alpha": 1.5, "a": 0.6, "b": 3.0},
    births="12 weeks",
    observed="39 weeks",
    holdout="26 weeks",
    resolution="day",
    seed=3,
)
regular = pc.split_transactions(shop.log, at=shop.observation_end, holdout_end=shop.end, regularity=True)
print(regular.calibration.regularity())
found = pc.compare(regular.calibration, ["bg_nbd", "mbg_nbd", "mbg_cnbd"], holdout=regular)
found.table.round(3)

# %% [markdown]
# What regularity buys is certainty about who is gone: the silence of a regular customer is louder.

# %%
silent = pc.RFMSummary.from_frame(
    pd.DataFrame({"customer_id": range(12), "frequency": 8, "recency": 16.0, "T": 16.0 + np.arange(12)}).assign(
        log_itt=8 * np.log(2.0)
    ),
    time_unit="week",
)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for model in (pc.MBGNBD(), pc.MBGCNBD(k=2)):
    alive = model.fit(regular.calibration).p_alive(silent)["p_alive"]
    ax.plot(np.arange(12), alive, marker="o", label=type(model).__name__)
ax.set_xlabel("weeks since the last purchase, of one who bought every other week")
ax.set_ylabel("P(alive)")
ax.set_ylim(0, 1.02)
ax.legend(frameon=False)

# %% [markdown]
# ## Opportunities
#
# A donor gives once a year or does not. Between years time says nothing, so years are counted and not measured. Six
# years of 11,104 donors are 22 distinct histories (Fader, Hardie & Shang 2010, table 1).

# %%
donors = pc.RFMSummary.from_frame(
    pc.datasets.load_donations().rename(columns={"periods": "T", "weights": "donors"}),
    opportunities="year",
    weight="donors",
)
bgbb = pc.BGBB().fit(donors)
ahead = bgbb.predict(donors, horizon="5 years")
ahead.insert(0, "donors", pc.datasets.load_donations()["weights"])
ahead.sort_values("expected_purchases", ascending=False).head(5)[["donors", "p_alive", "expected_purchases"]].round(3)

# %% [markdown]
# ## Contracts
#
# Where leaving is seen, nothing has to be guessed of the past; what is unknown is who will renew. Retention rises with
# tenure because those likely to leave have left, not because customers grow loyal: `SBG` says so much with two numbers.

# %%
cohort = pc.datasets.load_retention().loc["High End", :7]
subs = pc.Subscriptions.from_cohorts(cohort, values="percent", size=1000, period="year")
actual = pc.datasets.load_retention().loc["High End"] / 100
curve = pc.SBG().fit(subs).retention_curve(12)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(actual.index, actual, color="black", marker="o", label="actual")
ax.plot(curve["period"], curve["survival"], label="SBG, fitted on seven years")
ax.axvline(7, color="grey", linestyle=":")
ax.set_xlabel("years")
ax.set_ylabel("share still subscribed")
ax.set_ylim(0, 1.02)
ax.legend(frameon=False)

# %% [markdown]
# ## When none of them is right
#
# Customers who come back after years away, purchases that others decide (wholesale), a season that carries the year, or
# prices that changed on the way: all of these models take a customer's rhythm as his own and steady. `pc.checks` shows
# where the data contradict that, `pc.backtest` what it costs, and covariates and segments take some of it in.
#
# ## The sentence to say in the meeting
#
# > “We asked first how our customers can leave, and chose the model by that. The data agree. In the nine months that
# > came after, any model in which customers leave did as well; one in which nobody does was more than half too high.”
