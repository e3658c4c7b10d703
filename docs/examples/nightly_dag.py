"""Score all customers every night, fit the model again every quarter, and say what changed since the night before.

With Airflow this file is a DAG: put it into the DAG folder and set CLV_LOG (the purchase log, growing) and CLV_HOME (a
folder for what is made). Without Airflow it runs by itself, on three nights of the public log of CDNOW:

    python nightly_dag.py            results in ./clv-nights

Every task may be run again at any time: what is whole stays as it is, and a scoring job goes on where it stood.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from predclv.cli import main

try:
    from airflow.sdk import dag, task  # Airflow 3
except ImportError:
    try:
        from airflow.decorators import dag, task  # Airflow 2
    except ImportError:
        dag = task = None

HOME = Path(os.environ.get("CLV_HOME", "clv-nights"))
LOG = Path(os.environ.get("CLV_LOG", HOME / "purchases.parquet"))
COLUMNS = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount"]
HORIZON = "26 weeks"
# More rows than this that cannot be scored are no longer a matter of single customers.
MOST_SET_ASIDE = 0.01


def predclv(*arguments: object) -> None:
    """Run a command of predclv; exit code 3 says that rows were set aside, which `score` judges."""
    code = main([str(argument) for argument in arguments])
    if code not in (0, 3):
        raise RuntimeError(f"predclv {arguments[0]} failed with exit code {code}; its last line says why.")


def summarize(as_of: str) -> str:
    """From the log to a table of customers as they were at the end of a day."""
    table = HOME / "customers" / f"{as_of}.parquet"
    table.parent.mkdir(parents=True, exist_ok=True)
    predclv("summarize", LOG, *COLUMNS, "--observation-end", as_of, "--out", table, "--quiet")
    return str(table)


def fit(table: str, as_of: str) -> str:
    """Fit in the first night of a quarter; in the others its model is there."""
    day = date.fromisoformat(as_of)
    model = HOME / "models" / f"{day.year}-Q{(day.month + 2) // 3}"
    if not (model / "model.json").exists():
        predclv("fit", table, "--out", model, "--quiet")
    return str(model)


def score(table: str, model: str, as_of: str) -> str:
    """Score every customer; a job that was killed goes on."""
    out = HOME / "scores" / as_of
    predclv("score", table, "--model", model, "--horizon", HORIZON, "--out", out, "--resume", "--quiet")
    manifest = manifest_of(out)
    if manifest["rows_quarantined"] > MOST_SET_ASIDE * manifest["rows_in"]:
        raise RuntimeError(f"{manifest['rows_quarantined']:,} rows could not be scored: {manifest['quarantined']}")
    return str(out)


def compare(scores: str, as_of: str) -> dict[str, Any]:
    """Write who changed since the snapshot before, and return what that comes to."""
    earlier = [path for path in Path(scores).parent.iterdir() if path.name < as_of and manifest_of(path)["finished"]]
    before = max(earlier, default=None)
    if before is None:
        return {"as_of": as_of, "before": None}
    changes = HOME / "changes" / f"{as_of}.parquet"
    changes.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(HOME / ".spill")}) as connection:
        sql = (Path(__file__).parent / "compare_snapshots.sql").read_text()
        connection.execute("SET VARIABLE before = ?", [f"{before}/*.parquet"])
        connection.execute("SET VARIABLE now = ?", [f"{scores}/*.parquet"])
        connection.execute(f"CREATE TEMP TABLE changes AS {sql}")
        summary = connection.sql(
            "SELECT count(*) FILTER (status = 'stayed') AS stayed, count(*) FILTER (status = 'came') AS came, "
            "count(*) FILTER (status = 'went') AS went, "
            "count(*) FILTER (p_alive_before >= 0.5 AND p_alive_now < 0.5) AS fell, "
            "coalesce(sum(clv_change), 0) AS clv_change FROM changes"
        )
        found = dict(zip(summary.columns, summary.fetchall()[0], strict=True))
        connection.table("changes").write_parquet(str(changes))
    same = manifest_of(before)["model"] == manifest_of(Path(scores))["model"]
    return {"as_of": as_of, "before": before.name, "same_model": same, **found}


def manifest_of(scores: Path) -> dict[str, Any]:
    """What a scoring job says of itself."""
    found: dict[str, Any] = json.loads((scores / "_manifest.json").read_text())
    return found


if dag is not None:

    @dag(
        schedule="0 2 * * *",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    )
    def clv_nightly() -> None:
        """One night: the customers as they were when yesterday ended."""

        @task
        def yesterday(data_interval_end: datetime | None = None) -> str:
            # Begun by hand, a run may have no interval.
            return ((data_interval_end or datetime.now(UTC)).date() - timedelta(days=1)).isoformat()

        as_of = yesterday()
        table = task(summarize)(as_of)
        model = task(fit)(table, as_of)
        scores = task(score)(table, model, as_of)
        task(compare)(scores, as_of)

    clv_nightly()


def rehearse(nights: list[str]) -> None:
    """Run some nights on the public log of CDNOW, one after the other, as a scheduler would."""
    import predclv as pc

    if not LOG.exists():
        LOG.parent.mkdir(parents=True, exist_ok=True)
        pc.datasets.load_cdnow().to_parquet(LOG)
    for as_of in nights:
        table = summarize(as_of)
        model = fit(table, as_of)
        print(json.dumps(compare(score(table, model, as_of), as_of)))


if __name__ == "__main__":
    rehearse(sys.argv[1:] or ["1998-03-30", "1998-03-31", "1998-04-01"])
