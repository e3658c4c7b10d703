"""What `predclv decide` costs, from a log in Parquet to the page: CPU seconds and peak memory of the whole program.

    python benchmarks/decide.py            100,000 customers
    python benchmarks/decide.py --large    5 million as well, of some 20 million purchases

The target: 5 million customers, compared by channel, within 2 GiB. Purchases are simulated, in two years, with text
for ids and six channels. Compiled code is in numba's cache before the clock starts: a small log goes before.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST_MIB = 2048.0
PART = 250_000
CUSTOMERS, LARGE = 100_000, 5_000_000
CHANNELS = ("search", "friends", "fair", "paper", "video", "shop")
PARAMETERS = {"r": 0.7, "alpha": 7.0, "a": 0.6, "b": 2.8}
ABOUT = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount", "--observation-end", "2025-12-30"]
ASKED = ["--by", "channel", "--margin", "0.4", "--cac", ",".join(f"{name}=12" for name in CHANNELS)]
OFFER = ["--offer-cost", "3", "--lift", "0.1"]


def make_log(folder: Path, n: int) -> int:
    """Write purchases, a file for each 250,000 customers; return how many there are."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import predclv as pc

    folder.mkdir()
    names, total = np.array(CHANNELS), 0
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
            "channel": names[number * 7_919 % len(names)],
        }
        pq.write_table(pa.table(table), folder / f"part-{start // PART:03}.parquet")
        total += len(made)
    return total


def decide(log: Path, out: Path) -> tuple[float, float, float]:
    """Run the program: CPU seconds, elapsed seconds, MiB at most."""
    program = Path(sys.executable).with_name("predclv")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([program, "decide", log, *ABOUT, *ASKED, *OFFER, "--out", out, "--quiet"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start, after.ru_maxrss / 1024


def in_a_process(*task: object) -> str:
    """Run a part of this script by itself, so that its memory is on nobody else's account."""
    command = [sys.executable, "-W", "ignore", __file__, *map(str, task)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(options: list[str]) -> int:
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in (1_000, CUSTOMERS, *([LARGE] if "--large" in options else [])):
            log = folder / f"log-{n}"
            purchases = int(in_a_process("make", log, n))
            cpu, elapsed, peak = map(float, in_a_process("decide", log, folder / f"out-{n}").split())
            if n == 1_000:
                continue
            met = peak <= MOST_MIB
            missed += not met
            print(
                f"{n:,} customers, {purchases:,} purchases: {cpu:.0f} s CPU in {elapsed:.0f} s, {peak:.0f} MiB at "
                f"most; wanted {MOST_MIB:g} MiB: {'met' if met else 'MISSED'}",
                flush=True,
            )
    return missed


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder, n]:
            print(make_log(Path(folder), int(n)))
        case ["decide", log, out]:
            print(*decide(Path(log), Path(out)))
        case options:
            sys.exit(main(options))
