"""What fits cost: against lifetimes, against a budget for a million customers, and what compiling adds.

    python benchmarks/fit.py
    python benchmarks/fit.py --only pareto_nbd
    python benchmarks/fit.py --list

Every repeat fits a summary made anew outside the clock, so that nothing worked out before is used again: merging equal
histories is part of the fit. Against a budget the clock runs from the float columns on. Compiled code is read before
the clock starts, but for the rows that say "first fit of a process".
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness import Case, Cost, Target, clock, main, peak_mib, run_program

MILLION = 1_000_000
# CPU seconds that a million customers may take, from float columns on.
BUDGET = 3.0
SUBJECT = "Fits"
NAMES = {
    "bg_nbd": "BG/NBD",
    "mbg_nbd": "MBG/NBD",
    "pareto_nbd": "Pareto/NBD",
    "nbd": "NBD",
    "bg_cnbd": "BG/CNBD-k",
    "mbg_cnbd": "MBG/CNBD-k",
    "bg_bb": "BG/BB",
}
PEERS = {"bg_nbd": "BetaGeoFitter", "mbg_nbd": "ModifiedBetaGeoFitter", "pareto_nbd": "ParetoNBDFitter"}


@dataclass(frozen=True)
class Table:
    """Customers of a model, aged up to so many days in so many steps a week; 0 customers are CDNOW's 2,357."""

    model: str
    customers: int
    days: int = 730
    lattice: int = 7

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.model}-{self.customers}-{self.days}-{self.lattice}" if self.customers else f"{self.model}-cdnow"

    def __str__(self) -> str:
        if not self.customers:
            return "CDNOW"
        return f"{'two years' if self.days > 400 else 'a year'} in {'days' if self.lattice == 7 else 'weeks'}"


CDNOW = Table("bg_nbd", 0)
# With a peer: the table, and how many times less CPU is wanted.
COMPARED = (
    (CDNOW, 30.0),
    (Table("bg_nbd", MILLION, 364, 1), 100.0),
    (Table("bg_nbd", MILLION), 100.0),
    (Table("mbg_nbd", 100_000, 364), 100.0),
    (Table("mbg_nbd", 100_000), 100.0),
    (Table("pareto_nbd", 100_000), 50.0),
    # Without a target: where the fixed cost of a call tells.
    (Table("bg_nbd", 10_000, 364, 1), None),
    (Table("mbg_nbd", 10_000), None),
    (Table("pareto_nbd", 10_000), None),
)
QUICK = ("bg_nbd-cdnow", "mbg_nbd-10000-730-7", "pareto_nbd-10000-730-7")
# Within the budget; no k means that it is chosen, by trying 1 to 4.
BUDGETED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bg_nbd", {}),
    ("mbg_nbd", {}),
    ("pareto_nbd", {}),
    ("nbd", {}),
    ("bg_cnbd", {"k": 2}),
    ("mbg_cnbd", {"k": 2}),
    ("bg_cnbd", {}),
    ("mbg_cnbd", {}),
)
# Opportunities of a million, and how many they have had.
DONORS = {"yearly": ("year", (0.0, 12.0)), "weekly": ("week", (0.0, 104.0)), "daily": ("day", (0.0, 365.0))}


def make_table(table: Table, path: Path) -> None:
    """Write the columns of an RFM table, as floats."""
    import predclv as pc

    if table.customers:
        rfm = pc.datasets.simulate_rfm(
            table.model, n_customers=table.customers, T=(0.0, table.days / 7), lattice=table.lattice, seed=1
        ).rfm
    else:
        rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), observation_end="1997-09-30")
    known = ["frequency", "recency", "T", *(["log_itt"] if rfm.log_itt is not None else [])]
    rfm.to_pandas()[known].astype(float).to_parquet(path)


def make_donors(opportunities: str, T: tuple[float, float], path: Path) -> None:
    import predclv as pc

    rfm = pc.datasets.simulate_rfm("bg_bb", n_customers=MILLION, time_unit=opportunities, T=T, seed=1).rfm
    rfm.to_pandas()[["frequency", "recency", "T"]].astype(float).to_parquet(path)


def make_donations(path: Path) -> None:
    import predclv as pc

    pc.datasets.load_donations().rename(columns={"periods": "T", "weights": "weight"}).to_parquet(path)


