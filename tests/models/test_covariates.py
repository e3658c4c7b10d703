"""Covariates on purchase and on dropout: what is recovered, what forecasts make of it, what is refused."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import predclv as pc
from predclv.errors import ConvergenceWarning, DataError, ModelFileError
from predclv.models.covariates.use import row_thetas
from predclv.priors import LogNormal, Normal
from predclv.report import write_report

KEYS = ("bg_nbd", "mbg_nbd", "pareto_nbd", "bg_cnbd", "mbg_cnbd")
every_model = pytest.mark.parametrize("key", KEYS)
COLUMNS = ["channel", "age"]
PURCHASE = {"channel=paid": -0.4, "age": 0.03}
DROPOUT = {"channel=paid": 0.6, "age": -0.02}
TRUTH = {
    ("purchase", "paid instead of organic"): -0.4,
    ("purchase", "tv instead of organic"): 0.0,
    ("purchase", "1 more"): 0.03,
    ("dropout", "paid instead of organic"): 0.6,
    ("dropout", "tv instead of organic"): 0.0,
    ("dropout", "1 more"): -0.02,
}


def simulate(key="bg_nbd", n=3_000, seed=1, purchase=PURCHASE, dropout=DROPOUT, **options):
    rng = np.random.default_rng([7, seed])
    covariates = {"channel": rng.choice(["paid", "organic", "tv"], n, p=[0.3, 0.5, 0.2]), "age": rng.normal(0, 10, n)}
    options = {"T": (10.0, 104.0), "lattice": 7, **options}
    return pc.datasets.simulate_rfm(
        key,
        n_customers=n,
        covariates=covariates,
        purchase_effects=purchase,
        dropout_effects=dropout,
        seed=seed,
        **options,
    )


def with_columns(rfm, **columns):
    return pc.RFMSummary.from_frame(rfm.to_pandas().assign(**columns), time_unit="week", carry=[*rfm.carried, *columns])


def both(key, **options):
    return pc.MODELS[key](purchase_covariates=COLUMNS, dropout_covariates=COLUMNS, **options)


@pytest.fixture(scope="module")
def fitted():
    found = {}

    def fit(key):
        if key not in found:
            rfm = simulate(key).rfm
            found[key] = both(key).fit(rfm), rfm
        return found[key]

    return fit


@pytest.mark.parametrize("key", ["bg_cnbd", "mbg_cnbd"])
def test_k_is_chosen_without_covariates_and_is_the_best_with_them(key):
    rfm = simulate(key, n=1_000, seed=11).rfm
    model = both(key).fit(rfm)
    plain = pc.MODELS[key]().fit(rfm)
    assert model.k_ == plain.k_ == 2
    assert model.log_likelihood_by_k_ == plain.log_likelihood_by_k_
    likelihoods = {k: both(key, k=k).fit(rfm).posterior_.diagnostics["log_likelihood"] for k in (1, 2, 3)}
    assert likelihoods[2] == model.posterior_.diagnostics["log_likelihood"] == max(likelihoods.values())
    # k = 1 is the model without k, from the same gaps.
    without = both(key.replace("cnbd", "nbd")).fit(rfm)
    assert likelihoods[1] == pytest.approx(without.posterior_.diagnostics["log_likelihood"], rel=1e-10)
    # The gaps' part, which no parameter moves, is in the score of a customer and in the path of a penalty.
    held = pc.MODELS[key](k=2, purchase_covariates=["age"], penalty="cv", penalty_grid=[0, 1e9]).fit(rfm)
    path = held.penalty_path_
    free = pc.MODELS[key](k=2, purchase_covariates=["age"]).fit(rfm)
    assert path["log_likelihood"].iloc[-1] == pytest.approx(free.score(rfm), rel=1e-2)
    with pytest.raises(DataError, match="times between purchases, which the summary does not hold"):
        both(key).fit(simulate(key.replace("cnbd", "nbd"), n=300).rfm)


@every_model
@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(key):
    n_fits = 30
    errors = []
    for seed in range(n_fits):
        effects = both(key).fit(simulate(key, seed=100 + seed).rfm).effects
        truth = np.array([TRUTH[row.on, row.contrast.partition(" (")[0]] for row in effects.itertuples()])
        errors.append((effects["coefficient"] - truth) / effects["std_error"])
        assert (effects["low"] < effects["coefficient"]).all()
    errors = np.array(errors)
    covered = (np.abs(errors) < stats.norm.ppf(0.95)).sum(axis=0)
    # Each coefficient by itself, 30 fits: between 21 and 30 of 90 % intervals with probability 0.9995.
    assert (covered >= stats.binom.ppf(0.0005, n_fits, 0.9)).all()
    # All together; the six of a fit are correlated, so chance is reckoned from the fits.
    share = (np.abs(errors) < stats.norm.ppf(0.95)).mean(axis=1)
    assert abs(share.mean() - 0.9) < 4 * np.sqrt(0.09 / 6 / n_fits) * 1.5
    assert (np.abs(errors.mean(axis=0)) < 4 / np.sqrt(n_fits)).all()


@every_model
def test_everything_ends_in_a_posterior(key, fitted):
    model, rfm = fitted(key)
    names = [p.name for p in pc.MODELS[key].PARAMETERS]
    coefficients = ["channel=paid", "channel=tv", "age"]
    names += [f"{on}[{name}]" for on in ("purchase", "dropout") for name in coefficients]
    assert model.posterior_.names == names
    assert list(model.posterior_.draws.columns) == names
    assert model.posterior_.draws.shape == (1024, 10)
    assert list(model.summary["parameter"]) == names
    assert model.score(rfm) * len(rfm) == pytest.approx(model.posterior_.diagnostics["log_likelihood"], rel=1e-12)
    effects = model.effects
    assert list(effects["on"]) == ["purchase"] * 3 + ["dropout"] * 3
    np.testing.assert_allclose(effects["multiplier"], np.exp(effects["coefficient"]), rtol=1e-14)
    assert clone(model).get_params() == model.get_params()
    # Twice the difference to the model without is chi-squared where covariates do nothing; here they do.
    without = pc.MODELS[key]().fit(rfm).posterior_.diagnostics["log_likelihood"]
    assert stats.chi2.sf(2 * (model.posterior_.diagnostics["log_likelihood"] - without), 6) < 1e-6


def test_effects_are_told_in_words(fitted):
    model, _ = fitted("bg_nbd")
    effects = model.effects
    paid = effects.iloc[0]
    fewer = round(100 * (1 - paid["multiplier"]))
    ends = sorted(round(100 * (1 - paid[end])) for end in ("multiplier_low", "multiplier_high"))
    assert paid["meaning"] == (
        f"channel = paid instead of organic: {fewer} % fewer purchases a year while a customer "
        f"({ends[0]} to {ends[1]} % fewer)"
    )
    # Of a number the figures are of one unit and the sentence of a standard deviation: each says so.
    age = effects.iloc[2]
    scale = model.covariates_.coefficients[2][1].scale
    assert age["contrast"] == f"1 more (one standard deviation is {scale:.4g})"
    percent = f"{100 * (np.exp(age['coefficient'] * scale) - 1):.0f} %"
    assert age["meaning"].startswith(f"age higher by {scale:.4g}, one standard deviation: {percent} more purchases")
    assert age["meaning"].endswith(f"; 1 more: × {age['multiplier']:.4g}")
    assert "higher odds of leaving after a purchase" in effects["meaning"].iloc[3]
    assert pc.ParetoNBD.DROPOUT_EFFECT == "rate of leaving"


@every_model
def test_a_rescaled_covariate_has_a_rescaled_coefficient(key, fitted):
    model, rfm = fitted(key)
    scaled = with_columns(rfm, tens=rfm.carried["age"] / 10 + 4)
    other = pc.MODELS[key](purchase_covariates=["channel", "tens"], dropout_covariates=["channel", "tens"]).fit(scaled)
    factor = np.array([1.0, 1.0, 10.0] * 2)
    for column in ("coefficient", "std_error", "low", "high"):
        np.testing.assert_allclose(other.effects[column], factor * model.effects[column], rtol=1e-6)
    pd.testing.assert_frame_equal(other.predict(scaled[:20], 13), model.predict(rfm[:20], 13), rtol=1e-6)


@every_model
def test_another_unit_is_the_same_model(key, fitted):
    model, rfm = fitted(key)
    table = rfm.to_pandas().assign(recency=rfm.recency * 7, T=rfm.T * 7)
    if rfm.log_itt is not None:
        table["log_itt"] += rfm.frequency * np.log(7)
    other = both(key).fit(pc.RFMSummary.from_frame(table, time_unit="day", carry=COLUMNS))
    np.testing.assert_allclose(other.effects["coefficient"], model.effects["coefficient"], rtol=1e-6)
    assert other.posterior_.point["alpha"] == pytest.approx(7 * model.posterior_.point["alpha"], rel=1e-6)


@every_model
def test_forecasts_are_those_of_a_model_made_by_hand(key, fitted):
    model, rfm = fitted(key)
    few = rfm[:60]
    table = model.predict(few, 13, estimate="point")
    drawn = model.expected_purchases(few, 13, estimate="draws")
    point = model.posterior_.point
    age = rfm.carried["age"]
    for i in range(0, 60, 7):
        z = {"channel=paid": few.carried["channel"][i] == "paid", "channel=tv": few.carried["channel"][i] == "tv"}
        z["age"] = (few.carried["age"][i] - age.mean()) / age.std()
        draws = model.posterior_.draws_array().copy()
        for column, theta in (("point", model.posterior_.point_array[np.newaxis]), ("draws", draws)):
            names = model.posterior_.names
            eta = {
                on: sum(theta[:, names.index(f"{on}[{name}]")] * value for name, value in z.items())
                for on in ("purchase", "dropout")
            }
            own = theta[:, :4].copy()
            own[:, 1] *= np.exp(-eta["purchase"])
            if key == "pareto_nbd":
                own[:, 3] *= np.exp(-eta["dropout"])
            else:
                odds = theta[:, 2] / theta[:, 3] * np.exp(eta["dropout"])
                own[:, 2] = (theta[:, 2] + theta[:, 3]) * odds / (1 + odds)
                own[:, 3] = (theta[:, 2] + theta[:, 3]) / (1 + odds)
            history = few.frequency[i : i + 1].astype(float), few.recency[i : i + 1], few.T[i : i + 1]
            expected = model.bindings.mean_expected_purchases(*history, 13.0, own)[0]
            found = table["expected_purchases"][i] if column == "point" else drawn["expected_purchases"][i]
            assert found == pytest.approx(expected, rel=1e-10)
    assert set(point) == set(model.posterior_.names)


@every_model
def test_customers_alike_in_all_columns_are_one_part(key, fitted):
    _, rfm = fitted(key)
    flat = pc.MODELS[key](purchase_covariates=["channel"], dropout_covariates=["channel"]).fit(rfm)
    parts = flat.parts(rfm)
    assert [len(set(part.rfm.carried["channel"])) for part in parts] == [1, 1, 1]
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows) == list(range(len(rfm)))
    for part in parts:
        channel = part.rfm.carried["channel"][0]
        own = flat.for_covariates({"channel": channel})
        np.testing.assert_array_equal(own.posterior_.point_array, part.model.posterior_.point_array)
        # The delta method against the draws, which are normal on the logarithmic scale.
        spread = np.cov(np.log(own.posterior_.draws_array()).T)
        np.testing.assert_allclose(
            own.posterior_.covariance_unconstrained, spread, rtol=0.3, atol=0.1 * np.diag(spread).max()
        )
        pd.testing.assert_frame_equal(
            own.predict(part.rfm, 13), flat.predict(rfm, 13).iloc[part.rows].reset_index(drop=True)
        )
    distribution = flat.purchase_distribution(rfm[:30], 13)
    total = (distribution["n"] * distribution["probability"]).groupby(distribution["customer_id"]).sum()
    # The distribution leaves out 1e-6, of counts of tens.
    np.testing.assert_allclose(total, flat.predict(rfm[:30], 13)["expected_purchases"], rtol=1e-3, atol=1e-4)
    assert flat.p_alive(rfm)["p_alive"].between(0, 1).all()


@pytest.mark.slow
def test_forecasts_given_covariates_are_calibrated():
    simulated = simulate("bg_nbd", n=6_000, seed=5, horizons=[26])
    rfm, actual = simulated.rfm, simulated.purchases[0]
    model = pc.BGNBD(purchase_covariates=["channel"], dropout_covariates=["channel"]).fit(rfm)
    model_with_age = both("bg_nbd").fit(rfm)
    assert model_with_age.score(rfm) > model.score(rfm)
    table = model.predict(rfm, 26)
    for channel in ("paid", "organic", "tv"):
        some = rfm.carried["channel"] == channel
        error = np.sqrt(np.sum((actual[some] - table["expected_purchases"][some]) ** 2))
        assert abs(actual[some].sum() - table["expected_purchases"][some].sum()) < 4.5 * error
    # Within fifths of age, which moves purchases by a factor of two from end to end.
    expected = model_with_age.expected_purchases(rfm, 26)["expected_purchases"].to_numpy()
    fifths = pd.qcut(rfm.carried["age"], 5, labels=False)
    for fifth in range(5):
        some = fifths == fifth
        error = np.sqrt(np.sum((actual[some] - expected[some]) ** 2))
        assert abs(actual[some].sum() - expected[some].sum()) < 4.5 * error


def test_value_goes_through_parts(fitted):
    model, rfm = fitted("bg_nbd")
    clv = pc.CLV(clone(model), pc.GammaGamma()).fit(rfm)
    some = rfm[:40]
    table = clv.predict(some, 26)
    assert (table["clv_low"] <= table["clv_high"]).all()
    alone = clv.predict(rfm[7:8], 26)
    pd.testing.assert_frame_equal(alone, table.iloc[7:8].reset_index(drop=True), rtol=1e-9)
    total = clv.portfolio(some, 26, by="channel", n_draws=256)
    assert total["expected_clv"].iloc[-1] == pytest.approx(table["expected_clv"].sum(), rel=1e-9)
    young, old = (clv.new_customer(26, covariates={"channel": "tv", "age": age}) for age in (-10.0, 10.0))
    assert old["expected_purchases"][0] > young["expected_purchases"][0]
    with pytest.raises(
        DataError, match=r"has covariates: say the customer's, as covariates=\{...\} with 'channel', 'ag"
    ):
        clv.new_customer(26)
    with pytest.raises(DataError, match="it lacks 'age'"):
        clv.new_customer(26, covariates={"channel": "tv"})
    with pytest.raises(DataError, match="names 'height', and the model has 'channel', 'age'"):
        clv.new_customer(26, covariates={"channel": "tv", "age": 3.0, "height": 1})
    with pytest.raises(ValueError, match=r"has no covariates\. Leave"):
        pc.CLV(pc.BGNBD(), pc.GammaGamma()).fit(rfm).new_customer(26, covariates={"age": 3.0})
    with pytest.raises(ValueError, match=r"parameters for each customer, by 'channel', 'age': take .* for_covariates"):
        model.thetas()


def test_a_column_transformer_is_as_good_as_a_list(fitted):
    model, rfm = fitted("mbg_nbd")
    transformer = ColumnTransformer(
        [("level", OneHotEncoder(drop=["organic"]), ["channel"]), ("number", StandardScaler(), ["age"])]
    )
    other = pc.MBGNBD(purchase_covariates=transformer, dropout_covariates=COLUMNS).fit(rfm)
    assert other.posterior_.names[4:7] == [
        "purchase[level__channel_paid]",
        "purchase[level__channel_tv]",
        "purchase[number__age]",
    ]
    np.testing.assert_allclose(other.posterior_.point_array, model.posterior_.point_array, rtol=1e-6)
    pd.testing.assert_frame_equal(other.predict(rfm[:20], 13), model.predict(rfm[:20], 13), rtol=1e-6)
    values = {"channel": "tv", "age": 3.0}
    ours, theirs = (one.for_covariates(values).posterior_.point_array for one in (model, other))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert not hasattr(transformer, "transformers_")
    with pytest.raises(DataError, match=r"the ColumnTransformer failed on 1 customers: .*unknown categories"):
        other.predict(with_columns(rfm[:1], channel=["radio"]), 13)


def test_a_column_transformer_is_not_saved(fitted, tmp_path):
    _, rfm = fitted("bg_nbd")
    transformer = ColumnTransformer([("number", StandardScaler(), ["age"])])
    model = pc.BGNBD(purchase_covariates=transformer).fit(rfm)
    with pytest.raises(ModelFileError, match=r"ColumnTransformer cannot be saved.*give their names"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@every_model
def test_save_and_load_are_exact(key, fitted, tmp_path):
    model, rfm = fitted(key)
    model.save(tmp_path / "model")
    again = pc.load(tmp_path / "model")
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.effects, model.effects, check_exact=True)
    pd.testing.assert_frame_equal(again.predict(rfm[:30], 13), model.predict(rfm[:30], 13), check_exact=True)
    assert again.score(rfm) == model.score(rfm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["purchase"].pop(), "parameters"),
        (lambda c: c.pop("dropout"), "settings and its covariates do not match"),
        (lambda c: c["purchase"][1].update(scale=0.0), "no finite mean and standard deviation"),
        (lambda c: c["purchase"][0].update(levels=["organic"]), "no distinct levels"),
        (lambda c: c["purchase"][0].update(kind="Magic"), "unknown kind"),
    ],
)
def test_damaged_covariates_are_noticed(change, message, fitted, tmp_path):
    model, _ = fitted("bg_nbd")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    manifest = json.loads(path.read_text())
    change(manifest["covariates"])
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match=message):
        pc.load(tmp_path / "model")


def test_the_order_of_customers_and_weights_do_not_matter(fitted):
    model, rfm = fitted("bg_nbd")
    shuffled = both("bg_nbd").fit(rfm[np.random.default_rng(8).permutation(len(rfm))])
    np.testing.assert_allclose(shuffled.posterior_.point_array, model.posterior_.point_array, rtol=1e-8)
    weighted = with_columns(rfm[:500]).to_pandas().assign(weight=1 + np.arange(500) % 3)
    weighted = pc.RFMSummary.from_frame(weighted, time_unit="week", carry=COLUMNS, weight="weight")
    np.testing.assert_allclose(
        both("bg_nbd", penalty=1.0).fit(weighted).posterior_.point_array,
        both("bg_nbd", penalty=1.0).fit(weighted.expand()).posterior_.point_array,
        rtol=1e-7,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*hardly determined:predclv.errors.ConvergenceWarning")
def test_what_does_nothing_is_shrunk_to_nothing():
    n_sets, shrunk = 24, 0
    grid = 400 * np.array([0.0, 1e-3, 1e-2, 0.1, 1.0, 100.0])
    for seed in range(n_sets):
        rfm = simulate("mbg_nbd", n=400, seed=seed, purchase=None, dropout=None).rfm
        free = pc.MBGNBD(purchase_covariates=["age"]).fit(rfm)
        held = pc.MBGNBD(purchase_covariates=["age"], penalty="cv", penalty_grid=grid).fit(rfm)
        shrunk += abs(held.posterior_.point["purchase[age]"]) < 0.1 * free.summary["std_error"].iloc[4]
    # As if 19 of 20 were: an estimate has to be some 2.7 standard errors from 0 to lead by one of the difference.
    assert shrunk >= stats.binom.ppf(0.001, n_sets, 0.95)


@pytest.mark.slow
def test_what_does_something_stays_near_its_estimate():
    for seed in range(4):
        rfm = simulate("mbg_nbd", n=1_500, seed=seed, purchase={"age": 0.06}, dropout=None).rfm
        free = pc.MBGNBD(purchase_covariates=["age"]).fit(rfm).effects.iloc[0]
        held = pc.MBGNBD(purchase_covariates=["age"], penalty="cv").fit(rfm).effects.iloc[0]
        # A share c of an estimate of z standard errors taken away costs (c z)^2 / 2, of standard error c z: no more
        # than 2 of them are lost. Penalties are a factor of 3 apart, so it may be fewer.
        assert 0 <= free["coefficient"] - held["coefficient"] < 2.5 * free["std_error"]
        assert held["coefficient"] > 0.75 * free["coefficient"]


@pytest.mark.slow
def test_a_penalty_shrinks_and_cross_validation_tells_how_much():
    model = both("mbg_nbd", penalty="cv").fit(simulate("mbg_nbd", n=1_500, seed=3).rfm)
    path = model.penalty_path_
    assert list(path.columns[:6]) == ["penalty", "log_likelihood", "loss", "std_error", "best", "chosen"]
    assert list(path.columns[6:]) == model.posterior_.names[4:]
    assert (np.diff(path["penalty"]) < 0).all()
    assert path["chosen"].sum() == path["best"].sum() == 1
    assert path.loc[path["best"], "log_likelihood"].iloc[0] == path["log_likelihood"].max()
    np.testing.assert_allclose(path["loss"], path["log_likelihood"].max() - path["log_likelihood"], atol=1e-14)
    # The largest penalty, so the first, that is as good as can be told.
    assert path["chosen"].idxmax() == (path["loss"] <= path["std_error"]).idxmax()
    # What has an effect grows as the penalty falls, from nothing to the maximum of the likelihood.
    assert (np.diff(path["purchase[age]"]) > 0).all()
    assert path["purchase[age]"].iloc[0] < 0.01
    chosen = float(path.loc[path["chosen"], "penalty"].iloc[0])
    assert model.posterior_.diagnostics["penalty"] == chosen
    np.testing.assert_allclose(model.posterior_.point_array[4:], path.loc[path["chosen"]].iloc[0, 6:], rtol=1e-6)
    fixed = both("mbg_nbd", penalty=chosen).fit(simulate("mbg_nbd", n=1_500, seed=3).rfm)
    np.testing.assert_allclose(fixed.posterior_.point_array, model.posterior_.point_array, rtol=1e-6)


def test_standard_errors_of_a_penalty_path_are_of_paired_differences():
    rfm = simulate("bg_nbd", n=300, seed=9).rfm
    grid, folds = [0.0, 20.0, 1e4], 3
    options = {"purchase_covariates": ["age"], "penalty_folds": folds}
    path = pc.BGNBD(**options, penalty="cv", penalty_grid=grid).fit(rfm).penalty_path_
    # Everybody is a row, and rows are in the order of age, frequency, T and recency.
    order = np.lexsort((rfm.recency, rfm.T, rfm.frequency, rfm.carried["age"]))
    generator, left = np.random.default_rng(0), np.ones(300, dtype=np.int64)
    first = generator.multivariate_hypergeometric(left, 100, method="marginals")
    second = generator.multivariate_hypergeometric(left - first, 100, method="marginals")
    fold = np.where(first, 0, np.where(second, 1, 2))
    z = (rfm.carried["age"] - rfm.carried["age"].mean()) / rfm.carried["age"].std()
    table = rfm.to_pandas().assign(z=z)
    scores = np.empty((3, 300))
    for i in range(folds):
        own, others = (
            pc.RFMSummary.from_frame(table.iloc[order[some]], time_unit="week", carry=["z"])
            for some in (fold == i, fold != i)
        )
        # z is of all customers, and is standardised again for the others alone.
        scale = others.carried["z"].std()
        for j, penalty in enumerate(path["penalty"]):
            share = penalty * 200 / 300
            model = pc.BGNBD(purchase_covariates=["z"], penalty=share / scale**2).fit(others)
            scores[j, fold == i] = [model.score(own[n : n + 1]) for n in range(len(own))]
    mean = scores.mean(axis=1)
    best = int(np.argmax(mean))
    np.testing.assert_allclose(path["log_likelihood"], mean, rtol=1e-5)
    error = (scores - scores[best]).std(axis=1) / np.sqrt(300)
    np.testing.assert_allclose(path["std_error"], error, rtol=1e-3, atol=1e-12)


def test_a_penalty_is_a_normal_prior():
    rfm = simulate("mbg_nbd", n=1_000, seed=2).rfm
    spread = 0.2
    held = pc.MBGNBD(purchase_covariates=["age"], penalty=spread**-2).fit(rfm)
    wide = {name: LogNormal(1.0, 50.0) for name in ("r", "alpha", "a", "b")}
    prior = pc.MBGNBD("map", purchase_covariates=["age"], priors={**wide, "purchase[age]": Normal(0.0, spread)})
    prior.fit(rfm)
    np.testing.assert_allclose(prior.posterior_.point_array, held.posterior_.point_array, rtol=2e-3)


@pytest.mark.slow
def test_map_uses_priors_on_coefficients():
    rfm = simulate("pareto_nbd", n=1_500, seed=4).rfm
    model = pc.ParetoNBD("map", purchase_covariates=COLUMNS, priors={"purchase[age]": Normal(0.0, 0.01)})
    assert model.priors_for(rfm)["purchase[channel=tv]"] == Normal(0.0, 1.0)
    assert "purchase[age]" in set(model.priors_table()["parameter"])
    model.fit(rfm)
    assert abs(model.posterior_.point["purchase[age]"]) < 0.05
    assert model.posterior_.diagnostics["gate"] == "passed"
    draws = model.posterior_.draws
    assert (draws["purchase[channel=paid]"] < 0).any()
    loo = model.loo()
    assert loo.elpd_loo == pytest.approx(model.posterior_.diagnostics["log_likelihood"], rel=0.01)
    found = model.to_arviz(log_likelihood=False)
    assert int(found.posterior_predictive["customers"].isel(chain=0, draw=0).sum()) == len(rfm)
    for wrong, message in (
        ({"purchase[age]": LogNormal(1.0, 1.0)}, "must be proper, a Normal"),
        ({"r": Normal(0.0, 1.0)}, "must be proper, a LogNormal or a Gamma"),
        ({"purchase[ages]": Normal(0.0, 1.0)}, "no parameter 'purchase.ages.'"),
    ):
        with pytest.raises(ValueError, match=message):
            pc.ParetoNBD("map", purchase_covariates=COLUMNS, priors=wrong).fit(rfm)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["bg_nbd", "pareto_nbd", "bg_cnbd"])
def test_pymc_has_the_same_posterior(key):
    pytest.importorskip("pymc")
    rfm = simulate(key, n=200, seed=6).rfm
    model = pc.MODELS[key]("map", purchase_covariates=COLUMNS, dropout_covariates=["channel"])
    assert "purchase[age]" in model.priors_for(rfm)
    compiled, literal = (model.to_pymc(rfm, likelihood=form) for form in ("compiled", "literal"))
    start = compiled.initial_point()
    assert float(compiled.compile_logp()(start)) == pytest.approx(float(literal.compile_logp()(start)), rel=1e-10)
    assert "purchase_covariate[age]" in literal.named_vars
    assert not hasattr(model, "posterior_")
    assert model.covariates_ is None


@pytest.mark.slow
def test_mcmc_agrees_with_importance_sampling():
    pytest.importorskip("nutpie")
    rfm = simulate("bg_nbd", n=2_000, seed=1).rfm
    options = {"purchase_covariates": ["age"], "dropout_covariates": ["age"]}
    near = pc.BGNBD("map", **options).fit(rfm).summary
    chains = pc.BGNBD("mcmc", **options, chains=2, draws=600, tune=400, progressbar=False).fit(rfm)
    far = chains.summary
    # Ends of intervals, from some 500 effective draws.
    assert (np.abs(near["low"] - far["low"]) < 0.25 * far["std_error"]).all()
    assert (np.abs(near["high"] - far["high"]) < 0.25 * far["std_error"]).all()


BASE = simulate(n=400).rfm


@pytest.mark.parametrize(
    ("columns", "setting", "message"),
    [
        ({}, ["chanel"], "'chanel' is no carried column; carried are: 'channel', 'age'. Did you mean 'channel'"),
        ({"gap": [1.0, None] * 200}, ["gap"], "'gap' is missing for 200 of 400 customers .first: customer 2."),
        ({"gap": ["a", None] * 200}, ["gap"], "'gap' is missing for 200 of 400 customers .first: customer 2."),
        ({"far": [1.0, np.inf] * 200}, ["far"], "'far' is infinite for 200 of 400 customers .first: customer 2."),
        ({"same": [3.0] * 400}, ["same"], "'same' is 3 for all 400 customers, so it explains nothing"),
        ({"same": ["a"] * 400}, ["same"], "'same' is 'a' for all 400 customers, so it explains nothing"),
        ({"when": pd.date_range("2024", periods=400)}, ["when"], "'when' holds dates"),
        ({"double": BASE.carried["age"] * 2 + 1}, ["age", "double"], "'double' is a combination of 'age' for all 400"),
        (
            {"paid": (BASE.carried["channel"] == "paid").astype(int)},
            ["channel", "paid"],
            "'paid' is a combination of 'channel=paid' for all 400",
        ),
        ({"id": [f"c{i}" for i in range(400)]}, ["id"], "399 coefficients, and of 400 customers"),
    ],
)
def test_columns_that_cannot_inform_a_fit_are_refused(columns, setting, message):
    with pytest.raises(DataError, match=message):
        pc.BGNBD(purchase_covariates=setting).fit(with_columns(BASE, **columns))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"purchase_covariates": "age"}, r"must be a list of carried columns.*Did you mean \['age'\]"),
        ({"purchase_covariates": [3]}, "must hold names of columns"),
        ({"dropout_covariates": ["age", "age"]}, "names 'age' more than once"),
        ({"penalty": 1.0}, "there are no covariates"),
        ({"purchase_covariates": ["age"], "penalty": -1.0}, "must be a number from 0 on, or 'cv'"),
        ({"purchase_covariates": ["age"], "penalty": "CV"}, "must be a number from 0 on, or 'cv'"),
        ({"purchase_covariates": ["age"], "penalty_folds": 1}, "'penalty_folds' must be a whole number from 2 on"),
        ({"purchase_covariates": ["age"], "penalty": "cv", "penalty_grid": []}, "'penalty_grid' must list numbers"),
        ({"purchase_covariates": ["age"], "penalty": 1.0, "method": "map"}, "belongs to method='mle'"),
        ({"purchase_covariates": ["age"], "segment": "channel", "method": "map"}, "together they are not supported"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        pc.BGNBD(**settings).fit(BASE)


def test_customers_of_a_forecast_need_what_the_fit_had(fitted):
    model, rfm = fitted("bg_nbd")
    few = rfm[:5].to_pandas()
    cases = [
        (
            few.assign(channel=["tv", "radio", "tv", "radio", "tv"]),
            "not seen, for 2 of 5 customers .first: customer 2, ",
        ),
        (few.assign(age=[1.0, np.nan, 3.0, 4.0, 5.0]), "'age' is missing for 1 of 5 customers .first: customer 2."),
        (few.assign(age=list("abcde")), "'age' held numbers in the fit, and does not now .first: customer 1, 'a'."),
    ]
    for table, message in cases:
        with pytest.raises(DataError, match=message):
            model.predict(pc.RFMSummary.from_frame(table, time_unit="week", carry=COLUMNS), 13)
    flagged = pc.BGNBD(purchase_covariates=["flag"]).fit(with_columns(rfm, flag=np.arange(len(rfm)) % 2))
    assert flagged.effects["contrast"][0] == "1 instead of 0"
    with pytest.raises(
        DataError, match=r"'flag' was 0 or 1 in the fit, and is not for 1 of 5 customers .first: .* 3, 2\)"
    ):
        flagged.predict(with_columns(rfm[:5], flag=[0, 1, 2, 0, 1]), 13)
    bare = pc.RFMSummary.from_frame(few.drop(columns=COLUMNS), time_unit="week")
    with pytest.raises(DataError, match="'channel' is no carried column; carried are: none"):
        model.predict(bare, 13)
    with pytest.raises(ValueError, match="fitted without covariates, so it has no effects"):
        _ = pc.BGNBD().fit(rfm).effects


def test_a_level_that_never_buys_again_is_told():
    rfm = BASE
    marked = with_columns(rfm, never=np.where((rfm.frequency == 0) & (np.arange(400) % 2 == 0), "yes", "no"))
    with pytest.warns(ConvergenceWarning, match=r"purchase\[never=yes\] has no estimate.*Merge rare levels"):
        model = pc.ParetoNBD(purchase_covariates=["never"]).fit(marked)
    assert model.effects["low"][0] == -np.inf
    assert "not determined" in model.effects["meaning"][0]


def test_a_fit_without_covariates_forgets_those_before(fitted):
    model, rfm = fitted("bg_nbd")
    again = clone(model).fit(rfm).set_params(purchase_covariates=None, dropout_covariates=None).fit(rfm)
    assert again.covariates_ is None
    pd.testing.assert_frame_equal(again.predict(rfm[:5], 13), pc.BGNBD().fit(rfm).predict(rfm[:5], 13))


def test_plots_of_effects_and_of_the_penalty(fitted):
    from matplotlib import pyplot as plt

    model, rfm = fitted("bg_nbd")
    ax = pc.plots.plot_effects(model)
    assert next(label.get_text() for label in ax.get_yticklabels()).startswith("channel: paid instead")
    assert "effects point one way" in ax.get_title(loc="left")
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {
        "purchase rate",
        "odds of leaving after a purchase",
    }
    held = pc.BGNBD(purchase_covariates=["age"], penalty="cv", penalty_grid=[0, 10, 1000]).fit(rfm[:600])
    _, given = plt.subplots()
    assert pc.plots.plot_penalty_path(held, ax=given) is given
    assert len(given.get_lines()) == 3
    plt.close("all")
    with pytest.raises(ValueError, match="no penalty path: fit with penalty='cv'"):
        pc.plots.plot_penalty_path(model)
    with pytest.raises(ValueError, match="fitted without covariates, so there is no effect"):
        pc.plots.plot_effects(pc.BGNBD().fit(rfm))


def test_what_speaks_of_one_population_says_so(fitted, tmp_path):
    model, rfm = fitted("bg_nbd")
    with pytest.raises(ValueError, match=r"take those of some values, as for_covariates"):
        pc.checks.check_frequencies(model, rfm)
    clv = pc.CLV(clone(model), pc.GammaGamma()).fit(rfm)
    with pytest.raises(ValueError, match="differ by their covariates"):
        write_report(tmp_path / "report.html", clv=clv, rfm=rfm, horizon=26)
    own = model.for_covariates({"channel": "tv", "age": 0.0})
    assert pc.plots.plot_frequency_recency(own) is not None


@every_model
def test_rows_of_their_own_parameters_have_the_forecasts_of_the_model(key, fitted):
    model, rfm = fitted(key)
    some = rfm[:25]
    kernels, theta = row_thetas(model, some, 2)
    x, horizon, delta, counts = some.frequency.astype(float), 52.0, 0.01, np.array([1.0, 2.0, 7.5])
    assert kernels.n_stages == model.bindings.n_stages
    for own, stage in itertools.product(theta, range(kernels.n_stages)):
        alive = kernels.p_alive(x, some.recency, some.T, own, stage)
        pmf = kernels.alive_counts(x, some.T, horizon, own, 40, stage)
        moments = kernels.discount_moments(x, some.T, horizon, delta, own, counts, stage)
        for i in range(len(x)):
            row, one = slice(i, i + 1), own[i : i + 1].copy()
            history = x[row], some.recency[row], some.T[row]
            of_model = model.bindings.p_alive_by_stage(*history, one)[stage, 0, 0]
            assert alive[i] == pytest.approx(of_model, rel=1e-12)
            of_model = model.bindings.stage_purchase_pmf(x[row], some.T[row], horizon, one[0], 40, stage)[0]
            np.testing.assert_allclose(pmf[i], of_model, rtol=1e-12, atol=1e-300)
            moment = model.bindings.discount_moments(x[row], some.T[row], horizon, delta, one[0], counts, stage)
            np.testing.assert_allclose(moments[:, i], np.stack(moment)[:, 0], rtol=1e-12)


@every_model
def test_value_one_by_one_is_that_of_each_customers_own_model(key, fitted):
    model, rfm = fitted(key)
    assert model.posterior_.diagnostics["n_patterns"] == len(rfm)
    clv = pc.CLV(clone(model), pc.GammaGamma()).fit(rfm)
    some = rfm[np.flatnonzero(rfm.frequency > 0)[:4]]
    table = clv.predict(some, 52, margin=0.4)
    for i in range(len(some)):
        own = pc.CLV(pc.BGNBD(), pc.GammaGamma()).fit(rfm)
        values = {name: some.carried[name][i] for name in COLUMNS}
        own.transactions_ = clv.transactions_.for_covariates(values)
        alone = own.predict(some[i : i + 1], 52, margin=0.4)
        width = table["clv_high"][i] - table["clv_low"][i]
        for column in table.columns[1:]:
            # The outcome's interval is interpolated between tables for customers who share parameters.
            slack = 1e-3 * width if column in ("clv_low", "clv_high") else 1e-9 * abs(table[column][i])
            assert alone[column][0] == pytest.approx(table[column][i], abs=slack + 1e-12), column


@pytest.mark.parametrize("key", ["bg_nbd", "pareto_nbd"])
def test_simulated_effects_multiply_rates(key):
    n = 2_000
    flag = np.arange(n) % 2
    options = {"n_customers": n, "covariates": {"flag": flag}, "seed": 3}
    plain = pc.datasets.simulate_rfm(key, **options).truth
    moved = pc.datasets.simulate_rfm(
        key, **options, purchase_effects={"flag": 0.5}, dropout_effects={"flag": 1.0}
    ).truth
    # The same random numbers, so that what differs is the effect alone.
    np.testing.assert_allclose(moved["purchase_rate"], plain["purchase_rate"] * np.exp(0.5 * flag), rtol=1e-12)
    if key == "bg_nbd":
        means = [moved["dropout_probability"][flag == level].mean() for level in (0, 1)]
        odds = 0.793 / 2.426
        expected = [odds / (1 + odds), odds * np.e / (1 + odds * np.e)]
        # The standard deviation of the beta is below 0.3; a thousand customers each.
        np.testing.assert_allclose(means, expected, atol=4.5 * 0.3 / np.sqrt(n / 2))
    with pytest.raises(ValueError, match=r"purchase_effects: 'flags' is none of the covariates, 'flag'\. Did you mean"):
        pc.datasets.simulate_rfm(key, **options, purchase_effects={"flags": 1.0})


@pytest.mark.parametrize("key", ["bg_nbd", "bg_cnbd"])
def test_a_model_for_covariates_is_an_ordinary_one(key, fitted, tmp_path):
    import pickle

    model, rfm = fitted(key)
    own = model.for_covariates({"channel": "tv", "age": 3.0})
    own.save(tmp_path / "own")
    for again in (pc.load(tmp_path / "own"), pickle.loads(pickle.dumps(own))):
        pd.testing.assert_frame_equal(again.predict(rfm[:5], 13), own.predict(rfm[:5], 13), check_exact=True)
    assert own.posterior_.draws.shape == (1024, 4)
    assert not own.posterior_.draws_array(8).flags.writeable
    np.testing.assert_array_equal(own.posterior_.draws_array(8), own.posterior_.draws_array()[:8])
    with pytest.raises(ValueError, match="'n' must be at least 1"):
        own.posterior_.draws_array(0)
