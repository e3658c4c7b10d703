"""Figures that tests hold, and figures of runs too long to be repeated with every set."""

from __future__ import annotations

from harness import Recorded

FITS, FORECASTS, POSTERIORS, COVARIATES = "Fits", "Forecasts", "Posteriors", "Covariates"
BACKTESTS, BATCH, DECISIONS, CONTRACTS = "Backtests", "Batch", "Decisions", "Contracts"
NOVEMBER = "22 November 2026"

HELD = (
    Recorded(
        FITS,
        "published fits of every model: log-likelihood, apart from the polished optimum",
        "at most 1e-6",
        "below 1e-6",
        "tests/models/test_published.py::test_published_fit",
    ),
    Recorded(
        FITS,
        "BG family: log-likelihood, gradient and Hessian against mpmath at 40 digits, relative",
        "at most 1e-9",
        "below 1e-9",
        "tests/kernels/test_bg_family_likelihood.py::test_value_and_derivatives_hold_to_40_digits",
    ),
    Recorded(
        FITS,
        "k of both CNBD models on the grocery log, by likelihood",
        "2",
        "2",
        "tests/models/test_cnbd.py::test_two_events_are_chosen_on_grocery",
    ),
    Recorded(
        FORECASTS,
        "P(alive), expected and discounted purchases, BG family, against mpmath at 40 digits, relative",
        "at most 1e-9",
        "2e-11",
        "tests/kernels/test_bg_family_forecast.py::test_alive_and_expected_on_a_large_grid",
    ),
    Recorded(
        FORECASTS,
        "the same of Pareto/NBD",
        "at most 1e-9",
        "below 1e-9",
        "tests/kernels/test_pareto_nbd_forecast.py::test_alive_expected_and_discounted_on_a_large_grid",
    ),
    Recorded(
        FORECASTS,
        "quantiles of discounted value against ten million simulated paths, in widths of the interval",
        "at most 0.5 % to 3 years, 1 % beyond",
        "0.16 %, 0.28 %",
        "tests/forecast/test_lifetime_value.py::test_quantiles_against_millions_of_paths",
    ),
    Recorded(
        FORECASTS,
        "90 % intervals of customers with fitted parameters, simulated firms: PIT within, counts, revenue, value",
        "88 to 92 %, and each group within sampling error",
        "90.0 to 90.3 %; largest deviation 3.5 standard errors, limit 5.1",
        "tests/calibration/test_customers.py::test_intervals_hold_in_all_and_in_every_group",
    ),
    Recorded(
        FORECASTS,
        "90 % interval of a portfolio's value, 200 simulated firms: share that hold the truth",
        "86 to 94 %",
        "90 %",
        "tests/calibration/test_portfolio.py::test_intervals_of_totals_hold_in_200_populations",
    ),
    Recorded(
        POSTERIORS,
        "CDNOW, importance sampling against NUTS: means and deviations of log parameters",
        "within Monte Carlo error",
        "at most 0.5 Monte Carlo standard errors",
        "notebooks/full_bayes.py",
    ),
    Recorded(
        POSTERIORS,
        "40 customers, ten months, a manager's priors: 90 % portfolio intervals that hold the truth",
        "80 to 98 %",
        "87 % of 100 firms; the test has 60",
        "tests/calibration/test_posteriors.py::test_forty_customers_and_ten_months",
    ),
    Recorded(
        POSTERIORS,
        "ten segments of unequal size: error of log value, partial pooling less none, 95 % interval",
        "below 0",
        "−0.036 (−0.051 to −0.022), of root mean squares over 30 repetitions; the test has 12",
        "tests/calibration/test_pooling.py::test_partial_pooling_beats_its_rivals",
    ),
    Recorded(
        POSTERIORS,
        "simulation-based calibration of map and mcmc: ranks of the truth",
        "uniform",
        "uniform",
        "tests/calibration/test_posteriors.py::test_ranks_of_the_truth_are_even",
    ),
    Recorded(
        COVARIATES,
        "90 % intervals of coefficients, simulated customers: share that hold the truth",
        "90 %, within sampling error",
        "within",
        "tests/models/test_covariates.py::test_intervals_hold_the_truth_as_often_as_they_say",
    ),
    Recorded(
        COVARIATES,
        "a covariate that does nothing, penalty by cross-validation: sets in which it is shrunk to nothing",
        "19 of 20, within sampling error",
        "37 of 40",
        "tests/models/test_covariates.py::test_what_does_nothing_is_shrunk_to_nothing",
    ),
    Recorded(
        CONTRACTS,
        "intervals of renewals and value, simulated subscribers",
        "90 %, within sampling error",
        "within",
        "tests/calibration/test_contracts.py::test_intervals_of_renewals_and_value_hold",
    ),
    Recorded(
        BACKTESTS,
        "published backtests of CDNOW and grocery",
        "to the printed digit",
        "all but two digits of the CNBD rows, which are not those of the optimum",
        "tests/backtesting/test_published.py::test_rows_of_the_published_backtests",
        short="The printed figures follow from parameters 5e-6 and 3e-4 short in log-likelihood (tests/published.py).",
    ),
    Recorded(
        BACKTESTS,
        "BG/NBD by lifetimes and clvkit, expected purchases of each customer, apart from ours",
        "at most 1e-3",
        "2e-6",
        "tests/backtesting/test_published.py::test_other_packages_agree_with_ours_for_every_customer",
    ),
    Recorded(
        BATCH,
        "a job killed at twenty moments and resumed: rows lost or doubled",
        "0",
        "0",
        "tests/batch/test_faults.py::test_killed_at_twenty_moments",
    ),
    Recorded(
        BATCH,
        "scores by Spark, against DuckDB's",
        "equal, bit for bit",
        "equal",
        "tests/batch/test_spark.py::test_rows_are_those_of_duckdb",
    ),
    Recorded(
        DECISIONS,
        "chance that CLV is above three times CAC, 200 simulated channels",
        "calibrated",
        "calibrated",
        "tests/decisions/test_acquisition.py::test_the_chance_that_a_channel_is_worth_it_is_right_for_200_channels",
    ),
    Recorded(
        DECISIONS,
        "chance that B beats A, 200 experiments of equal arms",
        "uniform",
        "uniform (level .01 over eight outcomes)",
        "tests/decisions/test_experiments.py::"
        "test_the_probability_to_be_better_is_uniform_over_200_experiments_of_equal_arms",
    ),
    Recorded(
        DECISIONS,
        "alarms at 5 %: customers who did not change and ring, at every frequency",
        "5 %, within sampling error",
        "5 %",
        "tests/decisions/test_monitor.py::"
        "test_alarms_ring_for_the_level_of_those_who_did_not_change_at_every_frequency",
    ),
    Recorded(
        DECISIONS,
        "of those with ten purchases or more whose rate fell to a fifth: ring after five mean gaps",
        "at least 50 % (the best possible: 76 %)",
        "67 %",
        "tests/decisions/test_monitor.py::test_alarms_ring_for_most_of_those_whose_rate_was_cut_to_a_fifth",
    ),
    Recorded(
        DECISIONS,
        "90 % bands of cohorts to come, 15 simulated firms: cells within",
        "90 %, within sampling error",
        "95 %",
        "tests/decisions/test_cohorts.py::test_bands_hold_the_future_of_simulated_firms",
    ),
    Recorded(
        DECISIONS,
        "the same on CDNOW's log: cells within",
        "90 %",
        "74 % with shocks from past misfit, 35 % without",
        "tests/decisions/test_cohorts.py::test_the_future_of_cdnow_lies_in_the_bands",
        short="A fitted model knows no good and bad months, and CDNOW's year was worse than its past.",
    ),
)

