"""How cost grows: fits, forecasts, portfolios and summaries of 1,000 to 10 million customers; 10 to 1,000 draws.

    python benchmarks/growth.py --quick      up to 100,000 customers, without pymc-marketing
    python benchmarks/growth.py              up to 10 million

Customers are simulated, their times counted in days over two years; logs hold some seven purchases a customer. Fits
begin from float columns. Others are asked up to the size in LARGEST, and ended after 60 seconds of CPU. Compiled code
is read before the clock starts; what pymc-marketing compiles for each model is part of its fit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import score
from harness import Case, Cost, clock, main, peak_mib

SUBJECT = "Growth"
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
DRAWS = (10, 30, 100, 300, 1_000)
DRAWN = 10_000
WEEKS = 39.0
LIMIT = 60.0
COLUMNS = ["frequency", "recency", "T", "monetary_value"]
PER_CUSTOMER = 20 / 3

LOG = """
COPY (
    SELECT
        (hash(i) % {customers})::BIGINT AS customer_id,
        date_trunc('day', TIMESTAMP '2022-01-01' + INTERVAL (hash(i * 7 + 1) % 63072000) SECOND) AS date,
        (hash(i * 3 + 5) % 10000 + 1)::DOUBLE / 100 AS amount
    FROM range({purchases}) AS numbers(i)
) TO '{path}' (FORMAT parquet)
"""


def make_log(n: int, path: Path) -> None:
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        connection.execute(LOG.format(customers=n, purchases=round(n * PER_CUSTOMER), path=path))


def read(folder: Path, n: int) -> Any:
    import pandas as pd

    return pd.read_parquet(folder / f"{n}.parquet", columns=COLUMNS)


# Fits, each from the float columns of a frame; what comes of it forecasts.


def fit_predclv(table: Any) -> Any:
    import predclv as pc

    return pc.BGNBD().fit(pc.RFMSummary.from_frame(table, time_unit="week"))


def fit_lifetimes(table: Any) -> Any:
    from lifetimes import BetaGeoFitter

    return BetaGeoFitter().fit(table["frequency"], table["recency"], table["T"])


def clvkit_base(table: Any) -> Any:
    import clvkit
    import pandas as pd

    end = pd.Timestamp("2025-12-31")
    columns = table[["frequency", "recency", "T"]].rename_axis("customer_id")
    return clvkit.CustomerBase(
        columns, time_unit="W", observation_period_end=end, has_monetary=False, on_negative="net"
    )


def fit_clvkit(table: Any) -> Any:
    import clvkit

    return clvkit.BGNBD().fit(clvkit_base(table))


def fit_pymc_marketing(table: Any) -> Any:
    from pymc_marketing.clv import BetaGeoModel

    model = BetaGeoModel(data=table.assign(customer_id=range(len(table))))
    model.fit(method="map", progressbar=False)
    return model


FITS: dict[str, Callable[[Any], Any]] = {
    "predclv": fit_predclv,
    "lifetimes": fit_lifetimes,
    "clvkit": fit_clvkit,
    "pymc-marketing": fit_pymc_marketing,
}


def expect_predclv(model: Any, table: Any) -> float:
    import predclv as pc

    rfm = pc.RFMSummary.from_frame(table, time_unit="week")
    return float(model.expected_purchases(rfm, WEEKS)["expected_purchases"].sum())


def expect_lifetimes(model: Any, table: Any) -> float:
    columns = [table[name] for name in ("frequency", "recency", "T")]
    return float(model.conditional_expected_number_of_purchases_up_to_time(WEEKS, *columns).sum())


def expect_clvkit(model: Any, table: Any) -> float:
    return float(model.predict(WEEKS, clvkit_base(table)).to_pandas().iloc[:, 0].sum())


def expect_pymc_marketing(model: Any, table: Any) -> float:
    data = table.assign(customer_id=range(len(table)))
    return float(model.expected_purchases(data=data, future_t=WEEKS).mean(("chain", "draw")).sum())


EXPECTS: dict[str, Callable[[Any, Any], float]] = {
    "predclv": expect_predclv,
    "lifetimes": expect_lifetimes,
    "clvkit": expect_clvkit,
    "pymc-marketing": expect_pymc_marketing,
}


def repeats_of(n: int) -> int:
    """How often a task on so many customers is repeated within its process."""
    return 7 if n <= 10_000 else 3 if n <= 100_000 else 1


def fit(who: str, n: int, folder: Path) -> Cost:
    """A fit, after a small one."""
    table = read(folder, n)
    FITS[who](read(folder, 1_000))
    slow = who == "pymc-marketing" or (who == "clvkit" and n > 10_000)
    seconds, _ = clock(lambda _: FITS[who](table), repeats=1 if slow else repeats_of(n))
    return Cost(seconds, peak_mib())


def expect(who: str, n: int, folder: Path) -> Cost:
    """Expected purchases, points, by a model fitted to the first thousand."""
    table, few = read(folder, n), read(folder, 1_000)
    model = FITS[who](few)
    EXPECTS[who](model, few)
    seconds, total = clock(lambda _: EXPECTS[who](model, table), repeats=repeats_of(n))
    return Cost(seconds, peak_mib(), {"sum": total})


def predict(task: str, n: int, folder: Path) -> Cost:
    """The table of all columns, or totals with intervals, a year ahead, by a model fitted to ten thousand."""
    import predclv as pc

    clv = pc.CLV().fit(pc.RFMSummary.from_frame(read(folder, 10_000), time_unit="week"))
    getattr(clv, task)(pc.RFMSummary.from_frame(read(folder, 1_000).head(9), time_unit="week"), "1 year")
    rfm = pc.RFMSummary.from_frame(read(folder, n), time_unit="week")
    return Cost(clock(lambda _: getattr(clv, task)(rfm, "1 year"))[0], peak_mib())


# Summaries of a log that lies in Parquet: by us within 1 GB from the file to a file, by others from and to frames.


def summarise_predclv(path: Path, folder: Path) -> int:
    import predclv as pc

    options = {"amount": "amount", "minor_unit": 0.01, "observation_end": "2023-12-31"}
    pc.batch.summarize(path, folder / "rfm.parquet", memory_limit="1GB", observation_start="2022-01-01", **options)
    return 0


def summarise_lifetimes(path: Path, folder: Path) -> int:
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    columns = ("customer_id", "date", "amount")
    found = summary_data_from_transaction_data(
        pd.read_parquet(path), *columns, observation_period_end="2023-12-31", freq="D", freq_multiplier=7
    )
    return len(found)


def summarise_clvkit(path: Path, folder: Path) -> int:
    import clvkit
    import pandas as pd

    base = clvkit.CustomerBase.from_transactions(
        pd.read_parquet(path), time_unit="W", collapse="D", observation_period_end="2023-12-31"
    )
    return len(base.to_pandas())


def summarise_pymc_marketing(path: Path, folder: Path) -> int:
    import pandas as pd
    from pymc_marketing.clv.utils import rfm_summary

    columns = ("customer_id", "date", "amount")
    found = rfm_summary(
        pd.read_parquet(path), *columns, observation_period_end="2023-12-31", time_unit="D", time_scaler=7
    )
    return len(found)


SUMMARIES: dict[str, Callable[[Path, Path], int]] = {
    "predclv": summarise_predclv,
    "lifetimes": summarise_lifetimes,
    "clvkit": summarise_clvkit,
    "pymc-marketing": summarise_pymc_marketing,
}


def summarise(who: str, n: int, folder: Path) -> Cost:
    SUMMARIES[who](folder / "log-1000.parquet", folder)
    seconds, _ = clock(lambda _: SUMMARIES[who](folder / f"log-{n}.parquet", folder), repeats=min(repeats_of(n), 3))
    return Cost(seconds, peak_mib())


WHAT = {
    "fit": "fit of BG/NBD, from float columns on",
    "expected": "expected purchases, points",
    "predict": "CLV.predict, all columns",
    "portfolio": "CLV.portfolio",
    "summary": "RFM summary of a log in Parquet",
    "score": "predclv score, all columns, Parquet to Parquet",
    "draws": f"expected purchases of {DRAWN:,} customers at given draws",
}
# Up to which size, by task and package.
LARGEST = {
    "fit": {"predclv": 10**7, "lifetimes": 10**6, "clvkit": 10**6, "pymc-marketing": 10**5},
    "expected": {"predclv": 10**7, "lifetimes": 10**7, "clvkit": 10**7, "pymc-marketing": 10**6},
    "summary": {"predclv": 10**7, "lifetimes": 10**6, "clvkit": 10**6, "pymc-marketing": 10**6},
}
WORKS = {"fit": fit, "expected": expect, "summary": summarise}


def case(task: str, who: str, n: int, work: Any, **settings: Any) -> Case:
    small = n <= 10_000 or (n <= 100_000 and who in ("predclv", "lifetimes") and task != "summary")
    quick = small and who != "pymc-marketing" and task in ("fit", "expected", "summary")
    quick = quick or (task in ("predict", "portfolio") and n <= 10_000)
    options: dict[str, Any] = {
        # Short tasks are repeated within their process.
        "repeats": 1,
        "sets": ("full", "quick") if quick else ("full",),
        "limit": 600.0 if who == "predclv" else LIMIT,
        "customers": n,
        **settings,
    }
    return Case(f"growth/{task}/{who}/{n}", SUBJECT, WHAT[task], work, who, **options)


def customer_cases() -> list[Case]:
    cases = []
    for task, largest in LARGEST.items():
        for who, most in largest.items():
            for n in (size for size in SIZES if size <= most):
                kind = "log-" if task == "summary" else ""
                files = tuple(dict.fromkeys((f"{kind}1000.parquet", f"{kind}{n}.parquet")))
                cases.append(case(task, who, n, partial(WORKS[task], who, n), data=files))
    for task in ("predict", "portfolio"):
        for n in SIZES[:-1]:
            files = tuple(dict.fromkeys(("1000.parquet", "10000.parquet", f"{n}.parquet")))
            cases.append(case(task, "predclv", n, partial(predict, task, n), data=files))
    # A million and ten million are in score.py.
    for n in SIZES[:3]:
        settings: dict[str, Any] = {"sets": ("full",), "repeats": 1}
        files = ("model", "1000.parquet", f"{n}.parquet")
        cases.append(case("score", "predclv", n, partial(score.score, n, "all"), data=files, **settings))
    return cases


def draw_cases() -> list[Case]:
    return [
        Case(
            f"growth/draws/{who}/{draws}",
            SUBJECT,
            WHAT["draws"],
            partial(work, DRAWN, draws),
            who,
            customers=DRAWN,
            draws=draws,
            data=("model", "1000000.parquet"),
            repeats=1,
            limit=LIMIT,
        )
        for draws in DRAWS
        for who, work in (("predclv", score.expect), ("pymc-marketing", score.expect_peer))
    ]


CASES = (*customer_cases(), *draw_cases())
DATA = {
    "model": score.make_model,
    **{f"{n}.parquet": partial(score.make_rows, n) for n in SIZES},
    **{f"log-{n}.parquet": partial(make_log, n) for n in SIZES},
}
TARGETS = ()

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
