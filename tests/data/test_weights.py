"""Rows that stand for several customers: everything is as with one row for each, or is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.model_selection import KFold, cross_val_score

import predclv as pc
from predclv import RFMSummary, checks
from predclv.errors import ConvergenceWarning, DataError, ExtrapolationWarning
from predclv.kernels.collapse import collapse
from predclv.kernels.weighted import rank_correlation, rank_p_value, weighted_median
from predclv.models import MBGCNBD
from predclv.priors.settle import Scales
from predclv.report.writer import write_report

# Baskets are rounded here, which brings about a dependence on how many there are.
pytestmark = pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning")


def weighted(n_customers: int = 2_000, seed: int = 5) -> RFMSummary:
    """Customers of few histories and baskets, put together, those of two channels apart."""
    rfm = pc.datasets.simulate_rfm("mbg_cnbd", n_customers=n_customers, T=(20.0, 60.0), lattice=1, seed=seed).rfm
    table = rfm.to_pandas().drop(columns="customer_id")
    # As of whole weeks, purchases may coincide with the first or with each other: only the sums of logs would tell.
    once = table["frequency"] == 0
    table["recency"] = np.where(once, 0.0, np.maximum(table["recency"], 1.0))
    table["log_itt"] = np.where(once, 0.0, np.round(table["log_itt"] - table["frequency"]))
    table["monetary_value"] = np.where(once, 0.0, np.ceil(table["monetary_value"] / 20.0) * 20.0)
    table["channel"] = np.where(np.arange(n_customers) % 3 == 0, "shop", "web")
    rows = table.groupby(list(table.columns), as_index=False).size().rename(columns={"size": "customers"})
    return RFMSummary.from_frame(rows, time_unit="week", weight="customers", carry=["channel"])


@pytest.fixture(scope="module")
def rfm() -> RFMSummary:
    return weighted()


MODELS: dict[str, Callable[[], Any]] = {
    "bg_nbd": pc.BGNBD,
    "pareto_nbd": pc.ParetoNBD,
    "mbg_cnbd": MBGCNBD,
    "gamma_gamma": pc.GammaGamma,
    "map": lambda: pc.BGNBD(method="map"),
    "spend, map": lambda: pc.GammaGamma(method="map"),
    "segments": lambda: pc.MBGNBD(method="map", segment="channel"),
}


class TestFits:
    @pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning")  # of priors and of two segments
    @pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
    def test_a_fit_is_that_of_a_row_for_each(self, make: Callable[[], Any], rfm: RFMSummary) -> None:
        each = rfm.expand()
        few, all_ = make().fit(rfm), make().fit(each)
        for one, other in zip([few, *few.segments_.values()], [all_, *all_.segments_.values()], strict=True):
            np.testing.assert_allclose(one.posterior_.point_array, other.posterior_.point_array, rtol=1e-9)
            np.testing.assert_allclose(one.posterior_.draws_array(), other.posterior_.draws_array(), rtol=1e-7)
            assert one.fingerprint_ == other.fingerprint_
        assert few.score(rfm) == pytest.approx(few.score(each), rel=1e-12)
        assert few.posterior_.diagnostics["n_observations"] == all_.posterior_.diagnostics["n_observations"]
        for name, prior in few.priors_.items():
            np.testing.assert_allclose(prior.quantile([0.1, 0.9]), all_.priors_[name].quantile([0.1, 0.9]), rtol=1e-12)

    def test_nuts_sees_all_customers(self, rfm: RFMSummary) -> None:
        pytest.importorskip("nutpie")
        settings = {"method": "mcmc", "chains": 2, "draws": 300, "tune": 300, "progressbar": False}
        few, all_ = (pc.BGNBD(**settings).fit(of) for of in (rfm, rfm.expand()))
        np.testing.assert_allclose(few.posterior_.point_array, all_.posterior_.point_array, rtol=1e-6)

    def test_the_check_of_dependence_counts_customers(self, rfm: RFMSummary) -> None:
        fits = [pc.GammaGamma().fit(of).dependence_ for of in (rfm, rfm.expand())]
        assert fits[0].n_customers == fits[1].n_customers
        for name in ("rank_correlation", "adjusted_correlation", "p_value"):
            assert getattr(fits[0], name) == pytest.approx(getattr(fits[1], name), rel=1e-9, abs=1e-12)

    def test_few_customers_are_shuffled_one_by_one(self) -> None:
        table = pd.DataFrame(
            {"frequency": [1, 2, 3, 5], "recency": 4.0, "T": 9.0, "monetary_value": [5.0, 30.0, 18.0, 31.0]}
        ).assign(weight=[9, 8, 6, 4])
        rfm = RFMSummary.from_frame(table, time_unit="week")
        with pytest.warns(ConvergenceWarning):
            fits = [pc.GammaGamma().fit(of).dependence_ for of in (rfm, rfm.expand())]
        assert fits[0].n_customers == 27
        assert fits[0].p_value == fits[1].p_value

    def test_regularity_counts_customers(self, rfm: RFMSummary) -> None:
        few, all_ = rfm.regularity(), rfm.expand().regularity()
        assert (few.n_customers, few.n_gaps) == (all_.n_customers, all_.n_gaps)
        assert few.k == pytest.approx(all_.k, rel=1e-9)

    def test_default_priors_go_by_the_mean_customer(self, rfm: RFMSummary) -> None:
        from predclv.models.bayes import scales_of

        few, all_ = scales_of(rfm), scales_of(rfm.expand())
        assert isinstance(few, Scales)
        assert few.age == pytest.approx(all_.age, rel=1e-13)
        assert few.basket == all_.basket


class TestForecasts:
    def test_a_row_is_forecast_as_each_of_its_customers(self, rfm: RFMSummary) -> None:
        clv, some = pc.CLV().fit(rfm), rfm[::25]
        few, all_ = clv.predict(some, "40 weeks"), clv.predict(some.expand(), "40 weeks")
        rows = np.repeat(np.arange(len(some)), some.weight)
        assert len(rows) > len(some)
        pd.testing.assert_frame_equal(
            few.iloc[rows].drop(columns="customer_id").reset_index(drop=True),
            all_.drop(columns="customer_id"),
            check_exact=True,
        )
        assert clv.score(rfm) == pytest.approx(clv.score(rfm.expand()), rel=1e-12)

    def test_what_simulates_customers_one_by_one_is_refused(self, rfm: RFMSummary, tmp_path: Any) -> None:
        clv = pc.CLV().fit(rfm)
        uses = {
            "portfolio": lambda: clv.portfolio(rfm, by="channel"),
            "report": lambda: write_report(tmp_path / "report.html", clv=clv, rfm=rfm),
            "frequencies": lambda: checks.check_frequencies(clv.transactions_, rfm),
            "recency": lambda: checks.check_recency(clv.transactions_, rfm),
            "spend": lambda: checks.check_spend(clv.spend_, rfm),
        }
        for use in uses.values():
            with pytest.raises(DataError, match=r"stand for 2,000 customers\. Give it rfm\.expand\(\)"):
                use()
        assert clv.portfolio(rfm.expand(), n_draws=16)["customers"].iloc[-1] == 2_000

    def test_a_warning_counts_customers(self, rfm: RFMSummary) -> None:
        model = pc.BGNBD().fit(rfm)
        old = RFMSummary.from_frame(
            pd.DataFrame({"frequency": [1], "recency": [2.0], "T": [500.0], "weight": [70]}), time_unit="week"
        )
        with pytest.warns(ExtrapolationWarning, match="70 of 70 customers"):
            model.predict(old, 4)


class TestSummary:
    def test_customers_and_rows(self, rfm: RFMSummary) -> None:
        each = rfm.expand()
        assert rfm.weight is not None
        assert (len(rfm), rfm.n_customers) == (len(rfm.weight), 2_000)
        assert len(rfm) < 1_500
        assert len(each) == each.n_customers == 2_000
        assert rfm.n_repeat_buyers == each.n_repeat_buyers
        assert rfm.mean_age == pytest.approx(each.T.mean(), rel=1e-13)
        assert rfm.mean_frequency == pytest.approx(each.frequency.mean(), rel=1e-13)
        assert f"2,000 customers in {len(rfm):,} rows" in repr(rfm)
        assert rfm.shape == rfm.to_pandas().shape
        np.testing.assert_array_equal(rfm.collapsed.weight, each.collapsed.weight)
        np.testing.assert_array_equal(rfm.collapsed.x, each.collapsed.x)

    def test_expanded_ids_say_whose_copies_they_are(self) -> None:
        table = pd.DataFrame({"customer_id": [7, 9], "frequency": [1, 0], "recency": [1.0, 0.0], "T": 3.0})
        rfm = RFMSummary.from_frame(table.assign(n=[2, 1]), time_unit="week", weight="n")
        each = rfm.expand()
        assert each.customer_id.tolist() == ["7#1", "7#2", "9#1"]
        assert each.weight is None
        assert each.expand() is each
        alike = RFMSummary.from_frame(
            table.assign(customer_id=np.array([1, "1"], dtype=object), n=2), time_unit="week", weight="n"
        )
        with pytest.raises(DataError, match="repeat a customer_id"):
            alike.expand()

    def test_rows_keep_their_weights(self, rfm: RFMSummary) -> None:
        assert rfm.weight is not None
        np.testing.assert_array_equal(rfm[5:9].weight, rfm.weight[5:9])
        again = pickle.loads(pickle.dumps(rfm))
        np.testing.assert_array_equal(again.weight, rfm.weight)
        assert not again.weight.flags.writeable
        back = RFMSummary.from_frame(rfm.to_pandas(), time_unit="week", carry=["channel"])
        np.testing.assert_array_equal(back.weight, rfm.weight)
        scores = cross_val_score(pc.BGNBD(), rfm, cv=KFold(3, shuffle=True, random_state=0))
        assert np.isfinite(scores).all()

    @pytest.mark.parametrize("weight", [0, -1, 1.5, np.nan, np.inf, "a", 1e17])
    def test_a_weight_is_a_count(self, weight: Any) -> None:
        table = pd.DataFrame({"frequency": [1, 0], "recency": [1.0, 0.0], "T": 3.0})
        with pytest.raises(DataError, match="'weight'"):
            RFMSummary.from_frame(table.assign(weight=[1, weight]), time_unit="week")
        with pytest.raises(DataError, match="'weight' has shape"):
            RFMSummary(np.arange(2), table["frequency"], table["recency"], table["T"], weight=np.ones(3))


class TestKernels:
    def test_statistics_are_those_of_the_repeated(self) -> None:
        generator = np.random.default_rng(4)
        for n in (1, 2, 7, 400):
            values, other = generator.integers(0, 30, n).astype(float), generator.normal(size=n).round(1)
            weight = generator.integers(1, 9, n).astype(float)
            repeat = [np.repeat(column, weight.astype(int)) for column in (values, other)]
            assert weighted_median(values, weight) == np.median(repeat[0])
            if n > 2:
                found, expected = rank_correlation(values, other, weight), spearmanr(*repeat)
                assert found == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
                assert rank_p_value(found, len(repeat[0])) == pytest.approx(expected.pvalue, rel=1e-6)

    @pytest.mark.parametrize("step", [1.0, np.pi])
    def test_collapsing_adds_weights_up(self, step: float) -> None:
        generator = np.random.default_rng(2)
        x, T = generator.integers(0, 3, 500), generator.integers(4, 8, 500) * step
        t_x, weight = np.where(x > 0, 2 * step, 0.0), generator.integers(1, 5, 500)
        few = collapse(x, t_x, T, weight, need_inverse=False)
        all_ = collapse(*(np.repeat(column, weight) for column in (x, t_x, T)), need_inverse=False)
        for one, other in zip(few[:4], all_[:4], strict=True):
            np.testing.assert_array_equal(one, other)
        assert few.inverse is None