def fit(table: Table, repeats: int, folder: Path) -> Cost:
    """By us, from a summary."""
    import pandas as pd

    import predclv as pc

    columns = pd.read_parquet(folder / table.name)

    def summary() -> Any:
        return pc.RFMSummary.from_frame(columns, time_unit="week")

    pc.MODELS[table.model]().fit(summary())  # reads compiled code
    seconds, model = clock(lambda rfm: pc.MODELS[table.model]().fit(rfm), summary, repeats)
    return Cost(seconds, peak_mib(), dict(model.posterior_.point))


def fit_peer(table: Table, folder: Path) -> Cost:
    """By lifetimes."""
    import lifetimes
    import pandas as pd

    columns = pd.read_parquet(folder / table.name)
    # Its Pareto/NBD draws its start from the global generator.
    start = {"initial_params": [1.0] * 4} if table.model == "pareto_nbd" else {}
    given = [columns[name] for name in ("frequency", "recency", "T")]
    seconds, model = clock(lambda _: getattr(lifetimes, PEERS[table.model])().fit(*given, **start))
    return Cost(seconds, peak_mib(), {name: float(value) for name, value in model.params_.items()})


def fit_budgeted(table: Table, settings: dict[str, Any], folder: Path) -> Cost:
    """By us, from float columns on."""
    import pandas as pd

    import predclv as pc

    columns = pd.read_parquet(folder / table.name)

    def task(rows: pd.DataFrame) -> Any:
        return pc.MODELS[table.model](**settings).fit(pc.RFMSummary.from_frame(rows, time_unit="week"))

    task(columns.head(1_000))
    seconds, model = clock(task, lambda: columns)
    return Cost(seconds, peak_mib(), dict(model.posterior_.point))


def fit_donors(name: str, weighted: bool, folder: Path) -> Cost:
    """Of BG/BB, a row each or weighted rows."""
    import pandas as pd

    import predclv as pc

    rows = pd.read_parquet(folder / f"donors-{name}")
    opportunities = DONORS[name][0] if name in DONORS else "year"
    if weighted and "weight" not in rows:
        rows = rows.groupby(list(rows.columns), as_index=False).size().rename(columns={"size": "weight"})

    def summary() -> Any:
        return pc.RFMSummary.from_frame(rows, opportunities=opportunities)

    pc.BGBB().fit(summary())
    seconds, model = clock(lambda rfm: pc.BGBB().fit(rfm), summary, 21 if name == "given" else 1)
    return Cost(seconds, peak_mib(), {"rows": len(rows), **model.posterior_.point})


def fit_donors_peer(folder: Path) -> Cost:
    import pandas as pd
    from lifetimes import BetaGeoBetaBinomFitter

    rows = pd.read_parquet(folder / "donors-given")
    given = [rows[name] for name in ("frequency", "recency", "T", "weight")]
    seconds, model = clock(lambda _: BetaGeoBetaBinomFitter().fit(*given), repeats=3)
    return Cost(seconds, peak_mib(), {name: float(value) for name, value in model.params_.items()})


