"""A log for the command line's tests, the program started from a shell, and what every refusal looks like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ["--customer-id", "customer", "--date", "day", "--amount", "paid"]
AS_OF = ["--observation-end", "2024-12-31"]
WRITTEN = [
    "customers.csv",
    "customers.parquet",
    "model",
    "portfolio.csv",
    "predclv.json",
    "quality.csv",
    "report.html",
    "summary.parquet",
]
PREDICTED = [
    "customer_id",
    "p_alive",
    "p_purchase",
    "expected_purchases",
    "purchases_low",
    "purchases_high",
    "expected_spend",
    "expected_clv",
    "clv_low",
    "clv_high",
    "expected_clv_low",
    "expected_clv_high",
]


def make_log(n_customers: int = 400) -> pd.DataFrame:
    """A log of two years: exponential gaps, a chance to leave after each purchase, gamma spend."""
    rng = np.random.default_rng(20)
    rows = []
    for customer in range(n_customers):
        gap, leave, scale = 60 / rng.gamma(1.5), rng.beta(1.0, 4.0), 30 * rng.gamma(4.0)
        day = rng.uniform(0, 360)
        while day < 730:
            rows.append((f"C{customer:03}", day, round(rng.gamma(5.0) * scale / 5, 2)))
            day += rng.exponential(gap) if rng.uniform() > leave else np.inf
    log = pd.DataFrame(rows, columns=["customer", "day", "paid"])
    log["day"] = (pd.Timestamp("2023-01-01") + pd.to_timedelta(log["day"], unit="D")).dt.strftime("%Y-%m-%d")
    number = log["customer"].str[1:].astype(int)
    return log.assign(channel=np.where(number % 3 == 0, "shop", "web"), kept=np.where(number % 2 == 0, 0.25, 0.5))


def shell(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("predclv"), *arguments], capture_output=True, text=True, timeout=300, cwd=cwd
    )


def check_refusal(code: int, streams: tuple[str, str], said: list[str]) -> None:
    out, err = streams
    assert code == 2, err
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("predclv: ")
    for part in said:
        assert part in err
