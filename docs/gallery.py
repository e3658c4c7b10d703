"""The gallery's pictures: each cell is shown beside what it draws. `make docs` runs it."""
# ruff: noqa: E402

# %% setup: One log, one fit to its first 39 weeks, and the 39 weeks after.
import predclv as pc
from predclv import checks, plots

log = pc.datasets.load_cdnow()
split = pc.split_transactions(log, amount="amount", at="1997-09-30", holdout_end="1998-06-30")
rfm = split.calibration
clv = pc.CLV(pc.MBGNBD(), pc.GammaGamma()).fit(rfm)
model = clv.transactions_
customers = clv.predict(rfm, horizon="39 weeks")

# %% [group] Customers: Who is still there, and who will come back.

# %% plot_frequency_recency: Whom to expect back, by how often and how lately they bought.
plots.plot_frequency_recency(model, horizon="39 weeks")

# %% plot_alive_history: One customer's chance of being there, purchase by purchase.
history = checks.follow_customer(model, ["1997-01-05", "1997-02-20", "1997-03-04"], until="1997-09-30")
plots.plot_alive_history(history, name="1042")

# %% plot_explanation: Why one customer's forecast is what it is, and what would change it.
dates = log.loc[log["customer_id"] == 157, "date"]
plots.plot_explanation(clv.explain(rfm, 157, horizon="39 weeks", purchases=dates[dates <= "1997-09-30"]))

# %% [group] Does the model fit?: What customers did, beside what customers of the model would do.

# %% plot_tracking: Purchases of all customers, week by week, into the time that the fit has not seen.
tracking = checks.track_purchases(model, pc.purchase_timeline(log, by="day"))
plots.plot_tracking(tracking)

# %% plot_frequency_histogram: How many customers came back how often.
frequencies = checks.check_frequencies(model, rfm)
plots.plot_frequency_histogram(frequencies)

# %% plot_recency: How long customers have been silent.
recency = checks.check_recency(model, rfm)
plots.plot_recency(recency)

# %% plot_spend_density: Mean spend of repeat buyers.
spend = checks.check_spend(clv.spend_, rfm)
plots.plot_spend_density(spend)

# %% plot_calibration: Purchases in the holdout, by purchases before.
holdout = checks.check_holdout(model, split)
plots.plot_calibration(holdout)

# %% plot_p_values: Every check on one page, as p-values.
plots.plot_p_values(frequencies, recency, spend, holdout)

# %% plot_comparison: Which model the data prefer, and by how much more than noise; `Comparison.plot`.
compared = pc.compare(rfm, ["nbd", "bg_nbd", "mbg_nbd", "pareto_nbd"], holdout=split)
compared.plot()  # or plots.plot_comparison(compared)

# %% [group] Value: What customers are worth, and how unevenly.

# %% plot_value_distribution: How value is spread over customers.
plots.plot_value_distribution(customers, currency="USD")

# %% plot_lorenz_curve: How much of the value the best customers hold.
plots.plot_lorenz_curve(customers)

# %% plot_portfolio: What each segment is worth, with the interval of its total.
weeks = log.groupby("customer_id")["date"].transform("min").dt.strftime("%B")
by_month = pc.RFMSummary.from_transactions(
    log.assign(month=weeks), amount="amount", observation_end="1997-09-30", carry=["month"]
)
plots.plot_portfolio(clv.portfolio(by_month, "39 weeks", by="month", n_draws=256), currency="USD")

# %% plot_pareto: Is it 80/20? The best in hindsight, those expected to be best, and the past; `ParetoCurve.plot`.
from predclv import decisions

decisions.pareto_curve(clv, rfm, "39 weeks").plot()  # plots.plot_pareto(curve.curve)

# %% plot_tiers: What tiers, RFM segments or any other hold of the value; `CustomerTiers.plot`.
tiers = decisions.assign_tiers(clv, rfm, "39 weeks", method="value")
tiers.plot()  # plots.plot_tiers(tiers.table)