def fit_first(model: str, filled: bool, folder: Path) -> Cost:
    """First fit of a process, where compiled code is to be made, or lies on disk."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        command = [sys.executable, "-W", "ignore", __file__, "--first", model, str(folder)]
        cost = Cost(0.0, 0.0)
        for _ in range(1 + filled):
            cost = run_program(command, env={**os.environ, "NUMBA_CACHE_DIR": cache})
    first, second = map(float, str(cost.found["said"]).split())
    return Cost(first, cost.peak, {"second fit": second})


def print_first(model: str, folder: Path) -> None:
    """CPU seconds of the first fit of this process, and of the second."""
    import pandas as pd

    import predclv as pc

    columns = pd.read_parquet(folder / Table(model, 0).name)
    print(
        *(clock(pc.MODELS[model]().fit, lambda: pc.RFMSummary.from_frame(columns, time_unit="week"))[0] for _ in "12")
    )


def compared_cases() -> list[Case]:
    cases = []
    for table, _ in COMPARED:
        what, sets = f"fit of {NAMES[table.model]}, {table}", ("full", *(["quick"] if table.name in QUICK else []))
        size = {"customers": table.customers or 2_357, "data": (table.name,), "sets": sets}
        few = 3 if table.customers < MILLION and table.model != "pareto_nbd" else 1
        own = partial(fit, table, 21 if table.customers < MILLION else 7)
        cases.append(Case(f"fit/{table.name}/predclv", SUBJECT, what, own, **size))
        peer = partial(fit_peer, table)
        cases.append(Case(f"fit/{table.name}/lifetimes", SUBJECT, what, peer, "lifetimes", repeats=few, **size))
    return cases


def budgeted_cases() -> list[Case]:
    cases = []
    for model, settings in BUDGETED:
        table = Table(model, MILLION)
        key = f"fit/budget/{model}" + ("" if settings or "cnbd" not in model else "-any")
        chosen = f", k = {settings['k']}" if settings else ", k chosen" if "cnbd" in model else ""
        what = f"fit of {NAMES[model]}{chosen}, {table}, from float columns on"
        work = partial(fit_budgeted, table, settings)
        cases.append(Case(key, SUBJECT, what, work, customers=MILLION, data=(table.name,), repeats=1))
    return cases


def donor_cases() -> list[Case]:
    what, sets, data = "fit of BG/BB, the donations (22 weighted rows)", ("full", "quick"), ("donors-given",)
    size: dict[str, Any] = {"customers": 11_104, "sets": sets, "data": data}
    cases = [
        Case("fit/donations/predclv", SUBJECT, what, partial(fit_donors, "given", True), **size),
        Case("fit/donations/lifetimes", SUBJECT, what, fit_donors_peer, "lifetimes", **size),
    ]
    for name in DONORS:
        for weighted, rows in ((False, "a row each"), (True, "weighted rows")):
            key = f"fit/donors-{name}/{rows.replace(' ', '-')}"
            what = f"fit of BG/BB, {name} opportunities, {rows}"
            work = partial(fit_donors, name, weighted)
            cases.append(Case(key, SUBJECT, what, work, customers=MILLION, data=(f"donors-{name}",), repeats=1))
    return cases


def first_cases() -> list[Case]:
    cases = []
    for model in ("bg_nbd", "pareto_nbd"):
        for filled, state in ((False, "code to be compiled"), (True, "compiled code on disk")):
            cases.append(
                Case(
                    f"fit/first/{model}/{'filled' if filled else 'empty'}",
                    SUBJECT,
                    f"first fit of a process, {NAMES[model]}, CDNOW, {state}",
                    partial(fit_first, model, filled),
                    customers=2_357,
                    data=(Table(model, 0).name,),
                    repeats=1,
                    sets=("full", "quick") if (model, filled) == ("bg_nbd", True) else ("full",),
                )
            )
    return cases


CASES = (*compared_cases(), *budgeted_cases(), *donor_cases(), *first_cases())
DATA = {
    **{table.name: partial(make_table, table) for table, _ in COMPARED},
    **{Table(model, MILLION).name: partial(make_table, Table(model, MILLION)) for model, _ in BUDGETED},
    **{Table(model, 0).name: partial(make_table, Table(model, 0)) for model in ("bg_nbd", "pareto_nbd")},
    **{f"donors-{name}": partial(make_donors, *given) for name, given in DONORS.items()},
    "donors-given": make_donations,
}
TARGETS = (
    *(
        Target(
            SUBJECT,
            f"{NAMES[table.model]}, {table.customers or 2_357:,} customers, {table}: CPU of lifetimes over ours",
            f"fit/{table.name}/lifetimes",
            f"fit/{table.name}/predclv",
            least=least,
            unit="times",
            why=(
                "The ratio moves by a third with the machine and its load. Two years in days leave many distinct "
                "histories of 100,000 customers, so that merging them gains little."
                if table.model == "mbg_nbd"
                else "The ratio moves by a third with the machine and its load."
            ),
        )
        for table, least in COMPARED
        if least
    ),
    *(
        Target(
            SUBJECT, f"{case.what.removeprefix('fit of ')}, a million customers: CPU", case.key, most=BUDGET, unit="s"
        )
        for case in CASES
        if case.customers == MILLION and ("budget" in case.key or "donors" in case.key)
    ),
    Target(
        SUBJECT,
        "BG/BB, the donations: CPU of lifetimes over ours",
        "fit/donations/lifetimes",
        "fit/donations/predclv",
        least=1.0,
        unit="times",
    ),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--first"]:
        print_first(sys.argv[2], Path(sys.argv[3]))
        sys.exit()
    sys.exit(main(sys.modules[__name__]))
