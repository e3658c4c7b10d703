"""What forecasts cost: CPU seconds and peak memory, and those of lifetimes where it has the same.

Compiled code is read before the clock starts. The targets are for 500 draws of the parameters times a million customers
of expected purchases, times counted in days over two years: 3 seconds of CPU and 1 GiB of memory, data included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib

SUBJECT = "Forecasts"
MOST_SECONDS, MOST_MIB = 3.0, 1024.0
N_DRAWS = 500
WEEKS = 39.0


def make_cdnow(path: Path, master: bool = False) -> None:
    import predclv as pc

    log = pc.datasets.load_cdnow_master() if master else pc.datasets.load_cdnow()
    write(pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1997-09-30"), path)


def make_customers(n: int, lattice: int | None, path: Path) -> None:
    import predclv as pc

    write(pc.datasets.simulate_rfm(n_customers=n, T=(0.0, 730 / 7), lattice=lattice, seed=1).rfm, path)


def write(rfm: Any, path: Path) -> None:
    rfm.to_pandas()[["frequency", "recency", "T", "monetary_value"]].to_parquet(path)


DATA = {
    "cdnow": make_cdnow,
    "master": partial(make_cdnow, master=True),
    "100,000": partial(make_customers, 100_000, 7),
    "million": partial(make_customers, 1_000_000, 7),
    "continuous": partial(make_customers, 100_000, None),
}
# Customers, and who they are.
TABLES = {
    "cdnow": (2_357, "CDNOW"),
    "master": (23_570, "CDNOW, the whole log"),
    "100,000": (100_000, "two years in days"),
    "million": (1_000_000, "two years in days"),
    "continuous": (100_000, "no two histories alike"),
}


def expected_purchases(clv: Any, rfm: Any) -> Any:
    rows = rfm.collapsed
    draws = clv.transactions_.posterior_.draws_array(N_DRAWS)
    bindings = clv.transactions_.bindings
    return bindings.mean_expected_purchases(rows.x, rows.t_x, rows.T, WEEKS, draws)[rows.inverse]


TASKS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "draws": (f"expected purchases at {N_DRAWS} draws", expected_purchases),
    "purchases": ("BGNBD.predict, a year", lambda clv, rfm: clv.transactions_.predict(rfm, "1 year")),
    "value": ("CLV.predict, a year, all columns", lambda clv, rfm: clv.predict(rfm, "1 year")),
    "total": ("CLV.portfolio, a year", lambda clv, rfm: clv.portfolio(rfm, "1 year")),
}


def forecast(task: str, data: str, folder: Path) -> Cost:
    """By us; the model is fitted to CDNOW."""
    import pandas as pd

    import predclv as pc

    table = pd.read_parquet(folder / "cdnow")
    clv = pc.CLV().fit(pc.RFMSummary.from_frame(table, time_unit="week"))
    run = TASKS[task][1]
    run(clv, pc.RFMSummary.from_frame(table.head(9), time_unit="week"))
    imported = peak_mib()
    rfm = pc.RFMSummary.from_frame(pd.read_parquet(folder / data), time_unit="week")
    loaded = peak_mib()
    return Cost(clock(lambda _: run(clv, rfm))[0], peak_mib(), {"MiB after imports": imported, "with data": loaded})


def points(what: str, folder: Path) -> Cost:
    """Point forecasts of CDNOW's whole log by us; merging equal histories is part of it."""
    import pandas as pd

    import predclv as pc

    table = pd.read_parquet(folder / "master")

    def summary() -> Any:
        return pc.RFMSummary.from_frame(table, time_unit="week")

    model = pc.BGNBD().fit(summary())
    tasks: dict[str, Callable[[Any], Any]] = {
        "expected_purchases": lambda rfm: model.expected_purchases(rfm, WEEKS)["expected_purchases"],
        "p_alive": lambda rfm: model.p_alive(rfm)["p_alive"],
    }
    tasks[what](summary())
    seconds, found = clock(tasks[what], summary, 5)
    return Cost(seconds, peak_mib(), {"sum": float(found.sum())})


def points_peer(what: str, folder: Path) -> Cost:
    """The same by lifetimes."""
    import pandas as pd
    from lifetimes import BetaGeoFitter

    table = pd.read_parquet(folder / "master")
    columns = [table[name] for name in ("frequency", "recency", "T")]
    model = BetaGeoFitter().fit(*columns)
    tasks: dict[str, Callable[[Any], Any]] = {
        "expected_purchases": lambda _: model.conditional_expected_number_of_purchases_up_to_time(WEEKS, *columns),
        "p_alive": lambda _: model.conditional_probability_alive(*columns),
    }
    tasks[what](None)
    seconds, found = clock(tasks[what], repeats=5)
    return Cost(seconds, peak_mib(), {"sum": float(found.sum())})


def task_cases() -> list[Case]:
    asked = (
        *(("draws", data) for data in ("million", "continuous")),
        *(("purchases", data) for data in ("cdnow", "million")),
        *((task, data) for task in ("value", "total") for data in TABLES if data != "continuous"),
    )
    quick = (("draws", "million"), ("value", "master"), ("total", "master"))
    return [
        Case(
            f"forecast/{task}/{data}",
            SUBJECT,
            f"{TASKS[task][0]}, {TABLES[data][1]}",
            partial(forecast, task, data),
            customers=TABLES[data][0],
            draws=N_DRAWS if task == "draws" else None,
            data=("cdnow", data),
            repeats=1 if task in ("value", "total") and TABLES[data][0] >= 100_000 else 3,
            sets=("full", "quick") if (task, data) in quick else ("full",),
        )
        for task, data in asked
    ]


POINTS = {"expected_purchases": "expected purchases", "p_alive": "p_alive"}
CASES = (
    *task_cases(),
    *(
        Case(
            f"forecast/point/{what}/{who}",
            SUBJECT,
            f"{name}, points, CDNOW, the whole log",
            partial(work, what),
            who,
            customers=23_570,
            data=("master",),
            sets=("full", "quick"),
        )
        for what, name in POINTS.items()
        for who, work in (("predclv", points), ("lifetimes", points_peer))
    ),
)
TARGETS = (
    Target(
        SUBJECT,
        "expected purchases of a million customers at 500 draws: CPU",
        "forecast/draws/million",
        most=MOST_SECONDS,
        unit="s",
    ),
    Target(SUBJECT, "the same: memory", "forecast/draws/million", name="peak", most=MOST_MIB, unit="MiB"),
    *(
        Target(
            SUBJECT,
            f"{name} of 23,570 customers: sum, against that of lifetimes",
            f"forecast/point/{what}/predclv",
            f"forecast/point/{what}/lifetimes",
            name="sum",
            most=1e-4,
            unit="relative",
            gap=True,
        )
        for what, name in POINTS.items()
    ),
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