# %% plot_migration: Who went from which tier to which by the next snapshot; `TierMigration.plot`.
later = pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1998-06-30")
migration = decisions.tier_migration(tiers, decisions.assign_tiers(clv, later, "39 weeks", cuts=tiers.cuts))
migration.plot()  # plots.plot_migration(migration.counts)

# %% [group] Priors and covariates: What is said before the data, and what moves customers.

# %% plot_prior_predictive: What priors say of customers, before any data.
counts = pc.priors.elicit_purchases(per_year=4, between=(1, 12))
plots.plot_prior_predictive(pc.priors.predict_prior(counts), "purchases")

# %% plot_effects: What covariates do to buying and leaving.
import numpy as np

rng = np.random.default_rng(1)
columns = {"channel": rng.choice(["mail", "search"], 4000), "age": rng.uniform(20, 60, 4000)}
simulated = pc.datasets.simulate_rfm(
    n_customers=4000, covariates=columns, purchase_effects={"age": 0.02}, dropout_effects={"channel=search": 0.8}
)
covariates = dict(purchase_covariates=["channel", "age"], dropout_covariates=["channel", "age"])
plots.plot_effects(pc.BGNBD(**covariates).fit(simulated.rfm))

# %% plot_penalty_path: How the coefficients come in as the penalty falls, and which penalty was chosen.
plots.plot_penalty_path(pc.BGNBD(**covariates, penalty="cv").fit(simulated.rfm))

# %% [group] Which method to trust: A backtest's pictures, each a method of the result and a function of its tables.

# %% plot_scores: Whose forecasts are closer, and is that more than noise? `Backtest.plot_scores`.
result = pc.backtest(
    log,
    amount="amount",
    methods=["bg_nbd", "naive", "zero", "linear"],
    cutoffs=["1997-09-30", "1997-12-30"],
    horizons=["26 weeks"],
    n_bootstrap=100,
    progressbar=False,
)
result.plot_scores("crps")  # plots.plot_scores(result.scores)

# %% plot_method_tracking: The course of purchases after a cut-off, by each method; `Backtest.plot_tracking`.
result.plot_tracking()  # plots.plot_method_tracking(result.tracks)

# %% plot_total_tracking: Expected over actual total, cut-off by cut-off; `Backtest.plot_totals`.
result.plot_totals()  # plots.plot_total_tracking(result.totals)

# %% plot_calibration_by_decile: Expected against actual, by decile of the forecast; `Backtest.plot_calibration`.
result.plot_calibration()  # plots.plot_calibration_by_decile(result.deciles)

# %% plot_pit: Do the predictive distributions hold? Flat where they do; `Backtest.plot_pit`.
result.plot_pit()  # plots.plot_pit(result.pit)

# %% plot_reliability: Of customers with a stated chance to buy, how many did; `Backtest.plot_reliability`.
result.plot_reliability()  # plots.plot_reliability(result.reliability)

# %% plot_gains: What the customers ranked highest really brought; `Backtest.plot_gains`.
result.plot_gains()  # plots.plot_gains(result.gains)

# %% plot_score_against_cost: What a better score costs in processor time; `Backtest.plot_cost`.
result.plot_cost()  # plots.plot_score_against_cost(result.scores, result.runs)

# %% [group] Contracts: Who stays, and what they will pay.

# %% plot_retention: Who is left after each renewal, beyond the years that were seen.
survivors = pc.datasets.load_retention().loc["Regular", :7]
subs = pc.Subscriptions.from_cohorts(survivors, values="percent", size=1000, price=240.0, observation_end="2024-12-31")
sbg = pc.SBG().fit(subs)
plots.plot_retention(sbg.retention_curve(12), subs)

# %% plot_recurring_revenue: What those who are here will pay, period by period.
plots.plot_recurring_revenue(sbg.recurring_revenue(subs, "5 years", n_draws=256), currency="USD")

# %% plot_survivors: Are cohorts and tenures like the model's?
plots.plot_survivors(checks.check_survivors(sbg, subs))

# %% [group] Decisions: What may be paid for a customer.

