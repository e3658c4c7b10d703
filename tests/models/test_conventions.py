"""What scikit-learn and a careful user expect of every model: seeds, folds, refusals, nothing half done."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

import predclv as pc
from predclv.errors import ConvergenceWarning, DataError, DependenceWarning, UnitError
from predclv.models.maximum_likelihood import describe_edge

N = 300


@pytest.fixture(scope="module")
def rfm():
    """Customers in the order of their frequency, so that a fold may hold one-time buyers alone."""
    simulated = pc.datasets.simulate_rfm(n_customers=N, seed=5, lattice=7).rfm
    return simulated[np.argsort(simulated.frequency, kind="stable")]


def test_folds_of_one_time_buyers_are_scored(rfm):
    assert rfm[: N // 3].n_repeat_buyers == 0
    with warnings.catch_warnings():
        # Nobody of few purchases, or of many: such folds determine the dropout badly.
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(pc.BGNBD(), rfm, cv=3)
    assert np.isfinite(scores).all()
    # One-time buyers are easily foreseen, frequent ones hardly.
    assert scores[0] > scores[1] > scores[2]


def test_clv_scores_the_sum(clv, cdnow):
    assert clv.score(cdnow) == pytest.approx(clv.transactions_.score(cdnow) + clv.spend_.score(cdnow))


@pytest.mark.parametrize("model", [pc.BGNBD, pc.GammaGamma])
@pytest.mark.parametrize(
    "seed",
    [None, -1, 1.5, True, "x", 2**32, np.random.RandomState(0), np.random.default_rng(0)],
    ids=lambda seed: type(seed).__name__,
)
def test_no_seed_is_refused(model, seed, rfm):
    with pytest.raises(ValueError, match=r"'random_state' must be a whole number from 0 to 2\*\*32 - 1"):
        model(random_state=seed).fit(rfm)


def test_numpy_seeds_are_seeds(rfm, tmp_path):
    model = pc.BGNBD(random_state=np.int64(7)).fit(rfm)
    pd.testing.assert_frame_equal(
        model.posterior_.draws, pc.BGNBD(random_state=7).fit(rfm).posterior_.draws, check_exact=True
    )
    model.save(tmp_path / "model")
    assert pc.load(tmp_path / "model").get_params() == pc.BGNBD(random_state=7).get_params()


@pytest.mark.parametrize(
    "use",
    [
        lambda clv, table: clv.fit(table),
        lambda clv, table: clv.score(table),
        lambda clv, table: clv.predict(table),
        lambda clv, table: clv.portfolio(table, by="segment"),
        lambda clv, table: clv.transactions_.p_alive(table),
        lambda clv, table: clv.transactions_.predict(table, 4),
        lambda clv, table: clv.transactions_.score(table),
        lambda clv, table: clv.spend_.expected_spend(table),
        lambda clv, table: clv.spend_.score(table),
    ],
)
def test_a_table_is_no_summary(use, clv, cdnow):
    with pytest.raises(TypeError, match=r"Expected an RFMSummary. Got DataFrame"):
        use(clv, cdnow.to_pandas())


def test_swapped_models_are_refused(rfm):
    with pytest.raises(TypeError, match=r"'transactions' must be a TransactionModel.*Got GammaGamma\(\)"):
        pc.CLV(pc.GammaGamma(), pc.BGNBD()).fit(rfm)
    with pytest.raises(TypeError, match="'spend' must be a GammaGamma"):
        pc.CLV(spend=pc.BGNBD()).fit(rfm)


def test_other_purchases_are_refused(clv, cdnow):
    columns = ["customer_id", "frequency", "recency", "T", "monetary_value"]
    monthly = pc.RFMSummary.from_frame(cdnow.to_pandas()[columns], time_unit="week", collapse="month")
    for use in (clv.predict, clv.score, clv.transactions_.p_alive, clv.spend_.expected_spend):
        with pytest.raises(UnitError, match="merged by 'day'"):
            use(monthly)


def test_nobody_observed_is_refused():
    table = pd.DataFrame({"frequency": [0, 0], "recency": [0.0, 0.0], "T": [0.0, 0.0]})
    with pytest.raises(DataError, match="Nobody has been observed for any time: T is 0 for all 2 customers"):
        pc.BGNBD().fit(pc.RFMSummary.from_frame(table, time_unit="week"))


def test_loaded_settings_are_those_given(cdnow, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        for i, model in enumerate((pc.CLV(), pc.CLV(pc.BGNBD(random_state=4)))):
            model.fit(cdnow).save(tmp_path / str(i))
            again = pc.load(tmp_path / str(i))
            settings, params = again.get_params(), model.get_params()
            assert settings.keys() == params.keys()
            assert {k: v for k, v in settings.items() if "__" in k} == {k: v for k, v in params.items() if "__" in k}
            assert again.spend is None
            assert (again.transactions is None) == (i == 0)


def test_every_edge_is_described():
    values = dict.fromkeys(("r", "alpha", "a", "b"), 1.0)
    for runaway, said, unsaid in [
        ({"a": "low", "r": "high", "alpha": "high"}, ["no customer leaving", "buy at one rate"], []),
        ({"a": "low", "b": "high"}, ["no customer leaving"], ["equally likely"]),
        ({"a": "high", "b": "high"}, ["equally likely to leave"], ["no customer leaving", "after the first repeat"]),
        ({"a": "high", "b": "low"}, ["after the first repeat"], ["at once or never"]),
        ({"alpha": "low"}, ["do not determine this model"], []),
    ]:
        text = describe_edge(runaway, pc.BGNBD.PARAMETERS, values, pc.BGNBD.EDGES)
        positions = [text.index(words) for words in said]
        assert positions == sorted(positions)
        assert all(text.count(words) == 1 for words in said)
        assert not any(words in text for words in unsaid)


@pytest.mark.slow
def test_a_million_customers_converge():
    simulated = pc.datasets.simulate_rfm(n_customers=1_000_000, seed=3)
    summary = pc.CLV().fit(simulated.rfm).summary.set_index("parameter")
    truth = simulated.parameters | simulated.spend_parameters
    for name, value in truth.items():
        # The search stops closer to the maximum than sampling error can show.
        assert abs(summary.loc[name, "estimate"] - value) < 4 * summary.loc[name, "std_error"]


@pytest.mark.slow
def test_a_million_customers_do_not_stall_at_rounding():
    # The log-likelihood is rounded to some 1e-10 there: a line search for less took its steps by chance.
    rfm = pc.datasets.simulate_rfm(n_customers=1_000_000, seed=0, lattice=7).rfm
    assert pc.BGNBD().fit(rfm).posterior_.diagnostics["n_iterations"] <= 6
