"""Models compared on CDNOW, by every criterion; what cannot be compared, and what is refused."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.comparison.fits import Candidate
from predclv.comparison.nesting import NESTINGS, likelihood_ratio_tests
from predclv.errors import ConvergenceWarning, DataError, FitError
from predclv.kernels import bg_family, nbd
from published import BACKTESTS, FITS

KEYS = ["nbd", "bg_nbd", "mbg_nbd", "pareto_nbd"]


@pytest.fixture(scope="module")
def compared(cdnow):
    return pc.compare(cdnow)


@pytest.fixture(scope="module")
def scored(cdnow_split):
    return pc.compare(cdnow_split.calibration, KEYS, holdout=cdnow_split, n_bootstrap=100)


def test_likelihoods_and_information_criteria(compared):
    table = compared.table.set_index("model")
    assert set(table.index) == set(KEYS)
    for key in KEYS:
        row, fit = table.loc[key], FITS["cdnow", key]
        assert row["parameters"] == len(fit.estimates)
        assert row["log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-6)
        assert row["aic"] == pytest.approx(2 * len(fit.estimates) - 2 * fit.log_likelihood, abs=1e-5)
        assert row["bic"] == pytest.approx(np.log(2357) * len(fit.estimates) - 2 * fit.log_likelihood, abs=1e-5)
    assert table["comparable"].all()
    # MBG/NBD and BG/NBD are 0.3 apart in log-likelihood, NBD far off.
    assert list(table.index) == ["mbg_nbd", "bg_nbd", "pareto_nbd", "nbd"]
    assert list(table["verdict"]) == ["best", "within noise", "worse", "worse"]
    np.testing.assert_allclose(table["difference"], table["delta_aic"], atol=1e-12)


def test_the_interval_is_that_of_the_sum_over_customers(cdnow, compared):
    columns = cdnow.frequency, cdnow.recency, cdnow.T
    best = bg_family.log_likelihood(*columns, *FITS["cdnow", "mbg_nbd"].estimates, dropout_at_first=True)
    other = nbd.log_likelihood(*columns, *FITS["cdnow", "nbd"].estimates)
    error = 2 * np.std(best - other) * np.sqrt(len(cdnow))
    row = compared.table.set_index("model").loc["nbd"]
    assert row["difference_high"] - row["difference"] == pytest.approx(stats.norm.ppf(0.95) * error, rel=1e-6)
    assert row["difference"] - row["difference_low"] == pytest.approx(stats.norm.ppf(0.95) * error, rel=1e-6)


def test_nested_models(compared):
    nested = compared.nested.set_index("within")
    assert set(nested.index) == {"bg_nbd", "mbg_nbd", "pareto_nbd"}
    assert (nested["model"] == "nbd").all()
    for key, row in nested.iterrows():
        statistic = 2 * (FITS["cdnow", key].log_likelihood - FITS["cdnow", "nbd"].log_likelihood)
        assert row["statistic"] == pytest.approx(statistic, abs=1e-5)
        assert row["df"] == 2
        assert row["p_value"] == pytest.approx(stats.chi2.sf(statistic, 2), rel=1e-4)
        assert "conservative" in row["note"]


def test_it_says_in_words_what_the_data_prefer(compared):
    said = repr(compared)
    assert said.startswith(
        "<Comparison of 4 models: mbg_nbd is best by AIC (19,172.3); bg_nbd (+0.6, -11.9 to 13.1) is"
    )
    assert "within noise of it; pareto_nbd (+25.7, 3.3 to 48.1), nbd (+359.0, 251.0 to 467.0) are worse" in said
    assert "likelihood-ratio tests reject nbd within bg_nbd" in said
    assert "mbg_nbd is best by AIC" in compared._repr_html_()
    assert str(compared) == compared.say()


def test_holdout_scores_are_those_of_the_published_backtests(cdnow_split, scored):
    assert scored.criterion == "crps"
    table = scored.table.set_index("model")
    for key in KEYS:
        row, printed = table.loc[key], BACKTESTS["cdnow", key]
        assert row["rmse"] == pytest.approx(printed.rmse, abs=5e-4)
        assert row["mae"] * 2357 / 2356 == pytest.approx(printed.mae, abs=5e-4)
        assert row["bias"] == pytest.approx(printed.bias, abs=5e-3 if key == "nbd" else 5e-4)
    assert table["crps"].is_monotonic_increasing
    assert table.loc["nbd", "verdict"] == "worse"
    assert (table["verdict"] == "within noise").sum() == 2
    assert table["pit_coverage_90"].between(0.85, 0.95).all()
    assert set(scored.scores["method"]) == set(KEYS)
    assert "of the holdout, 39 weeks" in scored.say()
    # A fitted model forecasts what the same model does by itself.
    own = pc.BGNBD().fit(cdnow_split.calibration).predict(cdnow_split.calibration, cdnow_split.duration)
    again = scored.fitted["bg_nbd"].predict(cdnow_split.calibration, cdnow_split.duration)
    pd.testing.assert_frame_equal(again, own, check_exact=True)


def test_scores_are_those_of_a_backtest(scored):
    result = pc.backtest(
        pc.datasets.load_cdnow(),
        methods=["bg_nbd", "nbd"],
        cutoffs=["1997-09-30"],
        horizons=["39 weeks"],
        observation_end="1998-06-30",
        n_bootstrap=2,
        progressbar=False,
    )
    theirs = result.table("crps")["39 weeks"]
    ours = scored.table.set_index("model")["crps"]
    np.testing.assert_allclose(ours[["bg_nbd", "nbd"]], theirs[["bg_nbd", "nbd"]], rtol=1e-9)


def test_leave_one_out(cdnow):
    arviz = pytest.importorskip("arviz")
    found = pc.compare(cdnow, ["nbd", "bg_nbd"], loo=True)
    fits = {"nbd": pc.NBD(method="map").fit(cdnow), "bg_nbd": pc.BGNBD(method="map").fit(cdnow)}
    scores = {name: model.loo() for name, model in fits.items()}
    table = found.table.set_index("model")
    assert list(table.index) == ["bg_nbd", "nbd"]
    for name, score in scores.items():
        assert table.loc[name, "elpd_loo"] == pytest.approx(score.elpd_loo, rel=1e-12)
        assert table.loc[name, "se"] == pytest.approx(score.se, rel=1e-12)
        assert table.loc[name, "p_loo"] == pytest.approx(score.p_loo, rel=1e-9)
        assert table.loc[name, "bad_k"] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ meets newer pandas
        theirs = arviz.compare(scores).loc["nbd"]
    row = table.loc["nbd"]
    assert row["difference"] == pytest.approx(theirs["elpd_diff"], rel=1e-9)
    assert row["difference_high"] - row["difference"] == pytest.approx(stats.norm.ppf(0.95) * theirs["dse"], rel=1e-9)
    # The likelihood is still the largest one.
    assert table.loc["bg_nbd", "log_likelihood"] == pytest.approx(FITS["cdnow", "bg_nbd"].log_likelihood, abs=1e-6)
    assert found.criterion == "elpd_loo"
    assert pc.compare(cdnow, ["nbd", "bg_nbd"], criterion="bic").table["verdict"].tolist() == ["best", "worse"]


def test_where_nobody_leaves_nothing_is_gained():
    rfm = pc.datasets.simulate_rfm(
        "nbd", n_customers=1_000, parameters={"r": 0.8, "alpha": 8.0}, T=(20.0, 80.0), seed=0
    ).rfm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # dropout runs to the edge: meant
        found = pc.compare(rfm)
    assert found.best == "nbd"
    assert (found.nested["p_value"] > 0.1).all()
    assert list(found.table["verdict"]) == ["best", "no gain", "no gain", "no gain"]
    assert "are no better for more parameters" in found.say()
    assert "reject" not in found.say()


@pytest.fixture(scope="module")
def grocery(shared_data):
    log = pd.read_csv(shared_data("grocery_elog.csv"))
    options = {"customer_id": "cust", "date": "date", "observation_end": "2006-12-31"}
    return {gaps: pc.RFMSummary.from_transactions(log, regularity=gaps, **options) for gaps in (True, False)}


def test_regular_buyers_are_seen_where_the_gaps_are_known(grocery):
    found = pc.compare(grocery[True], ["bg_nbd", "bg_cnbd", "mbg_cnbd"])
    table = found.table.set_index("model")
    assert found.best == "mbg_cnbd"
    assert table.loc["mbg_cnbd", "log_likelihood"] == pytest.approx(-14978.210731581, abs=1e-5)
    # k was chosen by the same likelihood.
    assert table.loc["mbg_cnbd", "parameters"] == 5
    assert table.loc["bg_nbd", "verdict"] == "worse"


def test_a_likelihood_without_the_gaps_is_not_compared_and_a_failure_stays(grocery):
    found = pc.compare(
        grocery[False], {"bg_nbd": "bg_nbd", "k given": pc.MBGCNBD(k=2), "k unknown": "bg_cnbd", "nbd": pc.NBD()}
    )
    table = found.table.set_index("model")
    assert table["verdict"].to_dict() == {
        "bg_nbd": "best",
        "nbd": "worse",
        "k given": "not comparable",
        "k unknown": "failed",
    }
    assert not table.loc["k given", "comparable"]
    assert np.isfinite(table.loc["k given", "log_likelihood"])
    assert table.loc[["k given", "k unknown"], ["aic", "bic", "delta_aic", "difference"]].isna().all(axis=None)
    assert "regularity=True" in table.loc["k given", "note"]
    assert table.loc["k unknown", "note"].startswith("maximum likelihood: DataError: BGCNBD chooses k by the times")
    assert "k given cannot be compared; k unknown could not be fitted" in found.say()
    with pytest.raises(FitError, match=r"None of 2 models could be fitted\. bg_cnbd: maximum likelihood: DataError"):
        pc.compare(grocery[False], ["bg_cnbd", "mbg_cnbd"])


def test_segments_have_no_largest_likelihood():
    simulated = pc.datasets.simulate_rfm(n_customers=300, T=(20.0, 80.0), seed=4, lattice=7).rfm
    table = simulated.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    half = np.where(np.arange(300) % 2, "a", "b")
    rfm = pc.RFMSummary.from_frame(table.assign(half=half), time_unit="week", carry=["half"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # small segments, default priors
        found = pc.compare(rfm, {"flat": "bg_nbd", "halves": pc.BGNBD(method="map", segment="half"), "nbd": "nbd"})
    row = found.table.set_index("model").loc["halves"]
    assert row["verdict"] == "not comparable"
    assert "no AIC" in row["note"]
    assert np.isnan(row["aic"])
    assert set(found.fitted) == {"flat", "halves", "nbd"}


def test_covariates_are_tested_against_the_model_without_them():
    simulated = pc.datasets.simulate_rfm(n_customers=800, T=(20.0, 80.0), seed=3, lattice=7).rfm
    table = simulated.to_pandas()[["customer_id", "frequency", "recency", "T"]]
    noise = np.random.default_rng(0).normal(size=800)
    rfm = pc.RFMSummary.from_frame(table.assign(noise=noise), time_unit="week", carry=["noise"])
    models = {
        "flat": pc.BGNBD(),
        "noise": pc.BGNBD(purchase_covariates=["noise"]),
        "penalised": pc.BGNBD(purchase_covariates=["noise"], penalty=1e4),
    }
    found = pc.compare(rfm, models)
    table = found.table.set_index("model")
    assert table["parameters"].to_dict() == {"flat": 4, "noise": 5, "penalised": 5}
    # The largest likelihood is without the penalty; who forecasts has it.
    assert table.loc["penalised", "log_likelihood"] == pytest.approx(table.loc["noise", "log_likelihood"], abs=1e-6)
    coefficient = {name: found.fitted[name].posterior_.point_array[-1] for name in ("noise", "penalised")}
    assert abs(coefficient["penalised"]) < 0.1 * abs(coefficient["noise"])
    row = found.nested.set_index(["model", "within"]).loc[("flat", "noise")]
    assert row["df"] == 1
    assert row["note"] == "purchase[noise] = 0"
    # Of what explains nothing hardly anything is gained, and hardly a customer's likelihood is another.
    assert row["p_value"] > 0.01
    assert (table["difference_high"] - table["difference"]).max() < 20


def test_contracts_are_compared_by_the_same_words():
    survivors = [1000, 631, 468, 382, 326, 289, 262, 241]  # Fader & Hardie (2007), table 1, "Regular"
    found = pc.compare(pc.Subscriptions.from_cohorts(survivors, period="year"), ["sbg", "bdw"])
    row = found.nested.iloc[0]
    assert (row["model"], row["within"], row["df"]) == ("sbg", "bdw", 1)
    assert row["note"].startswith("c = 1")
    log_likelihood = found.table.set_index("model")["log_likelihood"]
    assert log_likelihood["sbg"] / 1000 == pytest.approx(-1.680265, abs=1e-5)
    assert row["statistic"] == pytest.approx(2 * (log_likelihood["bdw"] - log_likelihood["sbg"]), abs=1e-9)
    with pytest.raises(TypeError, match="A holdout goes with an RFMSummary"):
        pc.compare(
            pc.Subscriptions.from_cohorts(survivors, period="year"), ["sbg", "bdw"], holdout=object.__new__(pc.Split)
        )


def test_models_given_are_left_alone(cdnow):
    given = pc.BGNBD(random_state=3)
    already = pc.NBD().fit(cdnow[:500])
    before = already.posterior_
    found = pc.compare(cdnow, [given, already])
    assert not hasattr(given, "posterior_")
    assert already.posterior_ is before
    assert found.fitted["bg_nbd"].random_state == 3
    assert found.fitted["nbd"].fingerprint_.n_customers == len(cdnow)


def a_fit(key, names, log_likelihood, **diagnostics):
    """A candidate as if fitted."""
    found = {"log_likelihood": log_likelihood, "n_observations": 100, **diagnostics}
    posterior = SimpleNamespace(names=names, fit_diagnostics=found)
    return Candidate("+".join([key, *names[2:]]), pc.MODELS[key](), likely=SimpleNamespace(posterior_=posterior))


def test_a_model_is_within_itself_with_more_parameters():
    small = a_fit("nbd", ["r", "alpha"], -500.0)
    large = a_fit("nbd", ["r", "alpha", "rate_age", "rate_income"], -496.0)
    row = likelihood_ratio_tests([large, small]).iloc[0]
    assert (row["model"], row["within"], row["df"]) == ("nbd", "nbd+rate_age+rate_income", 2)
    assert row["note"] == "rate_age, rate_income = 0"
    assert row["p_value"] == pytest.approx(stats.chi2.sf(8.0, 2))
    # NBD with coefficients is within no BG/NBD that lacks them.
    bg = a_fit("bg_nbd", ["r", "alpha", "a", "b"], -490.0)
    assert list(likelihood_ratio_tests([small, large, bg])["within"]) == ["nbd+rate_age+rate_income", "bg_nbd+a+b"]
    # Of another k they are other models.
    one, two = (a_fit("bg_cnbd", ["r", "alpha", "a", "b"][: 4 - i], -1.0, k=1 + i) for i in (0, 1))
    assert likelihood_ratio_tests([one, two]).empty


def test_a_larger_model_that_fits_worse_is_named():
    tests = likelihood_ratio_tests(
        [a_fit("nbd", ["r", "alpha"], -5.0), a_fit("bg_nbd", ["r", "alpha", "a", "b"], -5.2)]
    )
    assert tests["p_value"].iloc[0] == 1
    assert tests["note"].iloc[0].endswith("held short of where both are the same")


def test_nestings_are_of_models_with_different_keys():
    assert len({(nesting.model, nesting.within) for nesting in NESTINGS}) == len(NESTINGS)
    for nesting in NESTINGS:
        both = [pc.MODELS[key] for key in (nesting.model, nesting.within) if key in pc.MODELS]
        # The larger one has more parameters.
        if len(both) == 2:
            assert len(both[0].PARAMETERS) < len(both[1].PARAMETERS)


@pytest.mark.parametrize(
    ("models", "error", "said"),
    [
        (["bg_nbd", pc.BGNBD()], ValueError, "Two models are called 'bg_nbd'. Give a mapping of names to models"),
        (["bg_nbd", "mbg_ndb"], ValueError, "'mbg_ndb' is no model.*mbg_nbd"),
        (["bg_nbd"], ValueError, "at least two models. Got 1"),
        (["gamma_gamma", "bg_nbd"], ValueError, "different kinds have no likelihood in common"),
        ({"a": "gamma_gamma", "b": pc.GammaGamma()}, ValueError, "There is one spend model"),
        (["bg_nbd", pc.CLV()], TypeError, "A model must be a key, such as 'bg_nbd', or an estimator"),
        (["bg_nbd", pc.NBD], TypeError, "A model must be a key"),
        ("bg_nbd", TypeError, "'models' must be a list of models"),
    ],
)
def test_what_cannot_be_compared_is_refused(models, error, said, cdnow):
    with pytest.raises(error, match=said):
        pc.compare(cdnow, models)


def test_options_are_checked(cdnow, cdnow_split):
    with pytest.raises(DataError, match="The holdout goes with another summary, of 2,357 customers as of 1997-09-30"):
        pc.compare(cdnow[:100], KEYS, holdout=cdnow_split)
    with pytest.raises(TypeError, match="'holdout' must be a Split"):
        pc.compare(cdnow, KEYS, holdout=cdnow_split.holdout)
    unfit = {name: pc.NBD(method="map", priors={"beta": pc.priors.LogNormal(1.0, 1.0)}) for name in ("a", "b")}
    with pytest.raises(FitError, match=r"None of 2 models could be fitted as given.*a: fit: .*no parameter 'beta'"):
        pc.compare(cdnow_split.calibration, unfit, holdout=cdnow_split)
    with pytest.raises(ValueError, match="criterion='crps' needs a holdout"):
        pc.compare(cdnow, KEYS, criterion="crps")
    with pytest.raises(ValueError, match="criterion='elpd_loo' needs loo=True"):
        pc.compare(cdnow, KEYS, criterion="elpd_loo")
    with pytest.raises(ValueError, match="'criterion'"):
        pc.compare(cdnow, KEYS, criterion="waic")
    with pytest.raises(ValueError, match=r"did you mean 0\.95"):
        pc.compare(cdnow, KEYS, level=95)
    with pytest.raises(TypeError, match="Expected an RFMSummary"):
        pc.compare(cdnow.to_pandas(), KEYS)
    with pytest.raises(ValueError, match="'n_bootstrap' must be a whole number from 2 on"):
        pc.compare(cdnow, KEYS, n_bootstrap=0)
    with pytest.raises(ValueError, match="Name the models"):
        pc.compare(cdnow.to_pandas())


def test_so_few_customers_that_no_interval_is_to_be_had():
    log = pc.datasets.load_cdnow()
    few = log[log["customer_id"].isin(log["customer_id"].unique()[::160])]
    split = pc.split_transactions(few, at="1997-09-30", holdout_end="1998-06-30", time_unit="week", collapse="day")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = pc.compare(split.calibration, {"nbd": pc.NBD(), "regular": pc.NBD()}, holdout=split, n_bootstrap=20)
    assert list(found.table["verdict"]) == ["best", "too few"]
    assert "too few customers for an interval of regular (+0.0000)" in found.say()
    assert "too few customers to tell" in found.plot().get_title(loc="left").replace("\n", " ")