# %% plot_ratios: Value of a new customer over the cost of winning one; `Acquisition.plot_ratios`.
channels = log.assign(channel=log["customer_id"].map(lambda i: "search" if i % 3 else "mail"))  # yours has its own
by_channel = pc.RFMSummary.from_transactions(channels, amount="amount", observation_end="1998-06-30", carry=["channel"])
pooled = pc.CLV(pc.BGNBD(method="map", segment="channel"), pc.GammaGamma(method="map", segment="channel"))
won = pc.decisions.assess_acquisition(
    pooled.fit(by_channel), {"search": 12.0, "mail": 5.0}, margin=0.3, horizon="1 year"
)
won.plot_ratios()  # plots.plot_ratios(won.table, won.settings["bands"])

# %% plot_payback: When a customer has paid back what winning him cost; `Acquisition.plot_payback`.
won.plot_payback()  # plots.plot_payback(won.payback, won.table, time_unit="week")

# %% plot_budget: How to split a budget over channels whose returns diminish; `BudgetPlan.plot`.
curves = {"search": pc.decisions.Saturating(900, 12_000), "mail": pc.decisions.Saturating(300, 2_500)}
plan = pc.decisions.allocate_budget(won, 8_000, curves)
plan.plot(currency="USD")  # or plots.plot_budget(plan.table, currency="USD")

# %% plot_formula_values: What the formulas in use say beside a forecast.
beside = pc.decisions.compare_formulas(
    log, customer_id="customer_id", date="date", amount="amount", observation_end="1998-06-30", n_bootstrap=100
)
plots.plot_formula_values(beside.table)

# %% plot_formula_errors: How far each was off the money that then came in.
plots.plot_formula_errors(beside.table)

# %% plot_cohorts: Who of each cohort came back, month by month; `CohortTable.plot`.
cohorts = pc.decisions.cohort_table(log, amount="amount", observation_end="1997-09-30")
cohorts.plot()  # plots.plot_cohorts(cohorts)

# %% plot_continuation: What these cohorts will do; `CohortForecast.plot`.
future = pc.decisions.continue_cohorts(clv, rfm, cohorts, 9)
future.plot(cohorts)  # plots.plot_continuation(future, cohorts)

# %% plot_stakes: How few customers hold what is at stake.
stakes = pc.decisions.list_at_risk(clv, rfm, "39 weeks", margin=0.3)["stake"]
plots.plot_stakes(stakes)

# %% plot_offer_return: How many customers an offer should go to.
plots.plot_offer_return(stakes, cost=1.0, lift=0.1, currency="USD")

# %% plot_alarm_counts: Alarms since the last snapshot, beside those that chance alone would ring.
then, now = (
    pc.RFMSummary.from_transactions(log, amount="amount", observation_end=date) for date in ("1997-06-30", "1997-09-30")
)
change = pc.decisions.compare_snapshots(pc.CLV().fit(then), then, now, pc.CLV().fit(now), horizon="26 weeks")
plots.plot_alarm_counts(change.alarm_counts)

# %% plot_last_forecast: What customers did since, beside what was forecast of them.
plots.plot_last_forecast(change.calibration.totals)

# %% plot_parameter_drift: Which parameters moved from one fit to the next by more than chance explains.
plots.plot_parameter_drift(change.parameters)

# %% plot_differences: How far the arms of an experiment differ; `Experiment.plot_differences`.
arm = {customer: "AB"[customer % 2] for customer in log["customer_id"].unique()}  # yours says who got which
test = pc.decisions.read_experiment(log, arm, start="1998-01-01", amount="amount", observation_end="1998-06-30")
test.plot_differences()  # plots.plot_differences(test.table)

# %% plot_arm_draws: How sure the mean of each arm is; `Experiment.plot_draws`.
test.plot_draws()  # plots.plot_arm_draws(test.draws())

# %% plot_drivers: What goes with an attribute, before and after adjusting for the others; `Drivers.plot`.
members = pc.RFMSummary.from_frame(
    by_channel.to_pandas().assign(plan=lambda table: table["customer_id"] % 5 < 2),
    time_unit="week",
    carry=["channel", "plan"],
)
drivers = pc.decisions.find_drivers(members, ["channel", "plan"], n_draws=64)
drivers.plot()  # plots.plot_drivers(drivers.of("clv"))
