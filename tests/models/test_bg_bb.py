"""BG/BB as people use it: the donors, what is refused, and the rest of the package."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv import checks, plots
from predclv.cli import main
from predclv.errors import DataError, HorizonWarning
from predclv.kernels import bg_bb
from published import DONATIONS, DONATIONS_HOLDOUT


@pytest.fixture(scope="module")
def donors() -> pc.RFMSummary:
    table = pc.datasets.load_donations()
    return pc.RFMSummary.from_frame(table, T="periods", weight="weights", opportunities="year")


@pytest.fixture(scope="module")
def fit(donors: pc.RFMSummary) -> pc.BGBB:
    return pc.BGBB().fit(donors)


@pytest.fixture(scope="module")
def buyers() -> pc.datasets.SimulatedSummary:
    return pc.datasets.simulate_rfm(
        "bg_bb", n_customers=800, time_unit="month", T=(3.0, 24.0), horizons=("1 year",), seed=3
    )


class TestDonors:
    def test_the_published_fit(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        assert (donors.n_customers, len(donors), donors.n_repeat_buyers) == (11_104, 22, 7_640)
        # Printed from a search that stops early: the likelihood there is lower by 1e-5.
        np.testing.assert_allclose(fit.posterior_.point_array, DONATIONS.estimates, rtol=2e-4)
        found = fit.posterior_.diagnostics["log_likelihood"]
        assert found == pytest.approx(DONATIONS.log_likelihood, abs=0.005)
        columns = donors.frequency.astype(float), donors.recency, donors.T
        at_printed = float(donors.weight @ bg_bb.log_likelihood(*columns, *DONATIONS.estimates))
        assert found - 1e-4 < at_printed <= found
        assert fit.posterior_.diagnostics["n_observations"] == 11_104

    def test_a_row_for_each_gives_the_same(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        each = pc.BGBB().fit(donors.expand())
        np.testing.assert_allclose(each.posterior_.point_array, fit.posterior_.point_array, rtol=1e-12)
        assert each.score(donors) == pytest.approx(fit.score(donors.expand()), rel=1e-12)

    def test_the_holdout(self, donors: pc.RFMSummary, fit: pc.BGBB, shared_data: Callable[[str], Path]) -> None:
        holdout = pd.read_csv(shared_data("donations_rf_holdout.csv"))
        actual = int((holdout["x.star"] * holdout["custs"]).sum())
        assert actual == DONATIONS_HOLDOUT
        expected = float(donors.weight @ fit.expected_purchases(donors, "5 years")["expected_purchases"])
        # Nearly 3 % below what came.
        assert expected == pytest.approx(12_884, abs=1)
        assert expected / actual - 1 == pytest.approx(-0.028, abs=5e-4)
        none = float(donors.weight @ (1 - fit.predict(donors, 5)["p_purchase"]))
        assert none == pytest.approx(int(holdout.loc[holdout["x.star"] == 0, "custs"].sum()), rel=0.06)

    def test_who_is_there_and_how_the_histories_are_replicated(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        table = fit.predict(donors, "5 years").assign(x=donors.frequency, t_x=donors.recency).set_index(["x", "t_x"])
        # Who used the last opportunity was there at it, and may only have left since: alike for all of them.
        _, _, gamma, delta = fit.posterior_.point_array
        latest = table.xs(6.0, level="t_x")["p_alive"]
        np.testing.assert_allclose(latest, (delta + 6) / (gamma + delta + 6), rtol=1e-12)
        assert (table.xs(1, level="x")["p_alive"].diff().dropna() > 0).all()
        ahead = fit.p_alive(donors, ahead="2 years")["p_alive"].to_numpy()
        ratio = (delta + 7) / (gamma + delta + 7) * (delta + 8) / (gamma + delta + 8)
        np.testing.assert_allclose(ahead, fit.p_alive(donors)["p_alive"] * ratio, rtol=1e-12)
        found = checks.check_frequencies(fit, donors.expand(), n_draws=64)
        assert found.table["actual"].sum() == 11_104

    def test_discounted_donations(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HorizonWarning)  # without end: meant
            endless = fit.discounted_expected_purchases(donors, math.inf, discount_rate=0.10)
        alpha, beta, gamma, delta = fit.posterior_.point_array
        # The paper's sum for who gave each year, one year after the other.
        there = (delta + 6) / (gamma + delta + 6)
        total, survival = 0.0, 1.0
        for year in range(1, 2_000):
            total += survival * 1.10**-year
            survival *= (delta + 6 + year) / (gamma + delta + 6 + year)
        expected = there * total * (alpha + 6) / (alpha + beta + 6)
        assert endless["discounted_expected_purchases"].iloc[-1] == pytest.approx(expected, rel=1e-10)


class TestInference:
    def test_map_is_near_where_customers_are_many(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        found = pc.BGBB(method="map").fit(donors)
        # 11,104 donors leave little to the priors.
        np.testing.assert_allclose(found.posterior_.point_array, fit.posterior_.point_array, rtol=0.02)
        assert found.posterior_.diagnostics["gate"] == "passed"

    @pytest.mark.slow
    def test_the_pymc_forms_agree(self, donors: pc.RFMSummary) -> None:
        pytest.importorskip("pymc")
        models = [pc.BGBB().to_pymc(donors, likelihood=form) for form in ("compiled", "literal")]
        start = models[0].initial_point()
        values = [model.compile_logp(mode="FAST_COMPILE")(start) for model in models]
        assert values[0] == pytest.approx(values[1], rel=1e-11)
        slopes = [model.compile_dlogp(mode="FAST_COMPILE")(start) for model in models]
        np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-7)
        # With a longer silence than it was built for the sum would lack terms: it is no number.
        with models[1]:
            import pymc as pm

            pm.set_data({"T": donors.T + 5})
        assert np.isnan(models[1].compile_logp(mode="FAST_COMPILE")(start))

    def test_default_priors_go_by_the_number_of_opportunities(self, donors: pc.RFMSummary) -> None:
        priors = pc.BGBB(method="map").priors_for(donors)
        assert priors["beta"].median == pytest.approx(0.4 * 6)
        assert priors["delta"].median == pytest.approx(0.8 * 6)
        assert priors["alpha"].median == 1.0

    def test_segments(self, buyers: pc.datasets.SimulatedSummary) -> None:
        table = buyers.rfm.to_pandas().assign(channel=np.where(np.arange(800) % 2, "a", "b"))
        rfm = pc.RFMSummary.from_frame(table, opportunities="month", carry=["channel"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that two segments leave the spread to its prior
            model = pc.BGBB(method="map", segment="channel").fit(rfm)
        assert set(model.segments_) == {"a", "b"}
        assert model.predict(rfm, 3)["p_alive"].between(0, 1).all()


class TestValue:
    @pytest.mark.slow
    def test_value_with_intervals_portfolio_and_files(
        self, buyers: pc.datasets.SimulatedSummary, tmp_path: Path
    ) -> None:
        clv = pc.CLV(pc.BGBB(), pc.GammaGamma()).fit(buyers.rfm)
        table = clv.predict(buyers.rfm, "1 year")
        assert np.isfinite(table.drop(columns="customer_id").to_numpy(dtype=float)).all()
        total = clv.portfolio(buyers.rfm, "1 year", n_draws=256).iloc[0]
        assert total["expected_clv"] == pytest.approx(table["expected_clv"].sum(), rel=1e-9)
        assert total["clv_low"] < buyers.value.sum() < total["clv_high"]
        assert total["purchases_low"] < buyers.purchases.sum() < total["purchases_high"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HorizonWarning)  # without end: meant
            endless = clv.predict(buyers.rfm[:5], math.inf)
            new = clv.new_customer(math.inf, include_first=False)
        assert (endless["expected_clv"] > table["expected_clv"][:5]).all()
        assert (endless["p_purchase"] < endless["p_alive"]).all()
        assert new["clv_low"].iloc[0] == 0
        clv.save(tmp_path / "clv")
        again = pc.load(tmp_path / "clv")
        pd.testing.assert_frame_equal(again.predict(buyers.rfm, "1 year"), table, check_exact=True)
        assert again.transactions_.fingerprint_.opportunities == "month"
        pytest.importorskip("jinja2")
        pc.write_report(tmp_path / "report.html", clv=clv, rfm=buyers.rfm, horizon="1 year")
        report = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ">in the last month<" in report

    def test_a_row_is_scored_as_such_whatever_stands_beside_it(self, buyers: pc.datasets.SimulatedSummary) -> None:
        clv = pc.CLV(pc.BGBB(), pc.GammaGamma()).fit(buyers.rfm)
        whole, part = (clv.predict(rfm, "6 months") for rfm in (buyers.rfm, buyers.rfm[::7]))
        pd.testing.assert_frame_equal(whole.iloc[::7].reset_index(drop=True), part, check_exact=True)

    def test_a_file_that_contradicts_itself_is_refused(self, fit: pc.BGBB) -> None:
        stored = fit.fingerprint_.to_dict()
        assert type(fit.fingerprint_).from_dict(stored) == fit.fingerprint_
        for opportunities, message in (("month", "'time_unit' of the data fitted on"), ("hour", "must be one of")):
            with pytest.raises((ValueError, DataError), match=message):
                type(fit.fingerprint_).from_dict({**stored, "opportunities": opportunities})


class TestRefusals:
    def test_horizons_are_whole(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        with pytest.raises(DataError, match=r"is 1\.5 years, and opportunities come whole"):
            fit.predict(donors, 1.5)
        with pytest.raises(DataError, match="opportunities come whole"):
            fit.p_alive(donors, ahead="18 months")
        with pytest.raises(ValueError, match="infinite horizon"):
            fit.predict(donors, math.inf)

    def test_times_and_opportunities_do_not_mix(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        weeks = pc.datasets.simulate_rfm(n_customers=2_000, T=(5.0, 60.0), lattice=7).rfm
        with pytest.raises(DataError, match="'T' is no whole number"):
            pc.BGBB().fit(weeks)
        with pytest.raises(DataError, match="BGNBD is a model of times, and this summary counts opportunities"):
            pc.BGNBD().fit(donors)
        with pytest.raises(DataError, match="counts opportunities"):
            pc.BGNBD().fit(weeks).predict(donors, 3)
        hours = pc.RFMSummary.from_frame(donors.to_pandas(), time_unit="hour")
        with pytest.raises(DataError, match="the summary is in hours"):
            pc.BGBB().fit(hours)

    def test_nothing_to_learn(self) -> None:
        table = pd.DataFrame({"frequency": [0, 0], "recency": 0, "T": 4})
        with pytest.raises(DataError, match="bought once"):
            pc.BGBB().fit(pc.RFMSummary.from_frame(table, opportunities="year"))


class TestSimulations:
    @pytest.mark.parametrize("opportunities", ["year", "quarter", "week"])
    def test_a_log_comes_back_as_it_was_simulated(self, opportunities: str) -> None:
        simulated = pc.datasets.simulate(
            "bg_bb",
            n_customers=3_000,
            time_unit=opportunities,
            births=4,
            observed=12,
            holdout=5,
            start="2004-01-01",
            seed=2,
        )
        assert simulated.log["date"].max() <= pd.Timestamp(simulated.end)
        rfm = pc.RFMSummary.from_transactions(
            simulated.log,
            opportunities=opportunities,
            observation_end=simulated.observation_end,
            observation_start="2004-01-01",  # all are new: no spike of old customers
        )
        assert rfm.quality.set_index("what").filter(like="cuts", axis=0)["count"].sum() == 0
        assert set(rfm.T) == {8.0, 9.0, 10.0, 11.0}
        model = pc.BGBB().fit(rfm)
        truth = np.array([simulated.parameters[name] for name in ("alpha", "beta", "gamma", "delta")])
        error = np.log(model.posterior_.point_array / truth)
        assert (np.abs(error) < 4 * np.sqrt(np.diag(model.posterior_.covariance_unconstrained))).all()
        alive = model.p_alive(rfm)["p_alive"]
        there = simulated.truth.set_index("customer_id")["alive"].loc[rfm.customer_id]
        # Alive at the next opportunity, so a little less than there at the last.
        assert alive.mean() == pytest.approx(there.mean(), abs=0.05)

    def test_what_is_refused(self) -> None:
        with pytest.raises(ValueError, match="opportunities are whole"):
            pc.datasets.simulate_rfm("bg_bb", lattice=7)
        with pytest.raises(ValueError, match="k=3"):
            pc.datasets.simulate_rfm("bg_bb", k=3)
        with pytest.raises(DataError, match="opportunities"):
            pc.datasets.simulate("bg_bb", time_unit="hour", births=1, observed=2)


class TestTools:
    def test_the_command_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made = pc.datasets.simulate(
            "bg_bb", n_customers=400, time_unit="year", births=3, observed=9, start="2010-01-01"
        )
        made.log.to_csv(tmp_path / "log.csv", index=False)
        about = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount"]
        about += ["--observation-end", "2018-12-31", "--observation-start", "2010-01-01"]
        log, model, table = (str(tmp_path / name) for name in ("log.csv", "model", "rfm.parquet"))
        assert main(["summarize", log, *about, "--opportunities", "year", "--out", table, "-q"]) == 0
        assert main(["fit", table, "--transactions", "bg_bb", "--out", model, "-q"]) == 0
        assert isinstance(pc.load(model).transactions_, pc.BGBB)
        forecast = str(tmp_path / "forecast.csv")
        assert main(["predict", table, "--model", model, "--horizon", "3 years", "--out", forecast, "-q"]) == 0
        rfm = pc.RFMSummary.from_transactions(
            made.log,
            amount="amount",
            opportunities="year",
            observation_end="2018-12-31",
            observation_start="2010-01-01",
        )
        expected = pc.load(model).predict(rfm, "3 years")
        np.testing.assert_allclose(pd.read_csv(forecast)["expected_clv"], expected["expected_clv"], rtol=1e-12)
        # Which opportunities, nobody can guess; and half a year is none.
        assert main(["run", log, *about, "--transactions", "bg_bb", "--out", str(tmp_path / "run")]) != 0
        assert "--opportunities year, for instance" in capsys.readouterr().err
        assert main(["predict", table, "--model", model, "--horizon", "6 months", "--out", forecast]) != 0
        assert "opportunities come whole" in capsys.readouterr().err

    def test_backtests_of_days(self) -> None:
        made = pc.datasets.simulate(
            "bg_bb", n_customers=300, time_unit="day", births=20, observed=60, holdout=30, seed=1
        )
        options = {"time_unit": "day", "cutoffs": ["2024-02-29"], "observation_start": "2024-01-01"}
        methods = ["bg_bb", "zero"]
        found = pc.backtest(made.log, methods=methods, horizons=["30 days"], progressbar=False, **options).scores
        bias = found[(found["method"] == "bg_bb") & (found["metric"] == "bias") & (found["by"] == "all")]["value"]
        assert abs(bias.iloc[0]) < 0.5

    def test_the_plot_shows_what_is_possible(self, donors: pc.RFMSummary, fit: pc.BGBB) -> None:
        ax = plots.plot_frequency_recency(fit)
        shown = np.ma.masked_invalid(ax.collections[0].get_array())
        # 1 to 6 gifts, 0 to 6 years since the last: x gifts leave at most 6 - x years of silence.
        assert shown.count() == 21