_SCORE = "python benchmarks/score.py --large"
LONG = (
    Recorded(
        BATCH,
        "predclv score, 10 million customers, all columns: CPU",
        "at most 600 s",
        "312 s",
        command=_SCORE,
        date=NOVEMBER,
        case="score/10000000/all",
    ),
    Recorded(
        BATCH,
        "predclv score, 10 million customers, all columns: memory",
        "at most 1,024 MiB",
        "895 MiB",
        command=_SCORE,
        date=NOVEMBER,
        case="score/10000000/all",
    ),
    Recorded(
        BATCH,
        "predclv score, 10 million customers, point columns: CPU",
        "at most 30 s",
        "13.4 s",
        command=_SCORE,
        date=NOVEMBER,
        case="score/10000000/points",
    ),
    Recorded(
        BATCH,
        "predclv score, 10 million customers, point columns: memory",
        "at most 1,024 MiB",
        "556 MiB",
        command=_SCORE,
        date=NOVEMBER,
        case="score/10000000/points",
    ),
    Recorded(
        BATCH,
        "expected purchases of 100,000 customers at 4,000 draws by pymc-marketing",
        "no target: the largest it survives in 24 GB",
        "145 s, 18.7 GB; 200,000 customers ran out of memory",
        command="a trial before this script",
        date="November 2026",
        case="score/expected/100000-4000/pymc-marketing",
    ),
    Recorded(
        "Summaries of logs",
        "100 million purchases, Parquet to Parquet, limit of 2 GB: CPU, memory, rows unlike those of a query",
        "it ends, 0 rows",
        "113 s, 1,655 MiB, 0 (the query: 136 s, 2,072 MiB)",
        command="python benchmarks/summarize.py --large",
        date=NOVEMBER,
        case="summarize/100000000/predclv",
    ),
    Recorded(
        BACKTESTS,
        "CDNOW, 23,570 customers, ten methods, three cut-offs, two horizons, report: time on two cores",
        "at most 15 minutes",
        "4.6 minutes",
        command="python benchmarks/backtest.py --large",
        date="November 2026",
        case="backtest/master",
    ),
    Recorded(
        BACKTESTS,
        "the same: CRPS of the combination over the best single method's",
        "at most 1.01",
        "purchases 0.998 and 0.993, value 0.998 and 0.990",
        command="python benchmarks/backtest.py --large",
        date="November 2026",
        case="backtest/master",
    ),
    Recorded(
        BACKTESTS,
        "CDNOW, 13 weeks: change of BG/NBD's CRPS and bias by recalibration",
        "lower, or the report says that it did not help",
        "purchases −0.2 %, bias 8.5 to 8.3 %; value −0.2 %, bias 11.2 to 12.8 %: the report says so",
        command="python benchmarks/recalibration.py --large",
        date="November 2026",
        case="recalibration/cdnow/pit",
    ),
    Recorded(
        BACKTESTS,
        "rates rise by 43 % a year: change of BG/NBD's CRPS and bias by recalibration; combination over the best",
        "lower; at most 1 %",
        "−0.8 %, bias 13.9 to 7.2 %; −0.6 %",
        command="python benchmarks/recalibration.py --large",
        date="November 2026",
        case="recalibration/rising/pit",
    ),
    Recorded(
        DECISIONS,
        "predclv decide, 5,000,000 customers: CPU and memory",
        "at most 2,048 MiB",
        "1,293 s, 1,381 MiB, with every section",
        command="python benchmarks/decide.py --large",
        date="23 November 2026",
        case="decide/5000000",
    ),
    Recorded(
        DECISIONS,
        "predclv monitor, 5,000,000 customers: CPU and memory",
        "at most 2,048 MiB",
        "211 s, 1,704 MiB",
        command="python benchmarks/decide.py --large",
        date="23 November 2026",
        case="monitor/5000000",
    ),
    Recorded(
        "Fits beyond memory",
        "100 million customers, from Parquet to parameters within 1 GB: CPU, memory, largest move of an estimate",
        "at most 953.7 MiB",
        "55 s, 796 MiB, 0.09 standard errors",
        command="python benchmarks/fit_large.py --large",
        date="November 2026",
        case="collapse/100000000/limited",
    ),
    Recorded(
        COVARIATES,
        "CLV.predict of 10,000 customers with covariates all distinct: CPU",
        "no target",
        "BG/NBD 37 s, Pareto/NBD 59 s",
        command="python benchmarks/covariates.py --large",
        date="November 2026",
        case="covariates/predict/bg_nbd/10000",
    ),
)


