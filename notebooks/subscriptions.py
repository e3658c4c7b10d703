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
# # Subscribers: who stays, and what they will bring
#
# A subscriber who leaves is seen to leave. What is not seen is how long those who are here now will stay. This notebook
# projects retention from seven years of two cohorts that were followed for twelve, and then takes a log of
# subscriptions from its first line to what to say in the meeting.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import predclv as pc

table = pc.datasets.load_retention()
table.head()

# %% [markdown]
# ## The average rate of renewal is the wrong thing to multiply out
#
# Percent of two cohorts who are left after so many years (Fader & Hardie 2007, table 1). Suppose that it is the end of
# year 7. The plain way is to take the average rate of renewal so far and to go on with it. But the rate rises every
# year: those likely to leave leave first. In `SBG`, the shifted beta-geometric model, each customer has a chance of his
# own to leave, and nobody changes.

# %%
seven = pc.Subscriptions.from_cohorts(table.loc[:, :7], values="percent", size=1000, price=240.0)
cohorts = {name: seven[seven.carried["cohort"] == name] for name in table.index}
models = {name: pc.SBG().fit(one) for name, one in cohorts.items()}
rows = []
for name, one in cohorts.items():
    seen = one.observed_retention()
    average = seen["renewed"].sum() / seen["at_risk"].sum()
    curve = models[name].retention_curve(12).iloc[-1]
    rows.append(
        {
            "cohort": name,
            "left in year 7": table.loc[name, 7] / 100,
            "year 12, average rate": table.loc[name, 7] / 100 * average**5,
            "year 12, SBG": curve["survival"],
            "low": curve["survival_low"],
            "high": curve["survival_high"],
            "year 12, actual": table.loc[name, 12] / 100,
        }
    )
pd.DataFrame(rows).set_index("cohort").round(3)

# %%
full = pc.Subscriptions.from_cohorts(table, values="percent", size=1000)
fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, name in zip(axes, table.index, strict=True):
    pc.plots.plot_retention(models[name].retention_curve(12), full[full.carried["cohort"] == name], ax=ax)
    ax.axvline(7, color="grey", lw=0.8, ls=":")

# %% [markdown]
# Right of the dotted line lies what the model had not seen.
#
# ## A customer who has stayed is worth more
#
# DERL is the discounted expected residual lifetime: what a payment of 1 a year is worth, just before the next renewal
# is due. One customer of each tenure, and the chance of the next renewal:

# %%
each = pc.Subscriptions.from_frame(pd.DataFrame({"tenure": range(8), "ended": False, "price": 240.0}), period="year")
models["High End"].by_tenure(each, discount_rate=0.10).iloc[:, [0, 2, 3, 4, 6, 7, 8]].round(2)

# %% [markdown]
# ## Would customers of this model look like ours?
#
# `check_survivors` draws parameters from the posterior and lets every contract start anew. One model for both cohorts
# together describes how losses fall with time, and cannot bring about that one cohort loses so many more than the
# other. Each cohort alone is as its model says.

# %%
both = pc.checks.check_survivors(pc.SBG().fit(seven), seven)
alone = pc.checks.check_survivors(models["Regular"], cohorts["Regular"])
fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
pc.plots.plot_survivors(both, ax=axes[0])
pc.plots.plot_survivors(alone, ax=axes[1])
both.p_values[["quantity", "observed", "expected", "low", "high", "p_value"]].round(3)

# %% [markdown]
# ## From a log
#
# Firms have a row for each subscription: who, from when, until when, at what price. Here is a simulated one, of three
# years. We stand at the end of June 2024; `after_end="cut"` hides what came later. Renewals are counted by the
# calendar, from each start.

# %%
log = pc.datasets.simulate_subscriptions("sbg", n_customers=5_000, seed=7).log
subs = pc.Subscriptions.from_log(
    log, price="price", period="month", observation_end="2024-06-30", after_end="cut", currency="EUR"
)
print(subs)
log.head()

# %%
subs.quality[["what", "count", "total", "unit"]]

# %% [markdown]
# ## Does the single customer change?
#
# `BDW` has one parameter more, for a chance to leave that falls or rises with a customer's tenure. These customers do
# not change (they are simulated so), and the comparison does not claim that they do.

# %%
found = pc.compare(subs, ["sbg", "bdw"])
print(found)
found.nested.round(3)

# %% [markdown]
# ## What they are worth, each and all
#
# The same `CLV` object as for purchases, with the same columns: `p_purchase` is the chance of at least one renewal
# within the horizon, and the price is the contract's own. The period that is paid for is not in the value.

# %%
clv = pc.CLV(pc.SBG()).fit(subs)
customers = clv.predict(subs, horizon="6 months", margin=0.7)
customers[~subs.ended].sort_values("expected_clv", ascending=False).head(5).round(2)

# %%
total = clv.portfolio(subs, horizon="6 months", margin=0.7)
total[["customers", "expected_buyers", "expected_purchases", "expected_clv", "clv_low", "clv_high"]].round(0)

# %%
revenue = clv.transactions_.recurring_revenue(subs, "6 months")
fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
pc.plots.plot_retention(clv.transactions_.retention_curve(36), subs, what="retention", ax=axes[0])
pc.plots.plot_recurring_revenue(revenue, currency="EUR", ax=axes[1])

# %% [markdown]
# ## Was it true?
#
# The log goes on until December. Who ran at the end of June, and still ran then?

# %%
later = pc.Subscriptions.from_log(log, price="price", period="month", observation_end="2024-12-31")
here = np.isin(later.customer_id, subs.customer_id[~subs.ended])
left = here & ~later.ended
end = revenue.iloc[-1]
forecast = ["expected_customers", "customers_low", "customers_high", "expected_mrr", "mrr_low", "mrr_high"]
print(end[forecast].astype(float).round(0).to_string())
print(f"actual: {left.sum():,} subscribers, {later.price[left].sum():,.0f} EUR a month")

# %%
renewals = (later.tenure[here] - subs.tenure[~subs.ended]).astype(int)
row = total.iloc[-1]
low, high = row["purchases_low"], row["purchases_high"]
print(f"renewals: {row['expected_purchases']:,.0f} expected, {low:,.0f} to {high:,.0f}; {renewals.sum():,} were made")

# %% [markdown]
# `pc.write_report("subscribers.html", clv=clv, rfm=subs, horizon="6 months", margin=0.7)` writes all of this as one
# page for those who decide, with what to distrust; `predclv contracts run` does so from a shell.
#
# ## The sentence to say in the meeting
#
# > “Of the 1,748 subscribers we have at the end of June, 1,319 will still be here at the end of December, 90 % sure
# > between 1,285 and 1,352. They pay 19,300 EUR a month now and will pay 14,500 then, and bring 66,000 in contribution
# > until then. Newcomers have to make up for the rest: one in seven leaves at the first renewal, after two
# > years two in a hundred a month.”
