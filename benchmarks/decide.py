"""What `predclv decide` and `predclv monitor` cost: CPU seconds and peak memory of the whole programs.

    python benchmarks/decide.py            100,000 customers
    python benchmarks/decide.py --large    5 million as well, of some 20 million purchases

The target: 5 million customers within 2 GiB. Purchases are simulated, in two years, with text for ids and six channels;
`decide` goes from the log in Parquet to the page, with every section asked for, `monitor` from summaries of the log at
two dates, 13 weeks apart, with a model fitted to each. Compiled code is in numba's cache before the clock starts: a
small log goes before.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from harness import Case, Cost, Target, main, run_program

SUBJECT = "Decisions"
MOST_MIB = 2048.0
PART = 250_000
SMALL, CUSTOMERS, LARGE = 1_000, 100_000, 5_000_000
CHANNELS = ("search", "friends", "fair", "paper", "video", "shop")
PARAMETERS = {"r": 0.7, "alpha": 7.0, "a": 0.6, "b": 2.8}
ENDS = {"old": "2025-09-30", "new": "2025-12-30"}
ABOUT = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount"]
ASKED = ["--by", "channel", "--margin", "0.4", "--cac", ",".join(f"{name}=12" for name in CHANNELS)]
OFFER = ["--offer-cost", "3", "--lift", "0.1"]
LEARN = ["--drivers", "channel,plan,product", "--arm", "arm", "--detect", "0.5"]
#: Columns about the customer: names, and what spreads them over the customers' numbers.
ABOUT_CUSTOMERS = {
    "channel": (CHANNELS, 7_919, None),
    "plan": (("basic", "plus", "pro"), 104_729, 11),
    "product": (("tea", "coffee", "cups", "sweets", "books"), 1_299_709, 13),
    "arm": (("control", "offer"), 15_485_863, 100),
}
CURVES = "channel,most,half\n" + "".join(f"{name},20000,100000\n" for name in CHANNELS)
PROGRAM = Path(sys.executable).with_name("predclv")


def make_log(n: int, folder: Path) -> None:
    """Write purchases, a file for each 250,000 customers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import predclv as pc

    folder.mkdir()
    for start in range(0, n, PART):
        made = pc.datasets.simulate(
            n_customers=min(PART, n - start),
            parameters=PARAMETERS,
            births="104 weeks",
            observed="104 weeks",
            resolution="day",
            seed=start,
        ).log
        number = made["customer_id"].to_numpy().astype(np.int64) + start
        table = {
            "customer_id": np.char.add("C", np.char.zfill(number.astype(str), 8)),
            "date": made["date"],
            "amount": made["amount"],
        }
        for column, (names, factor, modulus) in ABOUT_CUSTOMERS.items():
            place = number * factor % modulus if modulus else number * factor
            table[column] = np.array(names)[place % len(names)]
        pq.write_table(pa.table(table), folder / f"part-{start // PART:03}.parquet")


def make_snapshots(n: int, folder: Path) -> None:
    """Summaries at two dates, and a model of each."""
    folder.mkdir()
    log, engine = folder.with_name(f"log-{n}"), ["--engine", "duckdb", "--memory-limit", "1GB"]
    for name, end in ENDS.items():
        table = folder / f"{name}.parquet"
        command = [PROGRAM, "summarize", log, *ABOUT, "--observation-end", end, *engine, "--out", table]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        command = [PROGRAM, "fit", table, *engine, "--out", folder / f"model-{name}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def decide(n: int, folder: Path) -> Cost:
    """From the log to the page, after a small one."""
    cost, curves = Cost(0.0, 0.0), folder / "curves.csv"
    curves.write_text(CURVES, encoding="utf-8")
    budget = ["--budget", "300000", "--curves", curves]
    for size in (SMALL, n):
        shutil.rmtree(folder / "out", ignore_errors=True)
        about = [*ABOUT, "--observation-end", ENDS["new"], *ASKED, *OFFER, *LEARN, *budget]
        cost = run_program([PROGRAM, "decide", folder / f"log-{size}", *about, "--out", folder / "out", "--quiet"])
    return Cost(cost.cpu, cost.peak, {"elapsed": cost.found["elapsed"]})


def monitor(n: int, folder: Path) -> Cost:
    """From two snapshots to the page, after two small ones."""
    cost = Cost(0.0, 0.0)
    for size in (SMALL, n):
        shutil.rmtree(folder / "out", ignore_errors=True)
        place = folder / f"snapshots-{size}"
        tables = [place / f"{name}.parquet" for name in ENDS]
        models = ["--model", place / "model-old", "--new-model", place / "model-new"]
        cost = run_program([PROGRAM, "monitor", *tables, *models, "--out", folder / "out", "--quiet"])
    return Cost(cost.cpu, cost.peak, {"elapsed": cost.found["elapsed"]})


TASKS = {
    "decide": (decide, "log", "predclv decide, by channel and with every section, from a log to the page"),
    "monitor": (monitor, "snapshots", "predclv monitor, from two snapshots to the page"),
}
CASES = tuple(
    Case(
        f"{task}/{n}",
        SUBJECT,
        what,
        partial(work, n),
        customers=n,
        data=tuple(f"{kind}-{size}" for size in (SMALL, n) for kind in dict.fromkeys(("log", needs))),
        repeats=1,
        sets=(chosen,),
        limit=3_600.0,
    )
    for n, chosen in ((CUSTOMERS, "full"), (LARGE, "large"))
    for task, (work, needs, what) in TASKS.items()
)
DATA = {
    name: partial(make, n)
    for n in (SMALL, CUSTOMERS, LARGE)
    for name, make in ((f"log-{n}", make_log), (f"snapshots-{n}", make_snapshots))
}
TARGETS = tuple(
    Target(SUBJECT, f"predclv {task}, {n:,} customers: memory", f"{task}/{n}", name="peak", most=MOST_MIB, unit="MiB")
    for task in TASKS
    for n in (CUSTOMERS, LARGE)
)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