def _told(subject: str, figure: str, wanted: str, measured: str, script: str, case: str, short: str = "") -> Recorded:
    """A figure of a run of a script in the days before, for where its case is not in the rows."""
    command = f"python benchmarks/{script}.py"
    return Recorded(subject, figure, wanted, measured, command=command, date="November 2026", case=case, short=short)


_IMPORTANCE, _NUTS = (
    "CPU of pymc-marketing's NUTS over our importance sampling",
    "CPU of pymc-marketing's NUTS over ours",
)
#: Told where a run did not come to them.
EARLIER = (
    _told(
        FITS,
        "Pareto/NBD, 100,000 customers, two years in days: CPU of lifetimes over ours",
        "at least 50 times",
        "485 times",
        "fit",
        "fit/pareto_nbd-100000-730-7/lifetimes",
    ),
    *(
        _told(
            FITS,
            f"{name}, two years in days, from float columns on, a million customers: CPU",
            "at most 3 s",
            said,
            "fit",
            case,
        )
        for name, said, case in (
            ("BG/NBD", "at most 0.91 s", "fit/budget/bg_nbd"),
            ("MBG/NBD", "at most 0.91 s", "fit/budget/mbg_nbd"),
            ("Pareto/NBD", "at most 0.91 s", "fit/budget/pareto_nbd"),
            ("NBD", "at most 0.91 s", "fit/budget/nbd"),
            ("BG/CNBD-k, k = 2", "0.3 s", "fit/budget/bg_cnbd"),
            ("MBG/CNBD-k, k = 2", "0.3 s", "fit/budget/mbg_cnbd"),
            ("BG/CNBD-k, k chosen", "1.1 s", "fit/budget/bg_cnbd-any"),
            ("MBG/CNBD-k, k chosen", "1.1 s", "fit/budget/mbg_cnbd-any"),
        )
    ),
    *(
        _told(
            FITS,
            f"BG/BB, {kind} opportunities, {rows}, a million customers: CPU",
            "at most 3 s",
            "0.03 to 0.36 s",
            "fit",
            f"fit/donors-{kind}/{rows.replace(' ', '-')}",
        )
        for kind in ("yearly", "weekly", "daily")
        for rows in ("a row each", "weighted rows")
    ),
    _told(
        POSTERIORS,
        f"BG/NBD on CDNOW: {_IMPORTANCE}",
        "at least 100 times",
        "145 times; 63 to 287 as the machine was busy or not",
        "posterior",
        "posterior/mcmc/peer",
    ),
    _told(
        POSTERIORS,
        f"BG/NBD on CDNOW: {_NUTS}; effective sample sizes",
        "at least 4 times",
        "4.5 times; 6,118 and 1,119",
        "posterior",
        "posterior/mcmc/peer",
    ),
    *(
        _told(POSTERIORS, f"{method} of {name}, {said}, a million customers: CPU", wanted, found, "posterior", case)
        for method, name, said, wanted, found, case in (
            ("importance sampling", "BG/NBD", "a year in weeks", "at most 5 s", "0.7 to 3.9 s", "map/BGNBD/weeks"),
            ("importance sampling", "BG/NBD", "two years in days", "at most 5 s", "0.7 to 3.9 s", "map/BGNBD/days"),
            (
                "importance sampling",
                "Gamma-Gamma",
                "a year in weeks",
                "at most 5 s",
                "0.7 to 3.9 s",
                "map/GammaGamma/weeks",
            ),
            (
                "importance sampling",
                "Gamma-Gamma",
                "two years in days",
                "at most 5 s",
                "0.7 to 3.9 s",
                "map/GammaGamma/days",
            ),
            ("NUTS", "BG/NBD", "a year in weeks", "at most 120 s", "4.5 s", "mcmc/BGNBD/weeks"),
            ("NUTS", "BG/NBD", "two years in days", "at most 120 s", "58 s", "mcmc/BGNBD/days"),
            ("NUTS", "Gamma-Gamma", "a year in weeks", "at most 120 s", "3.2 s", "mcmc/GammaGamma/weeks"),
            ("NUTS", "Gamma-Gamma", "two years in days", "at most 120 s", "3.4 s", "mcmc/GammaGamma/days"),
        )
        for case in [f"posterior/{case}"]
    ),
    *(
        _told(
            "Summaries of logs",
            f"RFM summary of 10 million purchases{said}: CPU over that of a query",
            "at most 1.5 times",
            found,
            "rfm_summary",
            f"rfm/{case}/predclv",
        )
        for said, found, case in (("", "1.35 times", "10000000"), (", with returns", "1.50 times", "10000000-returns"))
    ),
    _told(
        "Fits beyond memory",
        "3 million customers, from Parquet to parameters within 1 GB: memory",
        "at most 953.7 MiB",
        "548 MiB",
        "fit_large",
        "collapse/3000000/limited",
    ),
    _told(
        BACKTESTS,
        "rates fall by 35 % a year: change of BG/NBD's CRPS and bias by recalibration; combination over the best",
        "lower; at most 1 %",
        "−1.4 %, bias 23.6 to 7.7 %; −0.7 %",
        "recalibration",
        "recalibration/falling/pit",
    ),
    _told(
        BACKTESTS,
        "grocery, 1,525 customers: change of BG/NBD's CRPS and bias by recalibration; combination over the best",
        "lower; at most 1 %",
        "−2.2 %, bias 19.1 to 7.9 %; −1.9 %, at one cut-off +2.4 %",
        "recalibration",
        "recalibration/grocery/pit",
    ),
)
