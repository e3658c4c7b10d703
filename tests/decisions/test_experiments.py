"""Experiments: probabilities that are uniform where arms are alike, intervals that hold, plain refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.cli import main
from predclv.decisions import read_experiment
from predclv.decisions.experiments.forecast_means import fit_customers
from predclv.decisions.report import write_decision_report
from predclv.errors import ConvergenceWarning, DataError, DataQualityWarning, DependenceWarning

TRUE_A = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
TRUE_B = {"r": 0.243, "alpha": 3.0, "a": 0.6, "b": 2.8}
SPEND_A = {"p": 6.25, "q": 6.0, "gamma": 25.0}
SPEND_B = {"p": 6.25, "q": 6.0, "gamma": 29.0}
AGES = (20.0, 40.0)


def arms_of(n, seed, names=("A", "B")):
    return np.random.default_rng([seed, 7]).choice(names, n)


def simulate_arms(n, seed, *, alike=True, model="bg_nbd"):
    """Two arms of n customers each; where not alike, B buys more often, stays longer and spends more."""
    parts = []
    for name, parameters, spend in (("A", TRUE_A, SPEND_A), ("B", TRUE_B, SPEND_B)):
        told = {} if model != "bg_nbd" else {"parameters": TRUE_A if alike else parameters}
        sim = pc.datasets.simulate_rfm(
            model,
            n_customers=n,
            **told,
            spend=SPEND_A if alike else spend,
            T=AGES,
            lattice=None if model == "bg_bb" else 1,
            time_unit="year" if model == "bg_bb" else "week",
            seed=2 * seed + (name == "B"),
        )
        parts.append(sim.rfm.to_pandas().assign(arm=name))
    table = pd.concat(parts).drop(columns="customer_id")
    ruler = {"opportunities": "year"} if model == "bg_bb" else {"time_unit": "week"}
    return pc.RFMSummary.from_frame(table, carry=["arm"], **ruler)


@pytest.fixture(scope="module")
def log():
    table = pc.datasets.load_cdnow()
    table["arm"] = arms_of(table["customer_id"].max() + 1, 1)[table["customer_id"]]
    return table


@pytest.fixture(scope="module")
def at_acquisition(log):
    with pytest.warns(DependenceWarning):
        return read_experiment(
            log, "arm", amount="amount", observation_end="1997-09-30", horizon="39 weeks", detect=5.0, currency="USD"
        )


@pytest.fixture(scope="module")
def since_start(log):
    with pytest.warns(DependenceWarning):
        return read_experiment(
            log,
            "arm",
            start="1997-10-01",
            amount="amount",
            observation_end="1998-06-30",
            horizon="39 weeks",
            detect=5.0,
            currency="USD",
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_the_probability_to_be_better_is_uniform_over_200_experiments_of_equal_arms():
    found = []
    for seed in range(200):
        table = read_experiment(simulate_arms(500, seed), "arm", horizon="20 weeks").table
        found.append(table.set_index("outcome")["p_beats"])
    found = pd.DataFrame(found)
    for name in found:
        # One in a hundred for all eight outcomes together.
        assert stats.kstest(found[name], "uniform").pvalue > 0.01 / 8, name
        # The mean of 200 uniforms has a standard error of 0.0204.
        assert abs(found[name].mean() - 0.5) < 3 * 0.0204, name
        outside = ((found[name] < 0.05) | (found[name] > 0.95)).sum()
        assert 8 <= outside <= 35, name  # 0.999 of a binomial of 200 and 0.1


def true_means(parameters, spend, horizon, n_points=41):
    """Means over ages of what a customer buys from now on: exact, as differences of a new customer's purchases."""
    model = pc.BGNBD().BINDINGS
    theta = np.array([list(parameters.values())])
    zero = np.zeros(1)
    ages = np.linspace(AGES[0], AGES[1], n_points)
    until = np.array([float(model.expected_purchases(zero, zero, zero, age, theta)[0, 0]) for age in ages])
    after = np.array([float(model.expected_purchases(zero, zero, zero, age + horizon, theta)[0, 0]) for age in ages])
    each = spend["p"] * spend["gamma"] / (spend["q"] - 1)
    weight = np.full(n_points, 1.0)
    weight[[0, -1]] = 0.5
    so_far, to_come = (np.average(column, weights=weight) for column in (until, after - until))
    return {
        "purchases_so_far": so_far,
        "expected_purchases": to_come,
        "purchases": so_far + to_come,
        "value_so_far": so_far * each,
        "expected_clv": to_come * each,
        "value": (so_far + to_come) * each,
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_intervals_hold_the_true_difference_of_unequal_arms():
    n_experiments, horizon = 120, 20.0
    a, b = true_means(TRUE_A, SPEND_A, horizon), true_means(TRUE_B, SPEND_B, horizon)
    held = dict.fromkeys(a, 0)
    seen = 0.0
    for seed in range(n_experiments):
        rfm = simulate_arms(500, 1_000 + seed, alike=False)
        table = read_experiment(rfm, "arm", horizon=horizon, discount_rate=0.0).table.set_index("outcome")
        for name in held:
            held[name] += table.loc[name, "low"] <= b[name] - a[name] <= table.loc[name, "high"]
        seen += table.loc["value", "difference"] / n_experiments
    # 0.999 of a binomial of 120 and 0.9.
    assert all(96 <= count <= 118 for count in held.values()), held
    assert seen == pytest.approx(b["value"] - a["value"], rel=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_what_followed_a_start_is_held_and_uniform_without_an_effect():
    lift, held, p_values, narrower = 1.4, 0, [], 0
    for seed in range(30):
        sim = pc.datasets.simulate(
            "pareto_nbd", n_customers=500, births="10 weeks", observed="40 weeks", holdout="30 weeks", seed=seed
        )
        log, start = sim.log, pd.Timestamp(sim.observation_end) + pd.Timedelta(days=1)
        arm = pd.Series(arms_of(500, seed), index=np.arange(1, 501))
        told = {"start": start.date(), "amount": "amount", "observation_end": sim.end, "horizon": "30 weeks"}
        clv = pc.CLV(pc.ParetoNBD(method="map"), pc.GammaGamma(method="map"))
        equal = read_experiment(log, arm, clv=clv, **told).table.set_index("outcome")
        p_values.append(equal["p_beats"])
        # What chance would give in B without the offer is what it gives in all; the offer makes it worth more.
        truth = (lift - 1) * log.loc[log["date"] >= start, "amount"].sum() / 500
        better = log.copy()
        touched = (better["date"] >= start) & (better["customer_id"].map(arm) == "B")
        better.loc[touched, "amount"] *= lift
        found = read_experiment(better, arm, clv=clv, **told).table.set_index("outcome").loc["value_so_far"]
        held += found["low"] <= truth <= found["high"]
        raw = better[better["date"] >= start].groupby("customer_id")["amount"].sum().reindex(arm.index, fill_value=0.0)
        error = np.sqrt(sum(raw[arm == name].var() / (arm == name).sum() for name in "AB"))
        narrower += found["high"] - found["low"] < 2 * 1.645 * error
    assert 21 <= held <= 30  # 0.999 of a binomial of 30 and 0.9
    assert narrower >= 27
    p_values = pd.DataFrame(p_values)
    for name in p_values:
        assert stats.kstest(p_values[name], "uniform").pvalue > 0.005, name


def test_contributions_are_what_a_refit_without_the_customer_shows():
    rfm = pc.datasets.simulate_rfm("bg_nbd", n_customers=400, lattice=1, seed=5).rfm
    models = pc.BGNBD(), pc.GammaGamma()
    told = {"margin": 0.5, "horizon": 26.0, "delta": 0.002}
    fitted = fit_customers(models, rfm, "All", **told)
    most = int(np.argmax(rfm.frequency))
    for name in fitted.forecasts:
        found = fitted.contribute(name, np.full(400, 1 / 400))
        move = found.values / 400 + found.through_parameters
        move -= move.sum() / 400
        assert found.prior_variance == 0.0
        for i in (0, most):
            rest = fit_customers(models, rfm.pick(np.delete(np.arange(400), i)), "Rest", **told)
            without = found.values.mean() - rest.values(name).mean()
            assert without == pytest.approx(move[i], rel=0.25, abs=1e-4)


def test_forecasts_are_those_of_predict(at_acquisition, log):
    rfm = pc.RFMSummary.from_transactions(
        log, amount="amount", observation_end="1997-09-30", carry=["arm"], currency="USD"
    )
    table = at_acquisition.table.set_index("outcome")
    for arm, column in (("A", "control_mean"), ("B", "mean")):
        some = rfm[rfm.carried["arm"] == arm]
        with pytest.warns(DependenceWarning):
            forecast = pc.CLV().fit(some).predict(some, "39 weeks")
        for name in ("expected_clv", "expected_purchases", "p_purchase"):
            assert table.loc[name, column] == pytest.approx(forecast[name].mean(), rel=1e-9)
        bought = log[(log["arm"] == arm) & (log["date"] <= "1997-09-30")]
        assert table.loc["value_so_far", column] == pytest.approx(bought["amount"].sum() / len(some), rel=1e-9)
        assert table.loc["bought", column] == pytest.approx((some.frequency > 0).mean())
    assert table.loc["value", "mean"] == pytest.approx(
        table.loc["value_so_far", "mean"] + table.loc["expected_clv", "mean"]
    )
    assert at_acquisition.settings["design"] == "acquisition"


def test_what_followed_is_counted_from_the_start_on(since_start, log):
    known = set(log.loc[log["date"] < "1997-10-01", "customer_id"])
    after = log[(log["date"] >= "1997-10-01") & log["customer_id"].isin(known)]
    table = since_start.table.set_index("outcome")
    size = since_start.arms.set_index("arm")["customers"]
    raw = after.groupby("arm")["amount"].sum() / size
    # Adjustment moves means by less than their own errors.
    half = (table.loc["value_so_far", "high"] - table.loc["value_so_far", "low"]) / 2
    assert abs((raw["B"] - raw["A"]) - table.loc["value_so_far", "difference"]) < half
    assert since_start.settings["design"] == "existing customers"
    assert since_start.settings["length"] == pytest.approx(39.0, abs=0.1)
    assert any("one rhythm" in note for note in since_start.notes)


def test_words_plots_and_draws(at_acquisition):
    said = at_acquisition.say()
    assert said.startswith("B against A: +")
    assert "90 % interval" in said
    assert "<table" in at_acquisition._repr_html_()
    draws = at_acquisition.draws()
    assert list(draws) == ["A", "B"]
    row = at_acquisition.table.iloc[0]
    # 4,000 draws know a probability to within 0.008.
    assert (draws["B"] > draws["A"]).mean() == pytest.approx(row["p_beats"], abs=0.03)
    assert draws["A"].mean() == pytest.approx(row["control_mean"], rel=0.02)
    assert at_acquisition.arms["p_best"].sum() == pytest.approx(1.0)
    ax = at_acquisition.plot_differences()
    assert ax.get_title(loc="left").endswith("differences leave out 0")
    assert "best with probability" in at_acquisition.plot_draws().get_title(loc="left")
    with pytest.raises(ValueError, match="'outcome' must be one of"):
        at_acquisition.draws("nothing")


def test_how_much_longer_to_run(at_acquisition, since_start):
    for found in (at_acquisition, since_start):
        row = found.plan.iloc[0]
        assert row["further_time"] == pytest.approx(
            found.settings["length"] * ((row["smallest_detectable"] / 5.0) ** 2 - 1)
        )
    row = at_acquisition.plan.iloc[0]
    assert row["customers"] == pytest.approx(2357 * (row["smallest_detectable"] / 5.0) ** 2, abs=1)
    # A difference of that size is found with the power that was asked for.
    first = at_acquisition.table.iloc[0]
    error = (first["high"] - first["low"]) / 2 / stats.norm.ppf(0.95)
    power = stats.norm.sf(stats.norm.ppf(0.95) - row["smallest_detectable"] / error)
    assert power == pytest.approx(0.8, abs=0.005)


# Of a few hundred customers some models know little, and say so.
@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
@pytest.mark.parametrize("model", ["mbg_nbd", "bg_cnbd", "mbg_cnbd", "pareto_nbd", "nbd", "bg_bb"])
def test_every_model_reads_experiments(model):
    rfm = simulate_arms(400, 3, model=model)
    kind = pc.MODELS[model]
    made = kind(method="map", k=2) if model.endswith("cnbd") else kind(method="map")
    found = read_experiment(rfm, "arm", clv=pc.CLV(made, pc.GammaGamma(method="map")), horizon=10, discount_rate=0.05)
    assert np.isfinite(found.table[["difference", "low", "high", "p_beats"]].to_numpy()).all()
    assert (found.table["low"] < found.table["high"]).all()


@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_without_amounts_there_are_counts_and_more_arms_are_compared_with_the_control():
    rfm = simulate_arms(600, 4)
    table = rfm.to_pandas().drop(columns="monetary_value")
    table["arm"] = np.where(np.arange(1200) % 3 == 0, "control", np.where(np.arange(1200) % 3 == 1, "mail", "call"))
    rfm = pc.RFMSummary.from_frame(table, time_unit="week", carry=["arm"])
    found = read_experiment(rfm, "arm", horizon="20 weeks")
    assert found.headline == "purchases"
    assert list(found.table["arm"].head(2)) == ["call", "mail"]
    assert (found.table["control"] == "control").all()
    assert any("2 arms are compared" in note for note in found.notes)
    assert found.arms["p_best"].sum() == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_a_price_test_is_read_over_all_who_saw_the_price():
    rfm = simulate_arms(500, 6)
    found = read_experiment(rfm, "arm", exposed={"A": 1_000, "B": 4_000}, shares={"A": 1, "B": 4}, horizon="20 weeks")
    table = found.table.set_index("outcome")
    assert table.loc["won", "control_mean"] == 0.5
    assert table.loc["won", "mean"] == 0.125
    error = np.sqrt(0.5 * 0.5 / 999 + 0.125 * 0.875 / 3_999)
    assert table.loc["won", "high"] - table.loc["won", "difference"] == pytest.approx(1.645 * error, rel=0.01)
    assert table.loc["value", "verdict"] == "B lower"
    with pytest.raises(DataError, match="'exposed' is 10 for arm 'A', which has 500 customers"):
        read_experiment(rfm, "arm", exposed={"A": 10, "B": 4_000})
    with pytest.raises(ValueError, match="'exposed' must name the arms, 'A', 'B'"):
        read_experiment(rfm, "arm", exposed={"A": 1_000})


@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_wrong_sizes_and_arms_that_did_not_run_side_by_side_are_told():
    rfm = simulate_arms(500, 8)
    with pytest.warns(DataQualityWarning, match="sizes are not those planned"):
        found = read_experiment(rfm, "arm", shares={"A": 0.6, "B": 0.4}, horizon="20 weeks")
    assert found.balance < 1e-3
    assert len(found.warnings) == 1
    older = rfm.to_pandas().drop(columns="customer_id")
    older.loc[older["arm"] == "B", "T"] += 8
    with pytest.warns(DataQualityWarning, match="not equally old"):
        read_experiment(pc.RFMSummary.from_frame(older, time_unit="week", carry=["arm"]), "arm", horizon="20 weeks")


@pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")
def test_one_customer_who_decides_is_named():
    table = simulate_arms(300, 9).to_pandas().drop(columns="customer_id")
    whale = int(table.index[(table["arm"] == "B") & (table["frequency"] > 0)][0])
    table.loc[whale, "monetary_value"] = 20_000.0
    rfm = pc.RFMSummary.from_frame(table.reset_index(drop=True), time_unit="week", carry=["arm"])
    with pytest.warns(pc.errors.PredCLVWarning):
        found = read_experiment(rfm, "arm", horizon="20 weeks")
    assert found.influence.iloc[0]["decides"]
    assert any("one customer decides" in note for note in found.notes)


def test_forty_accounts_are_not_enough():
    rfm = simulate_arms(20, 11)
    clv = pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map"))
    with pytest.warns(ConvergenceWarning, match="default prior"):
        found = read_experiment(rfm, "arm", clv=clv, horizon="20 weeks")
    assert (found.table["verdict"] == "not enough to say").all()
    assert found.settings["thin"] == ["A", "B"]
    assert found.say().endswith("not enough to say")


def test_bad_input_is_refused(log):
    told = {"amount": "amount", "observation_end": "1997-09-30"}
    twice = pd.concat([log, log.head(1).assign(arm="B" if log["arm"].iloc[0] == "A" else "A")])
    with pytest.raises(DataError, match=r"in more than one arm.*1 of 2,357 customers \(first: customer 1: "):
        read_experiment(twice, "arm", **told)
    with pytest.raises(DataError, match="There is one arm, 'A'"):
        read_experiment(log.assign(arm="A"), "arm", **told)
    with pytest.raises(DataError, match="Arm 'B' has 1 customer"):
        read_experiment(log.assign(arm=np.where(log["customer_id"] == 4, "B", "A")), "arm", **told)
    with pytest.raises(DataError, match="no such column"):
        read_experiment(log, "arms", **told)
    gone = log.assign(arm=np.where(log["date"] >= "1997-10-01", log["arm"], None))
    with pytest.raises(DataError, match="Who was randomised and did not buy"):
        read_experiment(gone, "arm", start="1997-10-01", amount="amount", observation_end="1998-06-30")
    with pytest.raises(DataError, match="after the as-of date 1998-06-30: nothing can be read"):
        read_experiment(log, "arm", start="1999-01-01", amount="amount", observation_end="1998-06-30")
    with pytest.raises(DataError, match="Nobody had bought before 1990-01-01"):
        read_experiment(log, "arm", start="1990-01-01", amount="amount", observation_end="1998-06-30")
    with pytest.raises(DataError, match=r"1 of 2 customers are in more than one arm \(first: customer 4: 'A', 'B'\)"):
        read_experiment(log, pd.Series(["A", "B", "A"], index=[4, 4, 18]), **told)
    with pytest.raises(DataError, match="None of the 2,357 customers has an arm"):
        read_experiment(log, {"x": "A", "y": "B"}, **told)
    with pytest.raises(TypeError, match="mapping or Series of arms"):
        read_experiment(log, log, **told)
    with pytest.raises(ValueError, match="'control' must be an arm"):
        read_experiment(log, "arm", control="C", **told)
    with pytest.raises(ValueError, match="finite horizon"):
        read_experiment(log, "arm", horizon=np.inf, **told)
    with pytest.raises(ValueError, match="'detect' must be above 0"):
        read_experiment(log, "arm", detect=0.0, **told)
    with pytest.raises(ValueError, match="without segments and covariates"):
        read_experiment(log, "arm", clv=pc.CLV(pc.BGNBD(method="map", segment="arm")), **told)
    with pytest.raises(TypeError, match="models of purchases"):
        read_experiment(log, "arm", clv=pc.CLV(pc.SBG()), **told)
    rfm = simulate_arms(50, 1)
    with pytest.raises(DataError, match="cannot be told from a summary"):
        read_experiment(rfm, "arm", start="1997-10-01")
    with pytest.raises(TypeError, match="a summary was given"):
        read_experiment(rfm, "arm", amount="amount")


@pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning")
def test_the_report_reads_both_designs(log, tmp_path):
    hostile = {"A": "A", "B": "<i>B</i>"}
    # A third of the customers: the page has all sections, and this is about one.
    named = log[log["customer_id"] % 3 == 0].assign(arm=log["arm"].map(hostile))
    options = {"amount": "amount", "observation_end": "1998-06-30", "currency": "USD"}
    rfm = pc.RFMSummary.from_transactions(named, carry=["arm"], **options)
    clv = pc.CLV(pc.BGNBD(method="map", segment="arm"), pc.GammaGamma()).fit(rfm)
    told = {"clv": clv, "rfm": rfm, "log": named, "log_options": options, "horizon": "39 weeks", "arm": "arm"}
    for start, design in ((None, "acquisition"), ("1998-01-01", "existing customers")):
        found = write_decision_report(tmp_path / "a.html", arm_start=start, detect=2.0, **told)
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert hostile["B"] not in page
        assert "The chance that &lt;i&gt;B&lt;/i&gt; is truly better is" in page
        assert "To find one of 2.00 USD" in page
        facts = found.facts["experiment"]
        assert facts["settings"]["design"] == design
        models = pc.CLV(pc.BGNBD(method="map"))
        direct = read_experiment(named, "arm", start=start, clv=models, horizon="39 weeks", **options)
        assert facts["outcomes"][0]["difference"] == pytest.approx(direct.table["difference"].iloc[0], rel=1e-9)
        assert set(found.tables) >= {"experiment", "experiment_arms", "experiment_influence"}


@pytest.mark.slow
def test_the_command_reads_an_experiment(log, tmp_path, capsys):
    path = tmp_path / "log.csv"
    log.head(3_000).to_csv(path, index=False)
    common = ["decide", str(path), "--customer-id", "customer_id", "--date", "date", "--amount", "amount"]
    common += ["--observation-end", "1998-06-30", "--horizon", "26 weeks", "--out", str(tmp_path / "out"), "--force"]
    assert main([*common, "--arm", "arm", "--arm-start", "1998-01-01", "--drivers", "arm", "--quiet"]) == 0
    facts = json.loads((tmp_path / "out" / "decisions.json").read_text(encoding="utf-8"))
    assert facts["decisions"]["experiment"]["settings"]["design"] == "existing customers"
    assert facts["decisions"]["drivers"]["comparisons"][0]["attribute"] == "arm"
    capsys.readouterr()
    assert main([*common, "--drivers", "arm,,x"]) != 0
    assert "--drivers is columns between commas" in capsys.readouterr().err
    assert main([*common, "--arm", "nothing"]) != 0
    assert "nothing" in capsys.readouterr().err
    assert main([*common, "--arm", "arm", "--control", "C"]) != 0
    assert "'control' must be an arm" in capsys.readouterr().err
