"""BG/CNBD-k and MBG/CNBD-k: published fits and forecasts of the grocery data, the choice of k, and what is refused."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.base import clone

import predclv as pc
import published
from predclv.errors import DataError, HorizonWarning, ModelFileError
from predclv.kernels import bg_family
from predclv.kernels.bg_family.paths import simulate_counts
from predclv.models.bg_family import BGFamily
from predclv.models.cnbd import BGCNBD, MBGCNBD, MOST_EVENTS
from predclv.models.storage import read_model
from predclv.priors import LogNormal

BOTH = pytest.mark.parametrize("model_class", [BGCNBD, MBGCNBD])


@pytest.fixture(scope="module")
def grocery(shared_data):
    log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"])
    return pc.split_transactions(log, customer_id="cust", at="2006-12-31", regularity=True)


@pytest.fixture(scope="module")
def grocery_fits(grocery):
    return {cls: cls().fit(grocery.calibration) for cls in (BGCNBD, MBGCNBD)}


@pytest.fixture(scope="module")
def simulated():
    return {
        cls: pc.datasets.simulate_rfm(cls.KEY, n_customers=3_000, T=(10.0, 104.0), lattice=7, seed=11).rfm
        for cls in (BGCNBD, MBGCNBD)
    }


@pytest.fixture(scope="module")
def fitted(simulated):
    return {cls: cls().fit(rfm) for cls, rfm in simulated.items()}


@BOTH
def test_two_events_are_chosen_on_grocery(model_class, grocery_fits, grocery):
    """By itself; the fit is among those of tests/models/test_published.py."""
    model, rfm = grocery_fits[model_class], grocery.calibration
    assert model.k_ == 2
    assert max(model.log_likelihood_by_k_, key=model.log_likelihood_by_k_.get) == 2
    largest = model.posterior_.diagnostics["log_likelihood"]
    assert model.log_likelihood_by_k_[2] == pytest.approx(largest, abs=1e-6)
    assert model.score(rfm) == pytest.approx(largest / len(rfm), rel=1e-12)
    assert model.posterior_.diagnostics["log_likelihood_is_complete"]


def test_k_of_one_has_the_likelihood_of_the_models_without(grocery_fits, grocery):
    one = grocery_fits[MBGCNBD].log_likelihood_by_k_[1]
    assert one == pytest.approx(pc.MBGNBD().fit(grocery.calibration).posterior_.diagnostics["log_likelihood"])
    assert one == pytest.approx(published.GROCERY_MBG_NBD_LOG_LIKELIHOOD, abs=2e-6)


@BOTH
def test_one_event_is_chosen_on_cdnow(model_class):
    rfm = pc.RFMSummary.from_transactions(
        pc.datasets.load_cdnow(), amount="amount", observation_end="1997-09-30", regularity=True
    )
    model = model_class().fit(rfm)
    assert model.k_ == 1
    same = pc.MODELS[model_class.KEY.replace("cnbd", "nbd")]().fit(rfm)
    np.testing.assert_allclose(model.posterior_.point_array, same.posterior_.point_array, rtol=1e-10)
    pd.testing.assert_frame_equal(model.predict(rfm, 39), same.predict(rfm, 39))


@BOTH
def test_published_holdout(model_class, grocery_fits, grocery):
    """As through `backtest`, and the two figures that are not printed as they are."""
    rfm, actual = grocery.calibration, grocery.holdout["purchases"].to_numpy()
    assert (len(actual), actual.sum(), grocery.duration) == (1525, 3389, 52.0)
    expected = grocery_fits[model_class].predict(rfm, grocery.duration)["expected_purchases"].to_numpy()
    found = {"mae": np.abs(expected - actual).mean(), "pearson": pearsonr(expected, actual).statistic}
    for name, exact in published.BACKTESTS_AT_THE_OPTIMUM["grocery", model_class.KEY].items():
        assert found[name] == pytest.approx(exact, abs=1e-7)


def test_published_unit_values():
    (k, *theta), plain, modified = published.CNBD_UNIT
    for first, value in ((False, plain), (True, modified)):
        # A new customer: with a chance to leave at the first purchase, alive after it or not.
        pmf = BGFamily(k=k, dropout_at_first=first).purchase_pmf(
            np.zeros(1), np.zeros(1), np.zeros(1), 10.0, np.array([theta]), 5
        )
        assert pmf[0, 2] == pytest.approx(value, abs=5e-6)


@BOTH
@pytest.mark.parametrize("k", [1, 2, 3])
def test_k_and_parameters_are_recovered(model_class, k):
    truth = {"r": 1.2, "alpha": 1.5, "a": 0.6, "b": 1.8}
    rfm = pc.datasets.simulate_rfm(
        model_class.KEY, n_customers=20_000, k=k, parameters=truth, T=(26.0, 104.0), seed=4
    ).rfm
    model = model_class().fit(rfm)
    assert model.k_ == k
    error = np.log(model.posterior_.point_array / list(truth.values()))
    covariance = model.posterior_.covariance_unconstrained
    assert error @ np.linalg.solve(covariance, error) < 23.5  # chi-square of 4 degrees, 1 in 10,000


@BOTH
def test_the_likelihood_is_the_literal_one(model_class, fitted, simulated):
    model, rfm = fitted[model_class], simulated[model_class]
    assert model.k_ == 2
    likelihood = model._likelihood(rfm)
    theta = np.array([[0.5, 2.0, 0.7, 1.9], [1.5, 1.0, 0.3, 4.0]])
    literal = [
        bg_family.log_likelihood(
            rfm.frequency, rfm.recency, rfm.T, *one, k=2, dropout_at_first=model_class.DROPOUT_AT_FIRST,
            sum_log_itt=rfm.log_itt,
        ).sum()
        for one in theta
    ]  # fmt: skip
    np.testing.assert_allclose([likelihood.derivatives(one).value for one in theta], literal, rtol=1e-11)
    np.testing.assert_allclose([likelihood.make_gradient()(one)[0] for one in theta], literal, rtol=1e-11)
    np.testing.assert_allclose(likelihood.values(theta), literal, rtol=1e-11)
    np.testing.assert_allclose(likelihood.row_values(theta) @ likelihood.weight, literal, rtol=1e-11)
    rows = [likelihood.literal(*likelihood.rows.values(), *one) @ likelihood.weight for one in theta]
    np.testing.assert_allclose(rows, literal, rtol=1e-11)


@BOTH
def test_given_k_is_taken_and_needs_no_gaps(model_class, simulated):
    rfm = simulated[model_class]
    model = model_class(k=3).fit(rfm)
    assert model.k_ == 3
    assert model.log_likelihood_by_k_ == {}
    without = pc.RFMSummary.from_frame(rfm.to_pandas().drop(columns="log_itt"), time_unit="week")
    other = model_class(k=np.int64(3)).fit(without)
    np.testing.assert_allclose(other.posterior_.point_array, model.posterior_.point_array, rtol=1e-9)
    assert not other.posterior_.diagnostics["log_likelihood_is_complete"]
    pd.testing.assert_frame_equal(other.predict(without, 13), model.predict(rfm, 13), rtol=1e-9)
    with pytest.raises(DataError, match="regularity=True"):
        model.score(without)


@BOTH
def test_the_default_prior_expects_as_many_purchases_whatever_k_is(model_class, simulated):
    rfm = simulated[model_class]
    plain = pc.MODELS[model_class.KEY.replace("cnbd", "nbd")]().priors_for(rfm)
    for k in (1, 3):
        priors = model_class("map", k=k).priors_for(rfm)
        assert priors["alpha"].median == pytest.approx(plain["alpha"].median / k)
        assert {**priors, "alpha": None} == {**plain, "alpha": None}
    # Chosen on the customers, or not yet known.
    assert model_class("map").priors_for(rfm)["alpha"].median == pytest.approx(plain["alpha"].median / 2)
    assert model_class("map").priors_table().set_index("parameter").loc["alpha", "median"] == pytest.approx(0.4)
    # What is given is of events, and taken as it is.
    given = {"alpha": LogNormal(5.0, 0.3, unit="week")}
    model = model_class("map", k=2, priors=given)
    assert model.priors_for(rfm)["alpha"].median == 5.0
    fitted = model_class("map", k=2).fit(rfm)
    assert fitted.priors_["alpha"].median == pytest.approx(plain["alpha"].median / 2)
    assert not hasattr(model, "posterior_")


@BOTH
def test_what_is_refused(model_class, simulated, fitted):
    rfm = simulated[model_class]
    for k in (0, MOST_EVENTS + 1, 2.0, True, "2"):
        with pytest.raises(ValueError, match=r"'k' must be a whole number from 1 to 12, or None to choose it"):
            model_class(k=k).fit(rfm)
    without = pc.RFMSummary.from_frame(rfm.to_pandas().drop(columns="log_itt"), time_unit="week")
    with pytest.raises(DataError, match=rf"{model_class.__name__} chooses k by .*regularity=True.*or give k"):
        model_class().fit(without)
    with pytest.raises(TypeError, match="Expected an RFMSummary"):
        model_class().fit(rfm.to_pandas())
    once = rfm[rfm.frequency == 0]
    with pytest.raises(DataError, match="bought once"):
        model_class().fit(once)
    model = fitted[model_class]
    with pytest.raises(ValueError, match="infinite horizon"):
        model.predict(rfm, np.inf)


@BOTH
def test_saved_and_loaded(model_class, fitted, simulated, tmp_path):
    model, rfm = fitted[model_class], simulated[model_class]
    model.save(tmp_path / "model")
    manifest, draws = read_model(tmp_path / "model")
    again = model_class.from_dict(manifest, draws)
    assert again.k is None
    assert again.k_ == 2
    assert again.log_likelihood_by_k_ == model.log_likelihood_by_k_
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.predict(rfm, 13), model.predict(rfm, 13), check_exact=True)
    for damage in (0, 2.5, "2", None):
        broken = json.loads(json.dumps(manifest))
        broken["posterior"]["diagnostics"]["k"] = damage
        with pytest.raises(ModelFileError, match="'k' of the fit"):
            model_class.from_dict(broken, draws)
    broken = json.loads(json.dumps(manifest))
    broken["settings"]["k"] = 3
    with pytest.raises(ModelFileError, match="is not that of the model"):
        model_class.from_dict(broken, draws)
    del broken["posterior"]["diagnostics"]["k"]
    with pytest.raises(ModelFileError, match="lacks 'k'"):
        model_class.from_dict(broken, draws)


@BOTH
def test_scikit_learn_conventions(model_class, simulated):
    model = model_class(k=2, random_state=5)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["k"] == 2
    assert model.fit(simulated[model_class]) is model
    assert {name for name in vars(model) if name.endswith("_")} == {
        "posterior_", "segments_", "priors_", "fingerprint_",
    }  # fmt: skip
    assert not hasattr(clone(model), "posterior_")
    # Kernels are known before a fit where k is.
    assert clone(model).bindings.k == 2
    for unknown in (None, 0, "2"):
        assert "bindings" not in dir(model_class(k=unknown))
    # A new fit chooses again.
    refitted = model.set_params(k=None).fit(simulated[model_class][:500])
    assert refitted.k_ == 2
    assert refitted.log_likelihood_by_k_


@BOTH
def test_another_unit_is_the_same_model(model_class, fitted, simulated):
    rfm = simulated[model_class]
    days = pc.RFMSummary.from_frame(
        rfm.to_pandas().assign(recency=rfm.recency * 7, T=rfm.T * 7, log_itt=rfm.log_itt + rfm.frequency * np.log(7)),
        time_unit="day",
    )
    other = model_class().fit(days)
    assert other.k_ == 2
    np.testing.assert_allclose(
        other.posterior_.point_array, fitted[model_class].posterior_.point_array * [1, 7, 1, 1], rtol=1e-7
    )


@pytest.mark.slow
def test_value_and_totals_of_regular_buyers(simulated):
    """Everything a CLV says: quantiles in their order, totals that hold the customers' means, a new customer."""
    rfm = simulated[MBGCNBD][:800]
    # Tables of value are made for each count of purchases: three of them.
    few = rfm[np.flatnonzero(np.isin(rfm.frequency, [0, 1, 5]))[:20]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        clv = pc.CLV(MBGCNBD("map"), pc.GammaGamma()).fit(rfm)
        table = clv.predict(few, "1 year")
        totals = clv.portfolio(few, "1 year")
        new = clv.new_customer("1 year")
        whole = clv.predict(few, np.inf)
    assert clv.transactions_.k_ == 2
    assert (table["clv_low"] <= table["clv_high"]).all()
    assert (table["expected_clv"] < whole["expected_clv"]).all()
    assert (whole["clv_high"] >= table["clv_high"] * (1 - 1e-3)).all()
    total = totals.iloc[-1]
    assert total["expected_clv"] == pytest.approx(table["expected_clv"].sum(), rel=1e-9)
    assert total["clv_low"] < total["expected_clv"] < total["clv_high"]
    assert total["purchases_low"] <= table["expected_purchases"].sum() < total["purchases_high"]
    assert new["expected_clv"][0] > new["expected_spend"][0]


def test_segments_share_k():
    rfm = pc.datasets.simulate_rfm("mbg_cnbd", n_customers=900, T=(30.0, 80.0), seed=3).rfm
    table = rfm.to_pandas().assign(channel=np.array(["web", "shop", "app"])[np.arange(900) % 3])
    rfm = pc.RFMSummary.from_frame(table, time_unit="week", carry=["channel"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MBGCNBD("map", segment="channel").fit(rfm)
    assert model.k_ == 2
    assert [part.k_ for part in model.segments_.values()] == [2, 2, 2]
    assert model.predict(rfm, 13)["expected_purchases"].notna().all()
    again = MBGCNBD.from_dict(model.to_dict() | {"class": "MBGCNBD"}, _tables(model))
    assert [part.k_ for part in again.segments_.values()] == [2, 2, 2]


def _tables(model):
    import pyarrow as pa

    return {
        name: pa.Table.from_pandas(posterior.draws, preserve_index=False)
        for name, posterior in model.posteriors().items()
    }


def test_as_a_pymc_model(simulated):
    pytest.importorskip("pymc")
    rfm = simulated[MBGCNBD][:300]
    model = MBGCNBD()
    values = {}
    for likelihood in ("compiled", "literal"):
        built = model.to_pymc(rfm, likelihood=likelihood)
        values[likelihood] = built.compile_logp()(built.initial_point())
    assert values["literal"] == pytest.approx(values["compiled"], rel=1e-9)
    assert not hasattr(model, "posterior_")


def test_whole_lives_at_the_estimate_look_like_the_data(simulated, fitted):
    """Purchases of new customers simulated at the fit, as many as were made: k enters the simulation as it should."""
    model, rfm = fitted[MBGCNBD], simulated[MBGCNBD]
    T = np.asarray(rfm.T)
    theta = np.repeat(model.posterior_.point_array[np.newaxis], 40, axis=0)
    counts = simulate_counts(np.random.default_rng(2), np.zeros(len(T)), np.array([0.0, 10.0]), theta, model.k_, True)
    assert counts.shape == (40, 1)
    new = model.bindings.expected_purchases(np.zeros(1), np.zeros(1), np.zeros(1), 10.0, theta[:1])[0, 0]
    assert counts.mean() / len(T) == pytest.approx(new, abs=5 * counts.std() / len(T) / np.sqrt(40))
